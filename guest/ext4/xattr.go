package ext4

import (
	"fmt"

	"kuva/disk"
	"kuva/guest/tree"
)

const (
	attrMagic    = 0xea020000
	maxAttrValue = 64 << 10
)

// prefixes of attribute names, by index.
var prefixes = []string{
	"", "user.", "system.posix_acl_access", "system.posix_acl_default", "trusted.", "", "security.", "system.", "system.richacl",
}

// attr is an extended attribute as it is stored.
type attr struct {
	index int
	name  string
	value []byte
	inode uint32 // that holds the value, where it is not 0
	size  uint32
}

// bodyAttrs calls f for the attributes behind the fields of an inode.
func (f *FS) bodyAttrs(i *inode, g func(attr) error) error {
	start := 128 + i.extra()
	if i.extra() == 0 || start+4 > len(i.raw) || le.Uint32(i.raw[start:]) != attrMagic {
		return nil
	}
	return f.attrs(i.raw[start+4:], i.raw[start+4:], g)
}

// attrs calls g for a list of attributes; values counts the offsets.
func (f *FS) attrs(list, values []byte, g func(attr) error) error {
	for len(list) >= 4 && le.Uint32(list) != 0 {
		if err := f.r.Budget().Step(1); err != nil {
			return err
		}
		if len(list) < 16 || len(list) < 16+int(list[0]) {
			return disk.Malform("ext4", "an attribute is cut off")
		}
		n := int(list[0])
		a := attr{index: int(list[1]), inode: le.Uint32(list[4:]), size: le.Uint32(list[8:]), name: string(list[16 : 16+n])}
		if a.inode == 0 && a.size > 0 {
			off := int(le.Uint16(list[2:]))
			if a.size > maxAttrValue || off+int(a.size) > len(values) {
				return disk.Malform("ext4", "the attribute %s has a value of %d bytes at %d", disk.Quote([]byte(a.name)), a.size, off)
			}
			a.value = values[off : off+int(a.size)]
		}
		if err := g(a); err != nil {
			return err
		}
		list = list[min(len(list), 16+(n+3)&^3):]
	}
	return nil
}

// Xattrs implements tree.Xattrer.
func (f *FS) Xattrs(id tree.ID) (map[string][]byte, error) {
	i, err := f.inode(id.Ino)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	add := func(a attr) error {
		name := fmt.Sprintf("%d.", a.index)
		if a.index < len(prefixes) {
			name = prefixes[a.index]
		}
		name += a.name
		if a.index == 9 || name == "system.data" {
			return nil // the key of encryption, and inline data: no attributes for users
		}
		value := a.value
		if a.inode != 0 {
			if value, err = f.attrInode(a); err != nil {
				return err
			}
		}
		all[name] = append([]byte(nil), value...)
		return nil
	}
	if err := f.bodyAttrs(i, add); err != nil {
		return nil, err
	}
	at := f.attrBlock(i)
	if at == 0 {
		return all, nil
	}
	p, err := f.block(at)
	if err != nil {
		return nil, err
	}
	if le.Uint32(p) != attrMagic || le.Uint32(p[8:]) != 1 {
		return nil, disk.Malform("ext4", "inode %d: no block of attributes at %d", i.no, at)
	}
	if f.s.csum() {
		c := crc32c(f.s.seed, le.AppendUint64(nil, at))
		c = crc32c(c, p[:16])
		c = crc32c(c, []byte{0, 0, 0, 0})
		if crc32c(c, p[20:]) != le.Uint32(p[16:]) {
			f.note(tree.BadChecksum, fmt.Sprintf("attributes of inode %d", i.no))
		}
	}
	return all, f.attrs(p[32:], p, add)
}

// attrInode reads a value that has an inode of its own.
func (f *FS) attrInode(a attr) ([]byte, error) {
	i, err := f.inode(uint64(a.inode))
	if err != nil {
		return nil, err
	}
	if i.typ() != tree.Regular || i.flags&flagEAInode == 0 || i.size != int64(a.size) || a.size > maxAttrValue {
		return nil, disk.Malform("ext4", "inode %d holds no attribute of %d bytes", i.no, a.size)
	}
	c, err := f.content(i)
	if err != nil {
		return nil, err
	}
	p := make([]byte, a.size)
	return p, disk.ReadFull(c, p, 0)
}
