// Package blocks is what the formats share that keep a disk in blocks of equal
// size behind a table of places: VHD, VDI, VHDX and VMDK. Image reads such a
// disk, Table reads its table, Places finds blocks that lie in the way of each
// other, and Area, Entries, Bytes, Zeros and Computed are the pieces of which a
// layout is put together with disk.Concat.
package blocks

import (
	"context"
	"io"
	"iter"
	"strconv"

	"kuva/disk"
)

// Look tells of block i, and of those behind it that go on in the same way:
// they are of the same kind and, where that is Data, lie one behind the other.
// n is at least 1 and at most limit; at is where block i lies.
type Look func(i, limit int64) (kind disk.Kind, at, n int64, err error)

// Image is a disk in blocks of equal size, each of which lies in one piece in
// the file, or nowhere.
type Image struct {
	R      io.ReaderAt // the file
	Length int64       // of the disk, in bytes
	Block  int64       // bytes of a block
	Look   Look
	// Nowhere: what R gives is not the file itself, so no extent tells where
	// its bytes lie.
	Nowhere bool
}

// Size implements disk.Disk.
func (m *Image) Size() int64 { return m.Length }

// Details implements disk.Detailer.
func (m *Image) Details() []disk.Detail {
	return []disk.Detail{{Key: "cluster_size", Value: strconv.FormatInt(m.Block, 10)}}
}

// ReadAt implements io.ReaderAt.
func (m *Image) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, m.Length, func(p []byte, off int64) error {
		for len(p) > 0 {
			e, err := m.extent(off, int64(len(p)))
			switch {
			case err != nil:
				return err
			case e.Kind != disk.Data:
				clear(p[:e.Len])
			default:
				if err := disk.ReadFull(m.R, p[:e.Len], e.At); err != nil {
					return err
				}
			}
			p, off = p[e.Len:], off+e.Len
		}
		return nil
	})
}

// Extents implements disk.Disk.
func (m *Image) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, m.Length)
		for n > 0 {
			err := ctx.Err()
			var e disk.Extent
			if err == nil {
				e, err = m.extent(off, n)
			}
			if err != nil {
				yield(disk.Extent{}, err)
				return
			}
			if m.Nowhere {
				e.At = disk.Nowhere
			}
			if !yield(e, nil) {
				return
			}
			off, n = off+e.Len, n-e.Len
		}
	}
}

// extent is the first extent of the n bytes from off, which are not behind the
// end.
func (m *Image) extent(off, n int64) (disk.Extent, error) {
	i, within := off/m.Block, off%m.Block
	kind, at, count, err := m.Look(i, (off+n-1)/m.Block-i+1)
	if err != nil {
		return disk.Extent{}, err
	}
	e := disk.Extent{Off: off, Len: min(n, count*m.Block-within), Kind: kind, At: disk.Nowhere}
	if kind == disk.Data && at != disk.Nowhere {
		e.At = at + within
	}
	return e, nil
}
