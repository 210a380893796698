package xfs

import (
	"fmt"
	"time"

	"kuva/disk"
	"kuva/guest/tree"
)

const (
	flagRealtime  = 0x1
	flagImmutable = 0x8
	flagAppend    = 0x10

	flag2Bigtime = 0x8
	flag2NREXT64 = 0x10
)

// inode is one that was read. raw is shared and must not be changed.
type inode struct {
	no     uint64
	raw    []byte
	mode   uint32
	flags  uint16
	flags2 uint64
	size   int64
	data   fork
	attrs  fork
}

func (i *inode) typ() uint32 { return i.mode & tree.TypeMask }

// Forms of a fork.
const (
	formDevice = iota
	formLocal
	formExtents
	formTree
)

// fork is where the content or the attributes of an inode begin.
type fork struct {
	form    int
	p       []byte
	extents uint64
}

func (f *FS) inode(no uint64) (*inode, error) {
	s := f.s
	off, err := s.inodeOffset(no)
	if err != nil {
		return nil, err
	}
	// Inodes lie together: read the block that they share.
	in := off % s.blockSize
	p, err := f.r.Get(off-in, int(s.blockSize))
	if err != nil {
		return nil, err
	}
	p = p[in:][:s.inodeSize]
	if string(p[:2]) != "IN" {
		return nil, disk.Malform("xfs", "no inode %d", no)
	}
	i := &inode{no: no, raw: p, mode: uint32(be.Uint16(p[2:])), flags: be.Uint16(p[90:])}
	core := 100
	switch version := p[4]; {
	case version == 3 && s.v5:
		core = 176
		i.flags2 = be.Uint64(p[120:])
		if !sum(p, 100) {
			f.note(tree.BadChecksum, fmt.Sprintf("inode %d", no))
		}
		if be.Uint64(p[152:]) != no {
			return nil, disk.Malform("xfs", "inode %d calls itself %d", no, be.Uint64(p[152:]))
		}
	case version != 1 && version != 2 || s.v5:
		return nil, disk.Malform("xfs", "inode %d has version %d", no, version)
	}
	if i.mode == 0 {
		return nil, disk.Malform("xfs", "inode %d is in use and free", no)
	}
	i.size = int64(be.Uint64(p[56:]))
	if i.size < 0 {
		return nil, disk.Malform("xfs", "inode %d has %d bytes", no, uint64(i.size))
	}
	i.data = fork{form: int(p[5]), p: p[core:], extents: uint64(be.Uint32(p[76:]))}
	i.attrs = fork{form: int(p[83]), extents: uint64(be.Uint16(p[80:]))}
	if i.flags2&flag2NREXT64 != 0 {
		i.data.extents, i.attrs.extents = be.Uint64(p[24:]), uint64(be.Uint32(p[76:]))
	}
	if border := core + 8*int(p[82]); p[82] != 0 {
		if border >= len(p) {
			return nil, disk.Malform("xfs", "inode %d has its attributes at %d", no, border)
		}
		i.data.p, i.attrs.p = p[core:border], p[border:]
	}
	return i, nil
}

// Stat implements tree.Reader.
func (f *FS) Stat(id tree.ID) (tree.Attr, error) {
	i, err := f.inode(id.Ino)
	if err != nil {
		return tree.Attr{}, err
	}
	p := i.raw
	a := tree.Attr{
		ID: id, Mode: i.mode, UID: be.Uint32(p[8:]), GID: be.Uint32(p[12:]), Nlink: be.Uint32(p[16:]), Size: i.size,
	}
	if p[4] == 1 {
		a.Nlink = uint32(be.Uint16(p[6:]))
	}
	if n := be.Uint64(p[64:]); n <= f.s.blocks {
		a.Allocated = int64(n) * f.s.blockSize
	}
	if t := i.typ(); t == tree.Char || t == tree.Block {
		v := uint64(be.Uint32(i.data.p))
		a.Rdev = v>>18<<32 | v&(1<<18-1)
	}
	if i.flags&flagImmutable != 0 {
		a.Flags |= tree.Immutable
	}
	if i.flags&flagAppend != 0 {
		a.Flags |= tree.Append
	}
	at := func(off int) time.Time {
		if i.flags2&flag2Bigtime != 0 {
			ns := be.Uint64(p[off:])
			return time.Unix(int64(ns/1e9)-1<<31, int64(ns%1e9)).UTC()
		}
		return time.Unix(int64(int32(be.Uint32(p[off:]))), int64(be.Uint32(p[off+4:]))).UTC()
	}
	a.Atime, a.Mtime, a.Ctime = at(32), at(40), at(48)
	if f.s.v5 {
		a.Btime = at(144)
	}
	return a, nil
}

// maxLink is the longest target of a symbolic link.
const maxLink = 1024

// Readlink implements tree.Reader.
func (f *FS) Readlink(id tree.ID) (string, error) {
	i, err := f.inode(id.Ino)
	if err != nil {
		return "", err
	}
	if i.typ() != tree.Symlink || i.size > maxLink {
		return "", disk.Malform("xfs", "inode %d is no symbolic link, or one of %d bytes", i.no, i.size)
	}
	if i.data.form == formLocal {
		if i.size > int64(len(i.data.p)) {
			return "", disk.Malform("xfs", "a symbolic link of %d bytes in %d", i.size, len(i.data.p))
		}
		return string(i.data.p[:i.size]), nil
	}
	var target []byte
	for lblk := uint64(0); int64(len(target)) < i.size; {
		r, err := f.run(i.no, i.data, lblk)
		if err != nil {
			return "", err
		}
		if r.at < 0 {
			return "", disk.Malform("xfs", "a symbolic link with a hole")
		}
		// A piece of the target, behind a header of its own in version 5.
		n := min(int64(r.n), 4)
		p := make([]byte, n*f.s.blockSize)
		if err := f.r.ReadFull(p, r.at); err != nil {
			return "", err
		}
		if f.s.v5 {
			if string(p[:4]) != "XSLM" {
				return "", disk.Malform("xfs", "no symbolic link at %d", r.at)
			}
			if !sum(p[:f.s.blockSize*n], 12) {
				f.note(tree.BadChecksum, fmt.Sprintf("symbolic link %d", i.no))
			}
			p = p[56:]
		}
		target = append(target, p[:min(int64(len(p)), i.size-int64(len(target)))]...)
		lblk += uint64(n)
	}
	return string(target), nil
}
