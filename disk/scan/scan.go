// Package scan finds the zeros that a disk's extents do not tell of: guests
// leave blocks of zeros, and files of systems without holes are data from end
// to end.
package scan

import (
	"context"
	"iter"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
	"kuva/disk/internal/ordered"
)

const (
	// block is the unit in which zeros are found, that of most file systems.
	block = 4 << 10
	piece = 1 << 20
)

// Zeros reads all data of a disk, with several workers, and gives the same
// disk with extents in which blocks of 4 KiB that are full of zeros are Zero.
// The disk must not change. Memory: a bit for each block of those 256 MiB that
// have both.
func Zeros(ctx context.Context, d disk.Disk) (disk.Disk, error) {
	if d.Size() > blockmap.MaxBlocks*block {
		return nil, disk.Refuse("", disk.ReasonTooLarge, "the disk has %d bytes", d.Size())
	}
	m := blockmap.New((d.Size() + block - 1) / block)
	work := func(_ context.Context, e disk.Extent) ([]disk.Extent, error) {
		buf := make([]byte, e.Len)
		if err := disk.ReadFull(d, buf, e.Off); err != nil {
			return nil, err
		}
		var found []disk.Extent
		for off := e.Off; off < e.End(); {
			end := min(e.End(), off&^(block-1)+block)
			if !disk.IsZero(buf[off-e.Off : end-e.Off]) {
				if n := len(found); n > 0 && found[n-1].End() == off {
					found[n-1].Len += end - off
				} else {
					found = append(found, disk.Extent{Off: off, Len: end - off})
				}
			}
			off = end
		}
		return found, nil
	}
	emit := func(found []disk.Extent) error {
		for _, e := range found {
			m.Add(e.Off/block, (e.End()-1)/block+1)
		}
		return nil
	}
	if err := ordered.Map(ctx, ordered.Workers(0), pieces(ctx, d), work, emit); err != nil {
		return nil, err
	}
	m.Seal()
	return &scanned{Disk: d, data: m}, nil
}

func pieces(ctx context.Context, d disk.Disk) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		for e, err := range d.Extents(ctx, 0, d.Size()) {
			if err != nil {
				yield(disk.Extent{}, err)
				return
			}
			if e.Kind != disk.Data {
				continue
			}
			for off := e.Off; off < e.End(); {
				end := min(e.End(), off&^(piece-1)+piece)
				if !yield(disk.Extent{Off: off, Len: end - off}, nil) {
					return
				}
				off = end
			}
		}
	}
}

type scanned struct {
	disk.Disk
	data *blockmap.Map
}

// Unwrap gives the disk as it was.
func (s *scanned) Unwrap() disk.Disk { return s.Disk }

// Extents implements disk.Disk.
func (s *scanned) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		for e, err := range s.Disk.Extents(ctx, off, n) {
			if err != nil || e.Kind != disk.Data {
				if !yield(e, err) {
					return
				}
				continue
			}
			for at := e.Off; at < e.End(); {
				first, end := s.data.Run(at / block)
				for _, part := range []struct {
					end  int64
					kind disk.Kind
				}{{first * block, disk.Zero}, {end * block, disk.Data}} {
					stop := min(part.end, e.End())
					if stop <= at {
						continue
					}
					p := disk.Extent{Off: at, Len: stop - at, Kind: part.kind, At: disk.Nowhere}
					if part.kind == disk.Data && e.At != disk.Nowhere {
						p.At = e.At + at - e.Off
					}
					if !yield(p, nil) {
						return
					}
					at = stop
				}
			}
		}
	}
}
