package vhdx

import (
	"encoding/binary"

	"kuva/disk"
	"kuva/disk/internal/blocks"
	"kuva/disk/internal/lru"
)

// changes is what a differencing disk has of its own: whole blocks, and of
// those that are partly there the sectors whose bits are set in the bitmap of
// their group, the first sector's bit being the lowest of the first byte.
func (f *file) changes() disk.Disk {
	per := f.block / f.logical
	cache := lru.New[[]byte](256)
	return &blocks.Image{
		R: f.r, Length: f.metadata.size, Block: f.logical, Nowhere: f.replayed,
		Look: func(i, limit int64) (disk.Kind, int64, int64, error) {
			no, within := i/per, i%per
			kind, at, n, err := f.look(no, (within+limit-1)/per+1)
			if err != nil || kind != disk.Data {
				return kind, 0, min(limit, n*per-within), err
			}
			limit = min(limit, per-within)
			group := no / f.ratio()
			p, err := f.table.Page(no + group)
			if err != nil {
				return 0, 0, 0, err
			}
			if binary.LittleEndian.Uint64(p)&stateMask == present {
				return disk.Data, at + within*f.logical, limit, nil
			}
			// The bits from this sector to the end of its page of the bitmap.
			bit := no%f.ratio()*per + within
			bits, err := cache.Get(group<<8|bit/(8*page), func() ([]byte, error) { return f.bitmap(group, bit/(8*page)) })
			if err != nil {
				return 0, 0, 0, err
			}
			bit %= 8 * page
			has := func(b int64) bool { return bits[b/8]>>(b%8)&1 != 0 }
			limit = min(limit, 8*page-bit)
			for n = 1; n < limit && has(bit+n) == has(bit); n++ {
			}
			if !has(bit) {
				return disk.Hole, 0, n, nil
			}
			return disk.Data, at + within*f.logical, n, nil
		},
	}
}

// bitmap reads a page of the bitmap of a group of blocks.
func (f *file) bitmap(group, no int64) ([]byte, error) {
	p, err := f.table.Page(group*(f.ratio()+1) + f.ratio())
	if err != nil {
		return nil, err
	}
	at, err := f.bitmapAt(p)
	if err != nil {
		return nil, err
	}
	if at == 0 {
		return nil, disk.Malform(name, "a block is partly there, and its bitmap is not")
	}
	b := make([]byte, page)
	return b, disk.ReadFull(f.r, b, at+no*page)
}

// bitmapAt tells where the bitmap of an entry lies, 0 if there is none.
func (f *file) bitmapAt(entry []byte) (int64, error) {
	e := binary.LittleEndian.Uint64(entry)
	if e&stateMask == notPresent {
		return 0, nil
	}
	at := e & offsetMask
	if e&stateMask != present || at < mib || at > uint64(f.size) || int64(at)+mib > f.size {
		return 0, disk.Malform(name, "a bitmap at %d is outside of the file", at)
	}
	return int64(at), nil
}
