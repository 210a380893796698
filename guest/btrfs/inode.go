package btrfs

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"math"
	"time"

	"kuva/disk"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

// Stat implements tree.Reader.
func (f *FS) Stat(id tree.ID) (tree.Attr, error) {
	if id.Ino == emptyDir {
		return tree.Attr{ID: id, Mode: tree.Dir | 0o755, Nlink: 1}, nil
	}
	r, err := f.tree(id.Tree)
	if err != nil {
		return tree.Attr{}, missing(err, id)
	}
	b, err := f.get(r, key{id.Ino, kindInode, 0})
	if err != nil {
		return tree.Attr{}, missing(err, id)
	}
	if len(b) < 160 {
		return tree.Attr{}, disk.Malform(format, "inode %d has %d bytes", id.Ino, len(b))
	}
	le := binary.LittleEndian
	size, stored := le.Uint64(b[16:]), le.Uint64(b[24:])
	if size > math.MaxInt64 || stored > math.MaxInt64 {
		return tree.Attr{}, disk.Malform(format, "inode %d is of %d bytes", id.Ino, size)
	}
	a := tree.Attr{
		ID: id, Mode: le.Uint32(b[52:]), UID: le.Uint32(b[44:]), GID: le.Uint32(b[48:]), Nlink: le.Uint32(b[40:]),
		Size: int64(size), Allocated: int64(stored),
		Atime: stamp(b[112:]), Ctime: stamp(b[124:]), Mtime: stamp(b[136:]), Btime: stamp(b[148:]),
	}
	if a.Btime.Unix() == 0 { // mkfs writes none
		a.Btime = time.Time{}
	}
	if a.Mode&^0o177777 != 0 {
		return tree.Attr{}, disk.Malform(format, "inode %d has mode %o", id.Ino, a.Mode)
	}
	switch a.Mode & tree.TypeMask {
	case tree.Char, tree.Block:
		dev := le.Uint64(b[56:])
		a.Rdev = dev>>20<<32 | dev&0xfffff
	}
	for bit, flag := range map[uint64]tree.Flags{64: tree.Immutable, 128: tree.Append, 2048: tree.Compressed} {
		if le.Uint64(b[64:])&bit != 0 {
			a.Flags |= flag
		}
	}
	return a, nil
}

// missing makes a damage of an inode that an entry leads to and that is not
// there.
func missing(err error, id tree.ID) error {
	if errors.Is(err, fs.ErrNotExist) {
		return disk.Malform(format, "there is no inode %d in subvolume %d", id.Ino, id.Tree)
	}
	return err
}

func stamp(b []byte) time.Time {
	sec, nsec := int64(binary.LittleEndian.Uint64(b)), int64(binary.LittleEndian.Uint32(b[8:]))
	return time.Unix(sec, nsec)
}

// dirItem is an entry of a folder, or an attribute.
type dirItem struct {
	location key
	typ      uint8
	name     string
	data     []byte
}

// dirItems calls do for the entries in an item: several of one hash.
func dirItems(b []byte, do func(dirItem) error) error {
	for len(b) > 0 {
		if len(b) < 30 {
			return disk.Malform(format, "an entry of a folder is cut off")
		}
		data, name := int(binary.LittleEndian.Uint16(b[25:])), int(binary.LittleEndian.Uint16(b[27:]))
		if 30+name+data > len(b) {
			return disk.Malform(format, "an entry of a folder is cut off")
		}
		e := dirItem{parseKey(b), b[29], string(b[30 : 30+name]), b[30+name : 30+name+data]}
		if err := do(e); err != nil {
			return err
		}
		b = b[30+name+data:]
	}
	return nil
}

var types = [...]uint32{0, tree.Regular, tree.Dir, tree.Char, tree.Block, tree.FIFO, tree.Socket, tree.Symlink}

