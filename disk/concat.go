package disk

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
)

// ReadFull reads exactly len(p) bytes at off. A reader that ends before gives
// io.ErrUnexpectedEOF.
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// Concat puts disks one behind the other. Extents have At = Nowhere, since
// their bytes lie in several files. It panics if the sizes do not fit into an
// int64.
func Concat(disks ...Disk) Disk {
	c := &concat{disks: slices.Clone(disks), ends: make([]int64, len(disks))}
	for i, d := range c.disks {
		c.size += d.Size()
		if c.size < 0 {
			panic("disk.Concat: size overflows")
		}
		c.ends[i] = c.size
	}
	return c
}

type concat struct {
	disks []Disk
	ends  []int64 // where each disk ends
	size  int64
}

func (c *concat) Size() int64 { return c.size }

// each calls f for the parts of the range, in order, until f says stop.
func (c *concat) each(off, n int64, f func(d Disk, start, off, n int64) bool) {
	i, _ := slices.BinarySearchFunc(c.ends, off, func(end, off int64) int {
		if end <= off {
			return -1
		}
		return 1
	})
	for ; n > 0 && i < len(c.disks); i++ {
		start := c.ends[i] - c.disks[i].Size()
		part := min(n, c.ends[i]-off)
		if part > 0 && !f(c.disks[i], start, off-start, part) {
			return
		}
		off, n = off+part, n-part
	}
}

func (c *concat) ReadAt(p []byte, off int64) (int, error) {
	return ReadAtFunc(p, off, c.size, func(p []byte, off int64) (err error) {
		c.each(off, int64(len(p)), func(d Disk, _, off, n int64) bool {
			err = ReadFull(d, p[:n], off)
			p = p[n:]
			return err == nil
		})
		return err
	})
}

func (c *concat) Extents(ctx context.Context, off, n int64) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		off, n := Clamp(off, n, c.size)
		c.each(off, n, func(d Disk, start, off, n int64) bool {
			for e, err := range d.Extents(ctx, off, n) {
				if err != nil {
					yield(Extent{}, err)
					return false
				}
				e.Off += start
				e.At = Nowhere
				if !yield(e, nil) {
					return false
				}
			}
			return true
		})
	}
}

// Section is the n bytes of a disk from off, as a disk: a partition, or a
// file's data behind a header. It is cut off at the disk's end.
func Section(d Disk, off, n int64) Disk {
	off, n = Clamp(off, n, d.Size())
	return &section{d: d, off: off, size: n}
}

type section struct {
	d         Disk
	off, size int64
}

func (s *section) Size() int64 { return s.size }

func (s *section) ReadAt(p []byte, off int64) (int, error) {
	return ReadAtFunc(p, off, s.size, func(p []byte, off int64) error {
		return ReadFull(s.d, p, s.off+off)
	})
}

func (s *section) Extents(ctx context.Context, off, n int64) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		off, n := Clamp(off, n, s.size)
		for e, err := range s.d.Extents(ctx, s.off+off, n) {
			e.Off -= s.off
			if err != nil {
				e = Extent{}
			}
			if !yield(e, err) {
				return
			}
		}
	}
}
