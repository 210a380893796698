package fat

import (
	"io/fs"
	"iter"

	"kuva/disk"
	"kuva/guest/tree"
)

// file is the content of a file.
type file struct {
	f     *FS
	size  int64
	chain *chain
}

// Open implements tree.Reader.
func (f *FS) Open(id tree.ID) (tree.File, error) {
	r, err := f.record(id)
	if err != nil {
		return nil, err
	}
	if id == f.Root() || r.dir() {
		return nil, fs.ErrInvalid
	}
	return f.file(r)
}

func (f *FS) file(r record) (*file, error) {
	size := r.size()
	if size > f.clusters*f.cluster {
		return nil, disk.Malform(format, "a file of %d bytes in %d clusters of %d", size, f.clusters, f.cluster)
	}
	if size > 0 {
		if _, err := f.at(f.first(r)); err != nil {
			return nil, err
		}
	}
	return &file{f: f, size: size, chain: f.chain(f.first(r), (size+f.cluster-1)/f.cluster)}, nil
}

func (f *file) Size() int64 { return f.size }

// run gives where the bytes from off lie, as far as they lie in one piece and
// at most n.
func (f *file) run(off, n int64) (at, length int64, err error) {
	i := off / f.f.cluster
	c, err := f.chain.cluster(i)
	if err != nil {
		return 0, 0, err
	}
	start, err := f.f.at(c)
	if err != nil {
		return 0, 0, err
	}
	in := off % f.f.cluster
	length = f.f.cluster - in
	for length < n {
		i++
		next, err := f.chain.cluster(i)
		if err != nil {
			return 0, 0, err
		}
		if next != c+1 {
			break
		}
		c = next
		length += f.f.cluster
	}
	return start + in, min(length, n), nil
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, f.size, func(p []byte, off int64) error {
		for len(p) > 0 {
			at, n, err := f.run(off, int64(len(p)))
			if err != nil {
				return err
			}
			if err := f.f.blocks.ReadFull(p[:n], at); err != nil {
				return err
			}
			p, off = p[n:], off+n
		}
		return nil
	})
}

// Extents implements tree.Extenter.
func (f *file) Extents() iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		for off := int64(0); off < f.size; {
			at, n, err := f.run(off, f.size-off)
			if err != nil {
				yield(disk.Extent{}, err)
				return
			}
			if !yield(disk.Extent{Off: off, Len: n, Kind: disk.Data, At: at}, nil) {
				return
			}
			off += n
		}
	}
}
