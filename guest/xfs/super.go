package xfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"

	"kuva/disk"
	"kuva/guest/tree"
)

// From the XFS Algorithms & Data Structures document and the kernel's
// fs/xfs/libxfs/xfs_format.h. All numbers are big-endian, but for checksums.
const (
	superMagic = "XFSB"

	versionDirV2    = 0x2000
	versionMoreBits = 0x8000

	features2FType = 0x200

	incompatFType       = 0x1
	incompatMetaUUID    = 0x4
	incompatNeedsRepair = 0x10
	// Types of entries, sparse inodes, another UUID in metadata, times behind
	// 2038, needs repair, many extents, exchange of content, parent pointers.
	incompatRead = 0xff
)

var be = binary.BigEndian

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of p with its own field, at off, as zeros.
func sum(p []byte, off int) bool {
	c := crc32.Update(0, castagnoli, p[:off])
	c = crc32.Update(c, castagnoli, []byte{0, 0, 0, 0})
	return crc32.Update(c, castagnoli, p[off+4:]) == binary.LittleEndian.Uint32(p[off:])
}

// super is what the superblock says, after it was checked.
type super struct {
	blockSize, sectorSize int64
	blocks                uint64
	agBlocks, agCount     uint64
	agBlockLog            uint
	inodeSize             int
	inodesLog             uint // inodes in a block, as a power of two
	root                  uint64
	dirBlock              int64 // bytes in a block of a folder
	ftype, v5             bool
	logStart              uint64
	logBlocks             uint64
	freeBlocks            uint64
	incompat              uint32
	uuid, label           []byte
}

func parseSuper(p []byte) (*super, error) {
	if string(p[:4]) != superMagic {
		return nil, disk.Malform("xfs", "no superblock")
	}
	version := be.Uint16(p[100:])
	s := &super{
		blockSize: int64(be.Uint32(p[4:])), blocks: be.Uint64(p[8:]), uuid: p[32:48], logStart: be.Uint64(p[48:]), root: be.Uint64(p[56:]),
		agBlocks: uint64(be.Uint32(p[84:])), agCount: uint64(be.Uint32(p[88:])), logBlocks: uint64(be.Uint32(p[96:])),
		sectorSize: int64(be.Uint16(p[102:])), inodeSize: int(be.Uint16(p[104:])), label: p[108:120],
		inodesLog: uint(p[123]), agBlockLog: uint(p[124]), freeBlocks: be.Uint64(p[144:]),
	}
	switch version & 0xf {
	case 4:
		s.ftype = version&versionMoreBits != 0 && be.Uint32(p[200:])&features2FType != 0
	case 5:
		s.v5 = true
		s.incompat = be.Uint32(p[216:])
		if unknown := s.incompat &^ incompatRead; unknown != 0 {
			return nil, disk.Refuse("xfs", disk.ReasonFeature, "unknown features %#x", unknown)
		}
		s.ftype = s.incompat&incompatFType != 0
	default:
		return nil, disk.Refuse("xfs", disk.ReasonFeature, "version %d", version&0xf)
	}
	if version&versionDirV2 == 0 {
		return nil, disk.Refuse("xfs", disk.ReasonFeature, "folders of version 1")
	}
	power := func(n int64) bool { return n > 0 && bits.OnesCount64(uint64(n)) == 1 }
	switch {
	case !power(s.blockSize) || s.blockSize < 512 || s.blockSize > 64<<10:
		return nil, disk.Malform("xfs", "blocks of %d bytes", s.blockSize)
	case !power(s.sectorSize) || s.sectorSize < 512 || s.sectorSize > 32<<10:
		return nil, disk.Malform("xfs", "sectors of %d bytes", s.sectorSize)
	case !power(int64(s.inodeSize)) || s.inodeSize < 256 || s.inodeSize > 2048 || int64(s.inodeSize)<<s.inodesLog != s.blockSize:
		return nil, disk.Malform("xfs", "%d inodes of %d bytes in a block", 1<<min(s.inodesLog, 30), s.inodeSize)
	case s.agBlocks == 0 || s.agCount == 0 || s.agBlockLog > 31 || s.agBlockLog != uint(bits.Len64(s.agBlocks-1)):
		return nil, disk.Malform("xfs", "%d groups of %d blocks", s.agCount, s.agBlocks)
	case s.blocks == 0 || s.blocks > (1<<62)/uint64(s.blockSize) || s.blocks > s.agBlocks*s.agCount || s.blocks <= s.agBlocks*(s.agCount-1):
		return nil, disk.Malform("xfs", "%d blocks in %d groups of %d", s.blocks, s.agCount, s.agBlocks)
	case p[192] > 7 || s.blockSize<<p[192] > 64<<10:
		return nil, disk.Malform("xfs", "folders in blocks of 2^%d blocks", p[192])
	}
	s.dirBlock = s.blockSize << p[192]
	return s, nil
}

// block gives the byte where a block lies. Numbers of blocks are a group and a
// block in it.
func (s *super) block(fsb uint64) (int64, error) {
	ag, n := fsb>>s.agBlockLog, fsb&(1<<s.agBlockLog-1)
	return s.agBlock(ag, n)
}

func (s *super) agBlock(ag, n uint64) (int64, error) {
	if ag >= s.agCount || n >= s.agBlocks || ag*s.agBlocks+n >= s.blocks {
		return 0, disk.Malform("xfs", "block %d of group %d", n, ag)
	}
	return int64(ag*s.agBlocks+n) * s.blockSize, nil
}

// inodeOffset gives the byte where an inode lies.
func (s *super) inodeOffset(ino uint64) (int64, error) {
	off, err := s.block(ino >> s.inodesLog)
	if err != nil {
		return 0, disk.Malform("xfs", "inode %d", ino)
	}
	return off + int64(ino&(1<<s.inodesLog-1))*int64(s.inodeSize), nil
}

// readSuper reads the superblock of the first group. The others' are copies,
// but nothing tells where they lie when the first is broken.
func (f *FS) readSuper() error {
	p, err := f.r.Get(0, 512)
	if err != nil {
		return err
	}
	if f.s, err = parseSuper(p); err != nil || !f.s.v5 {
		return err
	}
	if p, err = f.r.Get(0, int(f.s.sectorSize)); err != nil {
		return err
	}
	if !sum(p, 224) {
		f.note(tree.BadChecksum, "superblock")
	}
	return nil
}

// Info implements tree.Reader.
func (f *FS) Info() tree.Info {
	s := f.s
	u := s.uuid
	label, _, _ := bytes.Cut(s.label, []byte{0})
	i := tree.Info{
		Type: "xfs", Label: string(label), UUID: fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]),
		BlockSize: s.blockSize, Size: int64(s.blocks) * s.blockSize, FreeBytes: -1, Features: []string{"v4"},
	}
	if s.v5 {
		i.Features = []string{"v5", "crc"}
		for bit, name := range []string{"ftype", "sparse", "meta_uuid", "bigtime", "needsrepair", "nrext64", "exchange", "parent"} {
			if s.incompat&(1<<bit) != 0 {
				i.Features = append(i.Features, name)
			}
		}
	} else if s.ftype {
		i.Features = append(i.Features, "ftype")
	}
	if s.freeBlocks <= s.blocks {
		i.FreeBytes = int64(s.freeBlocks) * s.blockSize
	}
	f.mu.Lock()
	i.Notes = append(i.Notes, f.notes...)
	f.mu.Unlock()
	for _, n := range i.Notes {
		if n.ID == tree.JournalReplayed || n.ID == tree.JournalDirty {
			i.FreeBytes = -1
		}
	}
	return i
}
