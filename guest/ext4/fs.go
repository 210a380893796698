// Package ext4 reads ext2, ext3 and ext4: extents and block maps, inline data,
// 64-bit, flexible and meta block groups, large clusters, extended attributes,
// checksums. A journal that was not played out is replayed in memory, so that
// what is read is what a mount would show; fast commits are not, and are told
// as a note. Folders are read from end to end, never by their hash trees.
//
// Checksums that are wrong are noted (tree.BadChecksum) and what they cover is
// read all the same: a doctor looks at the sick. Encrypted files and folders
// are refused, since their names are ciphertext too.
//
// The layout is that of the kernel's Documentation/filesystems/ext4.
package ext4

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/blocks"
	"kuva/guest/tree"
)

// FS is an open file system: a tree.Reader, tree.Xattrer and tree.Spacer. It
// is safe for concurrent use.
type FS struct {
	r *blocks.Reader
	s *super

	mu     sync.Mutex
	notes  []tree.Note
	groups map[uint64]group // those read lately
}

// Open reads the superblock and, where that asks for it, the journal. b may be
// nil. What is no ext file system is a *disk.Malformed.
func Open(d disk.Disk, b *budget.Budget) (*FS, error) {
	f := &FS{r: blocks.New("ext4", d, b)}
	if err := f.findSuper(); err != nil {
		return nil, err
	}
	if err := f.recoverJournal(); err != nil {
		return nil, err
	}
	if f.s.state&stateErrors != 0 {
		f.note(tree.Errors, "the superblock says that errors were found")
	}
	if size := int64(f.s.blocks) * f.s.blockSize; size > d.Size() {
		f.note(tree.Truncated, fmt.Sprintf("the file system has %d bytes, the volume %d", size, d.Size()))
	}
	return f, nil
}

// note keeps something odd, once.
func (f *FS) note(id, detail string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes = tree.AddNote(f.notes, id, detail)
}

// Info implements tree.Reader. The type is ext2, ext3 or ext4 as blkid tells
// them apart.
func (f *FS) Info() tree.Info {
	s := f.s
	u := s.raw[104:120]
	i := tree.Info{
		Type: "ext4", Label: string(cstring(s.raw[120:136])),
		UUID:      fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]),
		BlockSize: s.blockSize, Size: int64(s.blocks) * s.blockSize, FreeBytes: -1,
		Features: s.features(),
	}
	const ext3Incompat = incompatFiletype | incompatRecover | incompatMetaBG
	if s.incompat&^ext3Incompat == 0 && s.ro&^7 == 0 {
		i.Type = "ext2"
		if s.compat&compatHasJournal != 0 {
			i.Type = "ext3"
		}
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

func cstring(p []byte) []byte {
	p, _, _ = bytes.Cut(p, []byte{0})
	return p
}

// features names those that are set, as dumpe2fs does.
func (s *super) features() []string {
	var names []string
	add := func(word uint32, list string) {
		for bit, name := range strings.Fields(list) {
			if word&(1<<bit) != 0 && name != "-" {
				names = append(names, name)
			}
		}
	}
	add(s.compat, "dir_prealloc imagic_inodes has_journal ext_attr resize_inode dir_index lazy_bg - - sparse_super2 fast_commit stable_inodes orphan_file")
	add(s.incompat, "compression filetype needs_recovery journal_dev meta_bg - extent 64bit mmp flex_bg ea_inode - dirdata metadata_csum_seed large_dir inline_data encrypt casefold")
	add(s.ro, "sparse_super large_file - huge_file uninit_bg dir_nlink extra_isize - quota bigalloc metadata_csum - read-only project shared_blocks verity orphan_file_present")
	return names
}

// Root implements tree.Reader.
func (f *FS) Root() tree.ID { return tree.ID{Ino: rootInode} }

// block gives a block of structures; shared, not to be changed.
func (f *FS) block(n uint64) ([]byte, error) {
	if n >= f.s.blocks {
		return nil, disk.Malform("ext4", "block %d of %d", n, f.s.blocks)
	}
	return f.r.Get(int64(n)*f.s.blockSize, int(f.s.blockSize))
}

// group is a group descriptor.
type group struct {
	blockBitmap, inodeBitmap, inodeTable uint64
	flags                                uint16
	bitmapSum                            uint32 // checksum of the block bitmap; its low half in small descriptors
}

const blockUninit = 2 // flag of a group: its bitmap is to be computed

// maxGroups is how many group descriptors are kept.
const maxGroups = 4096

// group gives a group descriptor.
func (f *FS) group(n uint64) (group, error) {
	f.mu.Lock()
	g, ok := f.groups[n]
	f.mu.Unlock()
	if ok {
		return g, nil
	}
	g, err := f.readGroup(n)
	if err != nil {
		return group{}, err
	}
	f.mu.Lock()
	if f.groups == nil || len(f.groups) >= maxGroups {
		f.groups = map[uint64]group{}
	}
	f.groups[n] = g
	f.mu.Unlock()
	return g, nil
}

func (f *FS) readGroup(n uint64) (group, error) {
	s := f.s
	perBlock := uint64(s.blockSize) / uint64(s.descSize)
	p, err := f.block(s.descBlock(n / perBlock))
	if err != nil {
		return group{}, err
	}
	p = p[n%perBlock*uint64(s.descSize):][:s.descSize]
	if !s.groupChecksum(n, p) {
		f.note(tree.BadChecksum, fmt.Sprintf("descriptor of group %d", n))
	}
	g := group{
		blockBitmap: uint64(le.Uint32(p[0:])), inodeBitmap: uint64(le.Uint32(p[4:])), inodeTable: uint64(le.Uint32(p[8:])),
		flags: le.Uint16(p[18:]), bitmapSum: uint32(le.Uint16(p[24:])),
	}
	if s.descSize >= 64 {
		g.blockBitmap |= uint64(le.Uint32(p[32:])) << 32
		g.inodeBitmap |= uint64(le.Uint32(p[36:])) << 32
		g.inodeTable |= uint64(le.Uint32(p[40:])) << 32
		g.bitmapSum |= uint32(le.Uint16(p[56:])) << 16
	}
	if s.ro&(roGDTCsum|roMetadataCsum) == 0 {
		g.flags = 0 // means something only with checksums
	}
	return g, nil
}

// groupChecksum tells whether a descriptor's checksum holds.
func (s *super) groupChecksum(n uint64, p []byte) bool {
	want := le.Uint16(p[30:])
	number := le.AppendUint32(nil, uint32(n))
	switch {
	case s.csum():
		c := crc32c(s.seed, number)
		c = crc32c(c, p[:30])
		c = crc32c(c, []byte{0, 0})
		c = crc32c(c, p[32:])
		return uint16(c) == want
	case s.ro&roGDTCsum != 0:
		c := crc16(^uint16(0), s.raw[104:120])
		c = crc16(c, number)
		c = crc16(c, p[:30])
		c = crc16(c, p[32:])
		return c == want
	}
	return true
}

// crc16 is the ANSI polynomial, reflected.
func crc16(crc uint16, p []byte) uint16 {
	for _, b := range p {
		crc ^= uint16(b)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xa001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}
