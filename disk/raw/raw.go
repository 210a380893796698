// Package raw is the format without a format: the file's bytes are the disk's.
package raw

import (
	"context"
	"io"
	"iter"

	"kuva/disk"
)

// LayoutVersion of raw files. There can be no other.
const LayoutVersion = 1

const name = "raw"

// Format is raw's row in the list.
var Format = &disk.Format{
	Name:   name,
	Open:   Open,
	Layout: Layout,
}

// Open takes any bytes as a disk. Where r is a Disk itself its extents are
// kept; where it is a file of the system, holes of the file are found (Linux);
// else all is one extent of data.
func Open(_ context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (disk.Disk, error) {
	if err := o.Budget.CheckSize(name, size); err != nil {
		return nil, err
	}
	if size < 0 {
		return nil, disk.Malform(name, "a size of %d bytes", size)
	}
	if o.Parent != nil {
		return nil, disk.Refuse(name, disk.ReasonBacking, "a raw file has no parent")
	}
	return &image{r: r, size: size}, nil
}

// Layout gives the disk itself, as its own file.
func Layout(_ context.Context, d disk.Disk, s disk.Settings) (disk.View, error) {
	if err := s.Known(name, nil); err != nil {
		return nil, err
	}
	return view{d}, nil
}

type image struct {
	r    io.ReaderAt
	size int64
}

func (m *image) Size() int64 { return m.size }

func (m *image) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, m.size, func(p []byte, off int64) error {
		return disk.ReadFull(m.r, p, off)
	})
}

func (m *image) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	off, n = disk.Clamp(off, n, m.size)
	switch r := m.r.(type) {
	case disk.Disk:
		return at(r.Extents(ctx, off, n))
	case conn:
		return fileExtents(ctx, r, off, n)
	}
	return one(disk.Extent{Off: off, Len: n, Kind: disk.Data, At: off})
}

// at says of each extent where it lies in this very file.
func at(seq iter.Seq2[disk.Extent, error]) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		for e, err := range seq {
			e.At = e.Off
			if !yield(e, err) {
				return
			}
		}
	}
}

func one(e disk.Extent) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		if e.Len > 0 {
			yield(e, nil)
		}
	}
}

// view is a disk as a raw file: in a file there is no difference between what
// is zero and what is not stored, and its bytes lie nowhere yet.
type view struct{ disk.Disk }

// Unwrap gives the disk.
func (v view) Unwrap() disk.Disk { return v.Disk }

func (v view) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		for e, err := range v.Disk.Extents(ctx, off, n) {
			if e.Kind == disk.Zero {
				e.Kind = disk.Hole
			}
			e.At = disk.Nowhere
			if !yield(e, err) {
				return
			}
		}
	}
}
