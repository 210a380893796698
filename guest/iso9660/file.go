package iso9660

import (
	"io/fs"
	"iter"
	"sort"

	"kuva/disk"
	"kuva/guest/tree"
)

// maxExtents is in how many pieces of up to 4 GiB a file may lie.
const maxExtents = 1024

// extent is a piece of a file: n bytes from off of it lie at at.
type extent struct{ off, n, at int64 }

// node is a file or folder.
type node struct {
	attr    tree.Attr
	extents []extent
	size    int64 // of the content as it is stored
	link    string
	packed  bool
}

// node reads the record of a node, the ones of its further pieces, and what
// Rock Ridge says.
func (f *FS) node(id tree.ID) (*node, error) {
	if err := f.budget.Step(1); err != nil {
		return nil, err
	}
	if id.Tree != 0 || id.Ino > 1<<62 {
		return nil, fs.ErrInvalid
	}
	r, err := f.record(int64(id.Ino))
	if err != nil {
		return nil, err
	}
	n := &node{attr: tree.Attr{ID: id, Mode: tree.Regular | 0o444, Nlink: 1, Mtime: r.when}}
	if r.flags&isFolder != 0 {
		n.attr.Mode = tree.Dir | 0o555
	}
	if r.flags&isHidden != 0 {
		n.attr.Flags |= tree.Hidden
	}
	for p := r; ; {
		n.extents = append(n.extents, extent{n.size, p.size, p.extent(f)})
		n.size += p.size
		if p.flags&isMore == 0 {
			break
		}
		if len(n.extents) >= maxExtents {
			return nil, disk.Malform(format, "a file of more than %d pieces", maxExtents)
		}
		next := p.at + p.length
		b, err := f.blocks.Get(next&^(sector-1), sector)
		if err != nil {
			return nil, err
		}
		if b[next%sector] == 0 || next%sector == 0 {
			next = (next + sector - 1) &^ (sector - 1)
		}
		if p, err = f.record(next); err != nil {
			return nil, err
		}
	}
	n.attr.Size, n.attr.Allocated = n.size, (n.size+f.block-1)/f.block*f.block
	if f.susp {
		if err := f.rockRidge(n, r); err != nil {
			return nil, err
		}
	}
	if n.attr.Mode&tree.TypeMask == tree.Dir {
		n.attr.Size = 0
	}
	return n, nil
}

func (f *FS) rockRidge(n *node, r record) error {
	if r.at == int64(f.root.Ino) { // the descriptor's record has no room for it
		dot, err := f.record(r.extent(f))
		if err != nil {
			return err
		}
		r = dot
	}
	e, err := f.entries(r)
	if err != nil {
		return err
	}
	a := &n.attr
	if e.hasMode {
		// Only what the record says can be a folder is one.
		if folder := e.mode&tree.TypeMask == tree.Dir; folder != (a.Mode&tree.TypeMask == tree.Dir) {
			return disk.Malform(format, "the record at %d is of a folder and of none", r.at)
		}
		a.Mode, a.Nlink, a.UID, a.GID = e.mode&0o177777, e.nlink, e.uid, e.gid
	}
	switch a.Mode & tree.TypeMask {
	case tree.Char, tree.Block:
		a.Rdev = e.rdev
	case tree.Symlink:
		n.link = e.link.String()
		a.Size = int64(len(n.link))
	}
	if !e.mtime.IsZero() {
		a.Mtime = e.mtime
	}
	a.Atime, a.Ctime, a.Btime = e.atime, e.ctime, e.btime
	if e.packed {
		n.packed = true
		a.Size = e.packedSize
		a.Flags |= tree.Compressed
	}
	return nil
}

// Stat implements tree.Reader.
func (f *FS) Stat(id tree.ID) (tree.Attr, error) {
	n, err := f.node(id)
	if err != nil {
		return tree.Attr{}, err
	}
	return n.attr, nil
}

// Readlink implements tree.Reader.
func (f *FS) Readlink(id tree.ID) (string, error) {
	n, err := f.node(id)
	if err != nil {
		return "", err
	}
	if n.attr.Mode&tree.TypeMask != tree.Symlink {
		return "", fs.ErrInvalid
	}
	return n.link, nil
}

// Open implements tree.Reader.
func (f *FS) Open(id tree.ID) (tree.File, error) {
	n, err := f.node(id)
	if err != nil {
		return nil, err
	}
	if n.attr.Mode&tree.TypeMask != tree.Regular {
		return nil, fs.ErrInvalid
	}
	if n.packed {
		return nil, disk.Refuse(format, disk.ReasonFeature, "the file is compressed by zisofs")
	}
	for _, e := range n.extents {
		if e.n > 0 && (e.at > f.blocks.Size() || e.n > f.blocks.Size()-e.at) {
			return nil, disk.Malform(format, "a file lies at %d to %d of %d", e.at, e.at+e.n, f.blocks.Size())
		}
	}
	return &file{f, n}, nil
}

type file struct {
	f *FS
	n *node
}

func (f *file) Size() int64 { return f.n.size }

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, f.n.size, func(p []byte, off int64) error {
		i := sort.Search(len(f.n.extents), func(i int) bool { return f.n.extents[i].off+f.n.extents[i].n > off })
		for ; len(p) > 0; i++ {
			e := f.n.extents[i]
			in := off - e.off
			k := min(int64(len(p)), e.n-in)
			if err := f.f.blocks.ReadFull(p[:k], e.at+in); err != nil {
				return err
			}
			p, off = p[k:], off+k
		}
		return nil
	})
}

// Extents implements tree.Extenter.
func (f *file) Extents() iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		for _, e := range f.n.extents {
			if e.n > 0 && !yield(disk.Extent{Off: e.off, Len: e.n, Kind: disk.Data, At: e.at}, nil) {
				return
			}
		}
	}
}