// entry makes an entry of what a folder holds. A subvolume that does not hang
// here, as in a snapshot of what holds one, is an empty folder.
func (f *FS) entry(dir tree.ID, e dirItem) (tree.Entry, error) {
	out := tree.Entry{Name: e.name, ID: tree.ID{Tree: dir.Tree, Ino: e.location.object}}
	if int(e.typ) < len(types) {
		out.Type = types[e.typ]
	}
	if e.location.kind == kindRoot {
		out.Type = tree.Dir
		out.ID = tree.ID{Tree: dir.Tree, Ino: emptyDir}
		b, err := f.get(f.roots, key{dir.Tree, kindRootRef, e.location.object})
		if err == nil {
			if _, at, ok := rootRef(b); ok && at == dir.Ino {
				out.ID = tree.ID{Tree: e.location.object, Ino: rootDir}
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return out, err
		}
	} else if e.location.kind != kindInode {
		return out, disk.Malform(format, "an entry of a folder leads to an item of kind %d", e.location.kind)
	}
	return out, nil
}

// ReadDir implements tree.Reader.
func (f *FS) ReadDir(id tree.ID, do func(tree.Entry) error) error {
	a, err := f.Stat(id)
	if err != nil {
		return err
	}
	if a.Mode&tree.TypeMask != tree.Dir {
		return fs.ErrInvalid
	}
	if id.Ino == emptyDir {
		return nil
	}
	r, err := f.tree(id.Tree)
	if err != nil {
		return err
	}
	return f.scan(r, key{id.Ino, kindDirIndex, 0}, key{id.Ino, kindDirIndex, 1<<64 - 1}, func(_ key, b []byte) error {
		return dirItems(b, func(d dirItem) error {
			e, err := f.entry(id, d)
			if err != nil {
				return err
			}
			var ok bool
			if e.Name, ok = names.Element(e.Name); !ok {
				return nil
			}
			return do(e)
		})
	})
}

// nameHash is the offset of entries of a name.
func nameHash(name string) uint64 {
	return uint64(^crc32.Update(1, castagnoli, []byte(name)))
}

// findName finds an entry of a folder by its hash.
func (f *FS) findName(r root, dir uint64, name string) (dirItem, error) {
	b, err := f.get(r, key{dir, kindDirItem, nameHash(name)})
	if err != nil {
		return dirItem{}, err
	}
	var found *dirItem
	if err := dirItems(b, func(e dirItem) error {
		if e.name == name && found == nil {
			found = &e
		}
		return nil
	}); err != nil {
		return dirItem{}, err
	}
	if found == nil {
		return dirItem{}, fs.ErrNotExist
	}
	return *found, nil
}

// Lookup implements tree.Lookuper.
func (f *FS) Lookup(dir tree.ID, name string) (tree.Entry, error) {
	if dir.Ino == emptyDir {
		return tree.Entry{}, fs.ErrNotExist
	}
	r, err := f.tree(dir.Tree)
	if err != nil {
		return tree.Entry{}, err
	}
	d, err := f.findName(r, dir.Ino, name)
	if err != nil {
		return tree.Entry{}, err
	}
	return f.entry(dir, d)
}

// Xattrs implements tree.Xattrer.
func (f *FS) Xattrs(id tree.ID) (map[string][]byte, error) {
	if id.Ino == emptyDir {
		return nil, nil
	}
	r, err := f.tree(id.Tree)
	if err != nil {
		return nil, err
	}
	all := map[string][]byte{}
	err = f.scan(r, key{id.Ino, kindXattr, 0}, key{id.Ino, kindXattr, 1<<64 - 1}, func(_ key, b []byte) error {
		return dirItems(b, func(d dirItem) error {
			all[d.name] = append([]byte{}, d.data...)
			return nil
		})
	})
	return all, err
}

// maxLink is how long a link's target is at most.
const maxLink = 4096

// Readlink implements tree.Reader.
func (f *FS) Readlink(id tree.ID) (string, error) {
	a, err := f.Stat(id)
	if err != nil {
		return "", err
	}
	if a.Mode&tree.TypeMask != tree.Symlink {
		return "", fs.ErrInvalid
	}
	if a.Size > maxLink {
		return "", disk.Malform(format, "a link of %d bytes", a.Size)
	}
	file, err := f.file(id, a)
	if err != nil {
		return "", err
	}
	b := make([]byte, a.Size)
	if err := disk.ReadFull(file, b, 0); err != nil {
		return "", err
	}
	return string(b), nil
}
