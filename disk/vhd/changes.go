package vhd

import (
	"io"

	"kuva/disk"
	"kuva/disk/internal/blocks"
	"kuva/disk/internal/lru"
)

// changes is what a differencing disk has of its own: the sectors whose bits
// are set in the bitmaps before the blocks, the first sector's bit being the
// highest of the first byte.
func (f *file) changes(r io.ReaderAt) disk.Disk {
	block := int64(f.Block)
	per := block / sector
	cache := lru.New[[]byte](256)
	return &blocks.Image{R: r, Length: f.length, Block: sector, Look: func(i, limit int64) (disk.Kind, int64, int64, error) {
		no, within := i/per, i%per
		kind, at, n, err := f.table.Run(no, (within+limit-1)/per+1, block, f.decode)
		if err != nil || kind != disk.Data {
			return kind, 0, min(limit, n*per-within), err
		}
		bitmap, err := cache.Get(no, func() ([]byte, error) {
			b := make([]byte, bitmapSize(block))
			return b, disk.ReadFull(r, b, at-int64(len(b)))
		})
		if err != nil {
			return 0, 0, 0, err
		}
		has := func(s int64) bool { return bitmap[s/8]>>(7-s%8)&1 != 0 }
		limit = min(limit, per-within)
		for n = 1; n < limit && has(within+n) == has(within); n++ {
		}
		if !has(within) {
			return disk.Hole, 0, n, nil
		}
		return disk.Data, at + within*sector, n, nil
	}}
}
