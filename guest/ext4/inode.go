package ext4

import (
	"fmt"
	"time"

	"kuva/disk"
	"kuva/guest/tree"
)

// Flags of an inode.
const (
	flagCompressed = 0x4
	flagImmutable  = 0x10
	flagAppend     = 0x20
	flagEncrypt    = 0x800
	flagIndex      = 0x1000
	flagHugeFile   = 0x40000
	flagExtents    = 0x80000
	flagVerity     = 0x100000
	flagEAInode    = 0x200000
	flagInlineData = 0x10000000
	flagCasefold   = 0x40000000
)

// inode is one that was read. raw is shared and must not be changed.
type inode struct {
	no    uint32
	raw   []byte
	mode  uint32
	flags uint32
	size  int64
	links uint32
	seed  uint32 // of checksums of what belongs to the inode
}

func (i *inode) typ() uint32 { return i.mode & tree.TypeMask }

// body is the 60 bytes that hold the block map, the root of the extents, a
// short link or inline data.
func (i *inode) body() []byte { return i.raw[40:100] }

// extra is how many bytes behind the first 128 hold fields.
func (i *inode) extra() int {
	if len(i.raw) <= 130 {
		return 0
	}
	n := int(le.Uint16(i.raw[128:]))
	if n%4 != 0 || 128+n > len(i.raw) {
		return 0
	}
	return n
}

// inode reads an inode.
func (f *FS) inode(no uint64) (*inode, error) {
	s := f.s
	if no == 0 || no > uint64(s.inodes) {
		return nil, disk.Malform("ext4", "inode %d of %d", no, s.inodes)
	}
	index := (no - 1) % uint64(s.inodesPerGroup)
	g, err := f.group((no - 1) / uint64(s.inodesPerGroup))
	if err != nil {
		return nil, err
	}
	off := index * uint64(s.inodeSize)
	table := off / uint64(s.blockSize)
	if g.inodeTable <= s.firstData || g.inodeTable+table >= s.blocks {
		return nil, disk.Malform("ext4", "an inode table at block %d", g.inodeTable)
	}
	p, err := f.block(g.inodeTable + table)
	if err != nil {
		return nil, err
	}
	i := &inode{no: uint32(no), raw: p[off%uint64(s.blockSize):][:s.inodeSize]}
	i.mode = uint32(le.Uint16(i.raw[0:]))
	i.links = uint32(le.Uint16(i.raw[26:]))
	i.flags = le.Uint32(i.raw[32:])
	i.size = int64(le.Uint32(i.raw[4:]))
	if t := i.typ(); t == tree.Regular || t == tree.Dir {
		i.size |= int64(le.Uint32(i.raw[108:])) << 32
	}
	if i.mode == 0 && i.links == 0 {
		return nil, disk.Malform("ext4", "inode %d is in use and free", no)
	}
	if i.size < 0 {
		return nil, disk.Malform("ext4", "inode %d has %d bytes", no, uint64(i.size))
	}
	if s.csum() {
		f.checkInode(i)
	}
	return i, nil
}

func (f *FS) checkInode(i *inode) {
	c := crc32c(f.s.seed, le.AppendUint32(nil, i.no))
	c = crc32c(c, i.raw[100:104]) // the generation
	i.seed = c
	zero := []byte{0, 0}
	c = crc32c(c, i.raw[:124])
	c = crc32c(c, zero)
	c = crc32c(c, i.raw[126:128])
	want, got := uint32(le.Uint16(i.raw[124:])), c&0xffff
	if len(i.raw) > 128 {
		c = crc32c(c, i.raw[128:130])
		if i.extra() >= 4 {
			c = crc32c(c, zero)
			c = crc32c(c, i.raw[132:])
			want |= uint32(le.Uint16(i.raw[130:])) << 16
			got = c
		} else {
			c = crc32c(c, i.raw[130:])
			got = c & 0xffff
		}
	}
	if want != got {
		f.note(tree.BadChecksum, fmt.Sprintf("inode %d", i.no))
	}
}

