package ext4

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/tree"
)

// Where things lie, from the kernel's Documentation/filesystems/ext4 and
// fs/ext4/ext4.h.
const (
	superOffset = 1024
	superSize   = 1024
	superMagic  = 0xef53

	rootInode = 2

	compatHasJournal   = 0x4
	compatSparseSuper2 = 0x200
	compatFastCommit   = 0x400
	compatOrphanFile   = 0x1000

	incompatCompression = 0x1
	incompatFiletype    = 0x2
	incompatRecover     = 0x4
	incompatJournalDev  = 0x8
	incompatMetaBG      = 0x10
	incompatExtents     = 0x40
	incompat64bit       = 0x80
	incompatMMP         = 0x100
	incompatFlexBG      = 0x200
	incompatEAInode     = 0x400
	incompatDirdata     = 0x1000
	incompatCsumSeed    = 0x2000
	incompatLargedir    = 0x4000
	incompatInlineData  = 0x8000
	incompatEncrypt     = 0x10000
	incompatCasefold    = 0x20000
	incompatRead        = incompatFiletype | incompatRecover | incompatMetaBG | incompatExtents | incompat64bit |
		incompatMMP | incompatFlexBG | incompatEAInode | incompatDirdata | incompatCsumSeed | incompatLargedir |
		incompatInlineData | incompatEncrypt | incompatCasefold

	roSparseSuper  = 0x1
	roHugeFile     = 0x8
	roGDTCsum      = 0x10
	roBigalloc     = 0x200
	roMetadataCsum = 0x400
	roVerity       = 0x8000

	stateErrors = 2
)

var le = binary.LittleEndian

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c goes on from an earlier sum, without the inversions that hash/crc32
// does at both ends.
func crc32c(crc uint32, p []byte) uint32 { return ^crc32.Update(^crc, castagnoli, p) }

// super is what the superblock says, after it was checked.
type super struct {
	raw                      []byte
	blockSize                int64
	blocks, firstData        uint64
	groups                   uint64
	blocksPerGroup           uint64
	clustersPerGroup         uint64
	clusterRatio             uint64 // blocks in a cluster
	inodes, inodesPerGroup   uint32
	inodeSize, descSize      int
	compat, incompat, ro     uint32
	firstMetaBG              uint32
	journalInode, journalDev uint32
	seed                     uint32 // of checksums
	freeBlocks               uint64
	backupGroups             [2]uint32
	state                    uint16
}

func (s *super) csum() bool { return s.ro&roMetadataCsum != 0 }

// parseSuper reads a superblock and checks everything that later code counts
// with. size is the volume's.
func parseSuper(p []byte, size int64) (*super, error) {
	if le.Uint16(p[56:]) != superMagic {
		return nil, disk.Malform("ext4", "no superblock")
	}
	s := &super{
		raw: p, firstData: uint64(le.Uint32(p[20:])), blocks: uint64(le.Uint32(p[4:])), inodes: le.Uint32(p[0:]),
		blocksPerGroup: uint64(le.Uint32(p[32:])), clustersPerGroup: uint64(le.Uint32(p[36:])), clusterRatio: 1,
		inodesPerGroup: le.Uint32(p[40:]), inodeSize: 128, descSize: 32, freeBlocks: uint64(le.Uint32(p[12:])),
		state: le.Uint16(p[58:]),
	}
	logBlock := le.Uint32(p[24:])
	if logBlock > 6 {
		return nil, disk.Malform("ext4", "blocks of 2^%d KiB", logBlock)
	}
	s.blockSize = 1024 << logBlock
	if le.Uint32(p[76:]) > 0 { // revision 1
		s.compat, s.incompat, s.ro = le.Uint32(p[92:]), le.Uint32(p[96:]), le.Uint32(p[100:])
		s.inodeSize = int(le.Uint16(p[88:]))
	}
	if s.incompat&incompatJournalDev != 0 {
		return nil, disk.Refuse("ext4", disk.ReasonUnsupported, "the volume is the journal of another file system")
	}
	if s.incompat&incompatCompression != 0 {
		return nil, disk.Refuse("ext4", disk.ReasonFeature, "compressed files (e2compr)")
	}
	if unknown := s.incompat &^ incompatRead; unknown != 0 {
		return nil, disk.Refuse("ext4", disk.ReasonFeature, "unknown features %#x", unknown)
	}
	if s.incompat&incompat64bit != 0 {
		s.blocks |= uint64(le.Uint32(p[336:])) << 32
		s.freeBlocks |= uint64(le.Uint32(p[344:])) << 32
		s.descSize = int(le.Uint16(p[254:]))
		if s.descSize < 64 || s.descSize > 1024 || bits.OnesCount(uint(s.descSize)) != 1 {
			return nil, disk.Malform("ext4", "group descriptors of %d bytes", s.descSize)
		}
	}
	s.firstMetaBG = le.Uint32(p[260:])
	s.journalInode, s.journalDev = le.Uint32(p[224:]), le.Uint32(p[228:])
	s.backupGroups = [2]uint32{le.Uint32(p[588:]), le.Uint32(p[592:])}
	if s.ro&roBigalloc != 0 {
		logCluster := le.Uint32(p[28:])
		if logCluster < logBlock || logCluster > 20 {
			return nil, disk.Malform("ext4", "clusters of 2^%d KiB", logCluster)
		}
		s.clusterRatio = 1 << (logCluster - logBlock)
	} else {
		s.clustersPerGroup = s.blocksPerGroup
	}
	if err := s.check(size); err != nil {
		return nil, err
	}
	if s.incompat&incompatCsumSeed != 0 {
		s.seed = le.Uint32(p[624:])
	} else {
		s.seed = crc32c(^uint32(0), p[104:120])
	}
	return s, nil
}

