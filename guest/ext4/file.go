package ext4

import (
	"errors"
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
		return nil, disk.Malform("ext4", "inode %d is no file", i.no)
	case i.flags&flagEncrypt != 0:
		return nil, errEncrypted(i)
	}
	return f.content(i)
}

// content gives what an inode holds.
func (f *FS) content(i *inode) (tree.File, error) {
	if i.flags&flagInlineData == 0 {
		return &file{f, i}, nil
	}
	p, err := f.inline(i)
	if err != nil {
		return nil, err
	}
	return inlineFile{p[:min(i.size, int64(len(p)))], i.size}, nil
}

// inlineFile is content that lies in the inode, and a hole behind it where the
// file was made longer.
type inlineFile struct {
	data []byte
	size int64
}

func (c inlineFile) Size() int64 { return c.size }

func (c inlineFile) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, c.size, func(p []byte, off int64) error {
		clear(p)
		if off < int64(len(c.data)) {
			copy(p, c.data[off:])
		}
		return nil
	})
}

func (c inlineFile) Extents() iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		n := int64(len(c.data))
		if n > 0 && !yield(disk.Extent{Len: n, At: disk.Nowhere}, nil) {
			return
		}
		if c.size > n {
			yield(disk.Extent{Off: n, Len: c.size - n, Kind: disk.Hole, At: disk.Nowhere}, nil)
		}
	}
}

// file is content in blocks.
type file struct {
	f *FS
	i *inode
}

func (c *file) Size() int64 { return c.i.size }

func (c *file) ReadAt(p []byte, off int64) (int, error) {
	return c.f.r.ReadAt(p, off, c.i.size, c.extent)
}

// extent tells what lies at off, up to the end of the file at most.
func (c *file) extent(off int64) (disk.Extent, error) {
	if err := c.f.r.Budget().Step(1); err != nil {
		return disk.Extent{}, err
	}
	size := c.f.s.blockSize
	r, err := c.f.run(c.i, uint64(off/size))
	if err != nil {
		return disk.Extent{}, err
	}
	in := off % size
	e := disk.Extent{Off: off, Kind: disk.Hole, At: disk.Nowhere}
	e.Len = c.i.size - off
	if r.n < uint64(e.Len/size)+1 {
		e.Len = min(e.Len, int64(r.n)*size-in)
	}
	switch {
	case r.unwritten:
		e.Kind = disk.Zero
	case r.phys != 0:
		e.Kind, e.At = disk.Data, int64(r.phys)*size+in
	}
	return e, nil
}

// Extents implements tree.Extenter.
func (c *file) Extents() iter.Seq2[disk.Extent, error] { return blocks.Extents(c.i.size, c.extent) }

var errStop = errors.New("stop")

// inline gives the content that lies in an inode: the body, and behind it the
// attribute system.data.
func (f *FS) inline(i *inode) ([]byte, error) {
	p := append([]byte(nil), i.body()...)
	err := f.bodyAttrs(i, func(a attr) error {
		if a.index == 7 && a.name == "data" {
			if a.inode != 0 {
				return disk.Malform("ext4", "inode %d has its inline data elsewhere", i.no)
			}
			p = append(p, a.value...)
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, err
	}
	return p, nil
}