// Stat implements tree.Reader.
func (f *FS) Stat(id tree.ID) (tree.Attr, error) {
	i, err := f.inode(id.Ino)
	if err != nil {
		return tree.Attr{}, err
	}
	a := tree.Attr{
		ID: id, Mode: i.mode, Nlink: i.links, Size: i.size,
		UID: uint32(le.Uint16(i.raw[2:])) | uint32(le.Uint16(i.raw[120:]))<<16,
		GID: uint32(le.Uint16(i.raw[24:])) | uint32(le.Uint16(i.raw[122:]))<<16,
	}
	a.Allocated = f.allocated(i)
	switch i.typ() {
	case tree.Char, tree.Block:
		a.Rdev = rdev(i.body())
		a.Size = 0
	case tree.FIFO, tree.Socket:
		a.Size = 0
	}
	for bit, flag := range map[uint32]tree.Flags{
		flagEncrypt: tree.Encrypted, flagCompressed: tree.Compressed, flagVerity: tree.Verity,
		flagCasefold: tree.Casefold, flagImmutable: tree.Immutable, flagAppend: tree.Append,
	} {
		if i.flags&bit != 0 {
			a.Flags |= flag
		}
	}
	extra := i.extra()
	at := func(off, extraOff int) time.Time {
		sec := int64(int32(le.Uint32(i.raw[off:])))
		var ns int64
		if extraOff+4 <= 128+extra {
			x := le.Uint32(i.raw[extraOff:])
			sec += int64(x&3) << 32
			ns = int64(x >> 2)
		}
		return time.Unix(sec, ns).UTC()
	}
	a.Ctime, a.Mtime, a.Atime = at(12, 132), at(16, 136), at(8, 140)
	if 148 <= 128+extra {
		a.Btime = at(144, 148)
	}
	return a, nil
}

// rdev decodes the old and the new form of device numbers.
func rdev(body []byte) uint64 {
	if old := uint64(le.Uint32(body)); old != 0 {
		return old>>8&0xff<<32 | old&0xff
	}
	v := uint64(le.Uint32(body[4:]))
	return v>>8&0xfff<<32 | v&0xff | v>>12&0xfff00
}

// allocated is what the inode's blocks take.
func (f *FS) allocated(i *inode) int64 {
	n := int64(le.Uint32(i.raw[28:]))
	unit := int64(512)
	if f.s.ro&roHugeFile != 0 {
		n |= int64(le.Uint16(i.raw[116:])) << 32
		if i.flags&flagHugeFile != 0 {
			unit = f.s.blockSize
		}
	}
	return n * unit
}

// attrBlock is the block of extended attributes, or 0.
func (f *FS) attrBlock(i *inode) uint64 {
	n := uint64(le.Uint32(i.raw[104:]))
	if f.s.incompat&incompat64bit != 0 {
		n |= uint64(le.Uint16(i.raw[118:])) << 32
	}
	return n
}

// Readlink implements tree.Reader.
func (f *FS) Readlink(id tree.ID) (string, error) {
	i, err := f.inode(id.Ino)
	if err != nil {
		return "", err
	}
	if i.typ() != tree.Symlink {
		return "", disk.Malform("ext4", "inode %d is no symbolic link", i.no)
	}
	if i.flags&flagEncrypt != 0 {
		return "", errEncrypted(i)
	}
	if i.size > min(4096, f.s.blockSize) {
		return "", disk.Malform("ext4", "a symbolic link of %d bytes", i.size)
	}
	if i.size < 60 && i.flags&(flagExtents|flagInlineData) == 0 {
		return string(cstring(i.body()[:i.size])), nil
	}
	p := make([]byte, i.size)
	c, err := f.content(i)
	if err != nil {
		return "", err
	}
	if err := disk.ReadFull(c, p, 0); err != nil {
		return "", err
	}
	return string(cstring(p)), nil
}

func errEncrypted(i *inode) error {
	return disk.Refuse("ext4", disk.ReasonEncrypted, "inode %d is encrypted", i.no)
}
