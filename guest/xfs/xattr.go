package xfs

import (
	"fmt"
	"math"

	"kuva/disk"
	"kuva/guest/tree"
)

const (
	attrLocal      = 0x1
	attrRoot       = 0x2
	attrSecure     = 0x4
	attrParent     = 0x8
	attrIncomplete = 0x80

	maxAttrValue = 64 << 10
	maxAttrs     = 64 << 10 // bytes of names that the kernel lists
)

// attrName puts the prefix of its name space before a name. Attributes that
// are no user's business give "".
func attrName(flags byte, name []byte) string {
	switch {
	case flags&(attrIncomplete|attrParent) != 0:
		return ""
	case flags&attrRoot != 0:
		return "trusted." + string(name)
	case flags&attrSecure != 0:
		return "security." + string(name)
	}
	return "user." + string(name)
}

// Xattrs implements tree.Xattrer. Access lists, which Linux keeps as trusted
// attributes, are given under the names that they are stored by.
func (f *FS) Xattrs(id tree.ID) (map[string][]byte, error) {
	i, err := f.inode(id.Ino)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	switch {
	case i.attrs.p == nil:
		return all, nil
	case i.attrs.form == formLocal:
		return all, f.shortAttrs(i, all)
	case i.attrs.extents == 0 && i.attrs.form == formExtents:
		return all, nil
	}
	return all, f.attrLeaves(i, all)
}

func (f *FS) shortAttrs(i *inode, all map[string][]byte) error {
	p := i.attrs.p
	if len(p) < 4 || int(be.Uint16(p)) > len(p) {
		return disk.Malform("xfs", "inode %d has attributes that do not fit", i.no)
	}
	count := int(p[2])
	p = p[4:max(4, be.Uint16(p))]
	for range count {
		if err := f.r.Budget().Step(1); err != nil {
			return err
		}
		if len(p) < 3 || len(p) < 3+int(p[0])+int(p[1]) {
			return disk.Malform("xfs", "inode %d has attributes that are cut off", i.no)
		}
		n, v := int(p[0]), int(p[1])
		if name := attrName(p[2], p[3:3+n]); name != "" {
			all[name] = append([]byte(nil), p[3+n:3+n+v]...)
		}
		p = p[3+n+v:]
	}
	return nil
}

// attrLeaves goes down to the first leaf of the attributes' tree and along the
// others.
func (f *FS) attrLeaves(i *inode, all map[string][]byte) error {
	c := &file{f, i.no, i.attrs, math.MaxInt64}
	header := 12 // of any block
	magicNode, magicLeaf := uint16(0xfebe), uint16(0xfbee)
	if f.s.v5 {
		header, magicNode, magicLeaf = 56, 0x3ebe, 0x3bee
	}
	seen := map[uint32]bool{}
	depth := 0
	for n := uint32(0); !seen[n]; {
		seen[n] = true
		// So many leaves would hold more names than a list can.
		if err := f.r.Budget().Step(1); err != nil {
			return err
		}
		if len(seen) > maxAttrs {
			return disk.Malform("xfs", "inode %d has attributes without end", i.no)
		}
		p := make([]byte, f.s.blockSize)
		if err := disk.ReadFull(c, p, int64(n)*f.s.blockSize); err != nil {
			return err
		}
		if f.s.v5 && !sum(p, 12) {
			f.note(tree.BadChecksum, fmt.Sprintf("attributes of inode %d", i.no))
		}
		count := int(be.Uint16(p[header:]))
		switch be.Uint16(p[8:]) {
		case magicNode:
			at := header + 4
			if f.s.v5 {
				at += 4
			}
			if depth++; depth > 5 || count == 0 {
				return disk.Malform("xfs", "inode %d has a tree of attributes of level %d", i.no, depth)
			}
			n = be.Uint32(p[at+4:])
		case magicLeaf:
			if err := f.attrLeaf(i, c, p, header, count, all); err != nil {
				return err
			}
			if n = be.Uint32(p); n == 0 {
				return nil
			}
		default:
			return disk.Malform("xfs", "inode %d has no attributes in block %d", i.no, n)
		}
	}
	return disk.Malform("xfs", "the attributes of inode %d lead back to themselves", i.no)
}

func (f *FS) attrLeaf(i *inode, c *file, p []byte, header, count int, all map[string][]byte) error {
	at := header + 20
	if f.s.v5 {
		at += 4
	}
	if count > (len(p)-at)/8 {
		return disk.Malform("xfs", "inode %d has %d attributes in a block", i.no, count)
	}
	if err := f.r.Budget().Step(int64(count)); err != nil {
		return err
	}
	for k := range count {
		e := p[at+8*k:]
		where, flags := int(be.Uint16(e[4:])), e[6]
		fixed := 3
		if flags&attrLocal == 0 {
			fixed = 9
		}
		if where+fixed > len(p) {
			return disk.Malform("xfs", "inode %d has an attribute at %d", i.no, where)
		}
		d := p[where:]
		n := int(d[fixed-1])
		if fixed+n > len(d) {
			return disk.Malform("xfs", "inode %d has the name of an attribute cut off", i.no)
		}
		name := attrName(flags, d[fixed:fixed+n])
		if name == "" {
			continue
		}
		if flags&attrLocal != 0 {
			v := int(be.Uint16(d))
			if fixed+n+v > len(d) {
				return disk.Malform("xfs", "inode %d has the value of an attribute cut off", i.no)
			}
			all[name] = append([]byte(nil), d[fixed+n:fixed+n+v]...)
			continue
		}
		value, err := f.attrValue(i, c, be.Uint32(d), be.Uint32(d[4:]))
		if err != nil {
			return err
		}
		all[name] = value
	}
	return nil
}

// attrValue reads one that lies in blocks of its own, each with a header in
// version 5.
func (f *FS) attrValue(i *inode, c *file, block, size uint32) ([]byte, error) {
	if size > maxAttrValue {
		return nil, disk.Malform("xfs", "inode %d has an attribute of %d bytes", i.no, size)
	}
	value := make([]byte, 0, size)
	for n := int64(block); len(value) < int(size); n++ {
		p := make([]byte, f.s.blockSize)
		if err := disk.ReadFull(c, p, n*f.s.blockSize); err != nil {
			return nil, err
		}
		if f.s.v5 {
			if string(p[:4]) != "XARM" {
				return nil, disk.Malform("xfs", "inode %d has no value in block %d", i.no, n)
			}
			if !sum(p, 12) {
				f.note(tree.BadChecksum, fmt.Sprintf("attributes of inode %d", i.no))
			}
			p = p[56:]
		}
		value = append(value, p[:min(len(p), int(size)-len(value))]...)
	}
	return value, nil
}