func (s *super) check(size int64) error {
	bitsInBlock := uint64(8 * s.blockSize)
	switch {
	case s.inodeSize < 128 || int64(s.inodeSize) > s.blockSize || bits.OnesCount(uint(s.inodeSize)) != 1:
		return disk.Malform("ext4", "inodes of %d bytes", s.inodeSize)
	case s.clustersPerGroup == 0 || s.clustersPerGroup > bitsInBlock || s.blocksPerGroup != s.clustersPerGroup*s.clusterRatio:
		return disk.Malform("ext4", "%d blocks in a group", s.blocksPerGroup)
	case s.inodesPerGroup == 0 || uint64(s.inodesPerGroup) > bitsInBlock || s.inodesPerGroup < uint32(s.blockSize/int64(s.inodeSize)):
		return disk.Malform("ext4", "%d inodes in a group", s.inodesPerGroup)
	case s.firstData > 1 || s.blocks <= s.firstData:
		return disk.Malform("ext4", "%d blocks, the first of them %d", s.blocks, s.firstData)
	case s.blocks > uint64(1<<63-1)/uint64(s.blockSize):
		return disk.Malform("ext4", "%d blocks", s.blocks)
	}
	s.groups = (s.blocks - s.firstData + s.blocksPerGroup - 1) / s.blocksPerGroup
	if uint64(s.inodes) > s.groups*uint64(s.inodesPerGroup) || s.inodes < rootInode {
		return disk.Malform("ext4", "%d inodes in %d groups of %d", s.inodes, s.groups, s.inodesPerGroup)
	}
	return nil
}

// checksum tells whether the superblock's checksum holds.
func (s *super) checksum() bool {
	return !s.csum() || crc32c(^uint32(0), s.raw[:1020]) == le.Uint32(s.raw[1020:])
}

// hasSuper tells whether a group begins with a copy of superblock and group
// descriptors.
func (s *super) hasSuper(group uint64) bool {
	if group == 0 {
		return true
	}
	if s.compat&compatSparseSuper2 != 0 {
		return group == uint64(s.backupGroups[0]) || group == uint64(s.backupGroups[1])
	}
	if group == 1 || s.ro&roSparseSuper == 0 {
		return true
	}
	for _, base := range []uint64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}
		if n == group {
			return true
		}
	}
	return false
}

func (s *super) groupStart(group uint64) uint64 { return s.firstData + group*s.blocksPerGroup }

// descBlock tells which block holds the n-th block of group descriptors.
func (s *super) descBlock(n uint64) uint64 {
	if s.incompat&incompatMetaBG == 0 || n < uint64(s.firstMetaBG) {
		return superOffset/uint64(s.blockSize) + n + 1
	}
	group := n * uint64(s.blockSize) / uint64(s.descSize)
	at := s.groupStart(group)
	if s.hasSuper(group) {
		at++
	}
	if s.blockSize == 1024 && n == 0 && s.firstData == 0 {
		at++ // the boot block takes one
	}
	return at
}

// findSuper reads the superblock, or a copy of it where the first is broken.
func (f *FS) findSuper() error {
	first, cause := f.superAt(superOffset)
	if cause == nil {
		if !first.checksum() {
			f.note(tree.BadChecksum, "superblock")
		}
		f.s = first
		return nil
	}
	if budget.IsLimit(cause) {
		return cause
	}
	if _, refused := cause.(*disk.Refused); refused {
		return cause
	}
	for blockSize := int64(1024); blockSize <= 64<<10; blockSize *= 2 {
		for _, group := range []int64{1, 3, 5, 7, 9} {
			at := group * 8 * blockSize * blockSize
			if blockSize == 1024 {
				at += blockSize
			}
			if at+superSize > f.r.Size() {
				break
			}
			s, err := f.superAt(at)
			if budget.IsLimit(err) {
				return err
			}
			if err == nil && s.blockSize == blockSize && int64(le.Uint16(s.raw[90:])) == group && s.checksum() {
				f.note(tree.BackupSuperblock, cause.Error())
				f.s = s
				return nil
			}
		}
	}
	return cause
}

func (f *FS) superAt(off int64) (*super, error) {
	p, err := f.r.Get(off, superSize)
	if err != nil {
		return nil, err
	}
	return parseSuper(p, f.r.Size())
}
