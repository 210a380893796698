package xfs

import (
	"iter"

	"kuva/disk"
	"kuva/guest/internal/blocks"
	"kuva/guest/tree"
)

// Open implements tree.Reader.
func (f *FS) Open(id tree.ID) (tree.File, error) {
	i, err := f.inode(id.Ino)
	if err != nil {
		return nil, err
	}
	switch {
	case i.typ() != tree.Regular:
		return nil, disk.Malform("xfs", "inode %d is no file", i.no)
	case i.flags&flagRealtime != 0:
		return nil, disk.Refuse("xfs", disk.ReasonUnsupported, "inode %d lies on a realtime device", i.no)
	}
	return &file{f, i.no, i.data, i.size}, nil
}

// file is the content of a fork.
type file struct {
	f     *FS
	owner uint64
	fork  fork
	size  int64
}

func (c *file) Size() int64 { return c.size }

func (c *file) ReadAt(p []byte, off int64) (int, error) {
	return c.f.r.ReadAt(p, off, c.size, c.extent)
}

// extent tells what lies at off, up to the end of the file at most.
func (c *file) extent(off int64) (disk.Extent, error) {
	size := c.f.s.blockSize
	r, err := c.f.run(c.owner, c.fork, uint64(off/size))
	if err != nil {
		return disk.Extent{}, err
	}
	in := off % size
	e := disk.Extent{Off: off, Len: c.size - off, Kind: disk.Hole, At: disk.Nowhere}
	if r.n < uint64(e.Len/size)+1 {
		e.Len = min(e.Len, int64(r.n)*size-in)
	}
	switch {
	case r.at < 0:
	case r.unwritten:
		e.Kind = disk.Zero
	default:
		e.Kind, e.At = disk.Data, r.at+in
	}
	return e, nil
}

// Extents implements tree.Extenter.
func (c *file) Extents() iter.Seq2[disk.Extent, error] { return blocks.Extents(c.size, c.extent) }
