// Package scan finds the zeros that a disk's extents do not tell of: guests
// leave blocks of zeros, and files of systems without holes are data from end
// to end.
package scan

import (
	"context"
	"iter"
	"sync"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
	"kuva/disk/internal/ordered"
)

const (
	// first is how much of a block is looked at before the rest is: nearly all
	// blocks that have data have some there.
	first = 4 << 10
	piece = 1 << 20
)

// Options are choices for Zeros.
type Options struct {
	// Block is the unit in which zeros are found, a power of 2 from 4 KiB, the
	// default, to 1 MiB. No more than its first 4 KiB are read of a block that
	// has data there, so large ones are found fast; a file with larger blocks
	// of its own has no use for less.
	Block int64
	// Packed looks into extents that lie nowhere too. Those of a file with
	// compressed blocks are dear to look into, and whoever packed them has
	// left zeros out.
	Packed bool
}

// Zeros looks through the data of a disk, with several workers, and gives the
// same disk with extents in which blocks that are full of zeros are Zero. The
// disk must not change. Memory: a bit for each block of those 65,536 that have
// both. A Block that is none panics.
func Zeros(ctx context.Context, d disk.Disk, o Options) (disk.Disk, error) {
	block := o.Block
	if block == 0 {
		block = first
	}
	if block < first || block > piece || block&(block-1) != 0 {
		panic("scan: a block of another size")
	}
	if d.Size() > blockmap.MaxBlocks*block {
		return nil, disk.Refuse("", disk.ReasonTooLarge, "the disk has %d bytes", d.Size())
	}
	s := &scanned{Disk: d, block: block, packed: o.Packed, data: blockmap.New((d.Size() + block - 1) / block)}
	buffers := sync.Pool{New: func() any { b := make([]byte, block); return &b }}
	work := func(_ context.Context, e disk.Extent) ([]disk.Extent, error) {
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		var found []disk.Extent
		for off := e.Off; off < e.End(); {
			end := min(e.End(), off&^(block-1)+block)
			zero, err := s.zero((*buf)[:end-off], off)
			if err != nil {
				return nil, err
			}
			if !zero {
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
			s.data.Add(e.Off/block, (e.End()-1)/block+1)
		}
		return nil
	}
	if err := ordered.Map(ctx, ordered.Workers(0), s.pieces(ctx), work, emit); err != nil {
		return nil, err
	}
	s.data.Seal()
	return s, nil
}

// zero reads from an offset on until it knows.
func (s *scanned) zero(buf []byte, off int64) (bool, error) {
	head := buf[:min(first, len(buf))]
	if err := disk.ReadFull(s.Disk, head, off); err != nil || !disk.IsZero(head) {
		return false, err
	}
	rest := buf[len(head):]
	err := disk.ReadFull(s.Disk, rest, off+int64(len(head)))
	return err == nil && disk.IsZero(rest), err
}

// looksAt tells whether an extent is looked into.
func (s *scanned) looksAt(e disk.Extent) bool {
	return e.Kind == disk.Data && (s.packed || e.At != disk.Nowhere)
}

// pieces are the jobs.
func (s *scanned) pieces(ctx context.Context) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		for e, err := range s.Disk.Extents(ctx, 0, s.Size()) {
			if err != nil {
				yield(disk.Extent{}, err)
				return
			}
			if !s.looksAt(e) {
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
	block  int64
	packed bool
	data   *blockmap.Map // blocks with data
}

// Unwrap gives the disk as it was.
func (s *scanned) Unwrap() disk.Disk { return s.Disk }

// Extents implements disk.Disk.
func (s *scanned) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		for e, err := range s.Disk.Extents(ctx, off, n) {
			if err != nil || !s.looksAt(e) {
				if !yield(e, err) {
					return
				}
				continue
			}
			for at := e.Off; at < e.End(); {
				first, end := s.data.Run(at / s.block)
				for _, part := range []struct {
					end  int64
					kind disk.Kind
				}{{first * s.block, disk.Zero}, {end * s.block, disk.Data}} {
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
