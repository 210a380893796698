package ext4

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/blocks"
	"kuva/guest/tree"
)

// The journal is jbd2's (include/linux/jbd2.h); all its numbers are
// big-endian.
const (
	journalMagic = 0xc03b3998

	journalDescriptor = 1
	journalCommit     = 2
	journalSuperV1    = 3
	journalSuperV2    = 4
	journalRevoke     = 5

	journalHas64bit      = 0x2
	journalHasCsumV2     = 0x8
	journalHasCsumV3     = 0x10
	journalHasFastCommit = 0x20
	journalKnown         = 0x3f

	tagEscape   = 1
	tagSameUUID = 2
	tagLast     = 8
)

var be = binary.BigEndian

// journal is the log of a file system that was not unmounted.
type journal struct {
	f           *FS
	c           *file
	features    uint32
	first, last uint64 // blocks of the log, last not included
	start       uint64
	sequence    uint32
	seed        uint32
	revoked     map[uint64]uint32 // by block: the last transaction that revoked it
	redo        map[uint64]redo   // by block: where its newest content lies
}

// redo is where the content of a block lies, on the volume.
type redo struct {
	at     int64
	escape bool // the first four bytes are the journal's magic number
}

// recoverJournal replays the journal in memory, where the superblock asks for
// it: reading goes on over a disk on which the journal's blocks lie where they
// belong.
func (f *FS) recoverJournal() error {
	s := f.s
	if s.incompat&incompatRecover == 0 {
		return nil
	}
	if s.journalInode == 0 {
		f.note(tree.JournalDirty, "the journal lies on another device")
		return nil
	}
	j, err := f.openJournal()
	if err == nil && j != nil {
		err = j.replay()
	}
	switch {
	case budget.IsLimit(err):
		return err
	case err != nil:
		f.note(tree.JournalDirty, err.Error())
		return nil
	case j == nil || len(j.redo) == 0:
		return nil
	}
	old := f.r.Disk()
	f.r = blocks.New("ext4", &replayed{old, s.blockSize, j.redo}, f.r.Budget())
	f.groups = nil
	// The journal may hold the superblock.
	after, err := f.superAt(superOffset)
	if err != nil || after.blockSize != s.blockSize {
		if budget.IsLimit(err) {
			return err
		}
		f.r = blocks.New("ext4", old, f.r.Budget())
		f.note(tree.JournalDirty, "the journal holds a broken superblock")
		return nil
	}
	f.s = after
	f.note(tree.JournalReplayed, fmt.Sprintf("%d blocks", len(j.redo)))
	return nil
}

// openJournal reads the journal's superblock; nil for an empty journal.
func (f *FS) openJournal() (*journal, error) {
	i, err := f.inode(uint64(f.s.journalInode))
	if err != nil {
		return nil, err
	}
	if i.typ() != tree.Regular || i.links == 0 {
		return nil, disk.Malform("ext4", "the journal, inode %d, is no file", i.no)
	}
	if i.flags&flagInlineData != 0 {
		return nil, disk.Malform("ext4", "the journal lies in its inode")
	}
	c := &file{f, i}
	j := &journal{f: f, c: c, revoked: map[uint64]uint32{}, redo: map[uint64]redo{}}
	p := make([]byte, 1024)
	if err := disk.ReadFull(c, p, 0); err != nil {
		return nil, err
	}
	kind := be.Uint32(p[4:])
	if be.Uint32(p) != journalMagic || kind != journalSuperV1 && kind != journalSuperV2 {
		return nil, disk.Malform("ext4", "the journal has no superblock")
	}
	j.last, j.first = uint64(be.Uint32(p[16:])), uint64(be.Uint32(p[20:]))
	j.sequence, j.start = be.Uint32(p[24:]), uint64(be.Uint32(p[28:]))
	if size := int64(be.Uint32(p[12:])); size != f.s.blockSize {
		return nil, disk.Malform("ext4", "the journal has blocks of %d bytes", size)
	}
	if kind == journalSuperV2 {
		j.features = be.Uint32(p[40:])
		j.seed = crc32c(^uint32(0), p[48:64])
	}
	if unknown := j.features &^ journalKnown; unknown != 0 {
		return nil, disk.Refuse("ext4", disk.ReasonFeature, "unknown features %#x of the journal", unknown)
	}
	if int64(j.last) > c.Size()/f.s.blockSize || j.first == 0 || j.first >= j.last {
		return nil, disk.Malform("ext4", "the journal has blocks %d to %d, its file has %d bytes", j.first, j.last, c.Size())
	}
	if j.checked() {
		sum := be.Uint32(p[252:])
		copy(p[252:], []byte{0, 0, 0, 0})
		if crc32c(^uint32(0), p) != sum {
			f.note(tree.BadChecksum, "superblock of the journal")
		}
	}
	if j.features&journalHasFastCommit != 0 {
		n := uint64(be.Uint32(p[84:]))
		if n == 0 {
			n = 256
		}
		if n >= j.last-j.first {
			return nil, disk.Malform("ext4", "%d blocks of fast commits in a journal of %d", n, j.last)
		}
		j.last -= n
		if err := j.fastCommits(); err != nil {
			return nil, err
		}
	}
	if j.start == 0 {
		return nil, nil
	}
	if j.start < j.first || j.start >= j.last {
		return nil, disk.Malform("ext4", "the journal begins at %d", j.start)
	}
	return j, nil
}

// fastCommits notes those that wait: they are not replayed.
func (j *journal) fastCommits() error {
	p := make([]byte, 4)
	if err := disk.ReadFull(j.c, p, int64(j.last)*j.f.s.blockSize); err != nil {
		return err
	}
	const head = 9 // EXT4_FC_TAG_HEAD, little-endian
	if le.Uint16(p) == head && le.Uint16(p[2:]) > 0 {
		j.f.note(tree.JournalDirty, "fast commits are not replayed: the last changes before the stop may be missing")
	}
	return nil
}

func (j *journal) checked() bool { return j.features&(journalHasCsumV2|journalHasCsumV3) != 0 }

// block reads a block of the log.
func (j *journal) block(n uint64) ([]byte, error) {
	p := make([]byte, j.f.s.blockSize)
	return p, disk.ReadFull(j.c, p, int64(n)*j.f.s.blockSize)
}

// next is the block behind n, around the end.
func (j *journal) next(n uint64) uint64 {
	if n++; n >= j.last {
		n = j.first
	}
	return n
}

// replay goes through the log three times as the kernel does: for the last
// whole transaction, for what was revoked, for what is to be written.
func (j *journal) replay() error {
	const scan, revoke, write = 0, 1, 2
	end := j.sequence
	for pass := scan; pass <= write; pass++ {
		at := j.start
		seq := j.sequence
		// The log is a ring: whatever it says, it has no more blocks.
		for left := j.last - j.first; left > 0 && (pass == scan || seq != end); left-- {
			if err := j.f.r.Budget().Step(1); err != nil {
				return err
			}
			p, err := j.block(at)
			if err != nil {
				return err
			}
			if be.Uint32(p) != journalMagic || be.Uint32(p[8:]) != seq {
				break
			}
			at = j.next(at)
			switch be.Uint32(p[4:]) {
			case journalDescriptor:
				if !j.tailHolds(p) {
					j.f.note(tree.BadChecksum, "descriptor in the journal")
					left = 1 // the transaction counts no more
					break
				}
				n := uint64(0)
				err := j.tags(p, func(t tag) error {
					if n++; n >= left {
						return disk.Malform("ext4", "a transaction is longer than the journal")
					}
					if pass == write {
						if err := j.keep(t, at, seq); err != nil {
							return err
						}
					}
					at = j.next(at)
					return nil
				})
				if err != nil {
					return err
				}
				left -= n
			case journalCommit:
				if !j.commitHolds(p) {
					j.f.note(tree.BadChecksum, "commit in the journal")
					left = 1
					break
				}
				seq++
				if pass == scan {
					end = seq
				}
			case journalRevoke:
				if pass == revoke && j.tailHolds(p) {
					if err := j.revoke(p, seq); err != nil {
						return err
					}
				}
			default:
				left = 1
			}
		}
	}
	return nil
}

// tailHolds compares the checksum at the end of descriptors and revocations.
func (j *journal) tailHolds(p []byte) bool {
	if !j.checked() {
		return true
	}
	n := len(p) - 4
	return crc32c(crc32c(j.seed, p[:n]), []byte{0, 0, 0, 0}) == be.Uint32(p[n:])
}

func (j *journal) commitHolds(p []byte) bool {
	if !j.checked() {
		return true
	}
	c := crc32c(j.seed, p[:16])
	c = crc32c(c, []byte{0, 0, 0, 0})
	return crc32c(c, p[20:]) == be.Uint32(p[16:])
}

// tag is one block of a transaction.
type tag struct {
	block uint64
	flags uint32
	sum   uint32
}

// tags calls f for those of a descriptor.
func (j *journal) tags(p []byte, f func(tag) error) error {
	size := 8
	switch {
	case j.features&journalHasCsumV3 != 0:
		size = 16
	default:
		if j.features&journalHasCsumV2 != 0 {
			size += 2
		}
		if j.features&journalHas64bit != 0 {
			size += 4
		}
	}
	end := len(p)
	if j.checked() {
		end -= 4
	}
	for at := 12; at+size <= end; {
		if err := j.f.r.Budget().Step(1); err != nil {
			return err
		}
		t := tag{block: uint64(be.Uint32(p[at:]))}
		if j.features&journalHasCsumV3 != 0 {
			t.flags, t.sum = be.Uint32(p[at+4:]), be.Uint32(p[at+12:])
		} else {
			t.flags, t.sum = uint32(be.Uint16(p[at+6:])), uint32(be.Uint16(p[at+4:]))
		}
		if j.features&journalHas64bit != 0 {
			t.block |= uint64(be.Uint32(p[at+8:])) << 32
		}
		if err := f(t); err != nil {
			return err
		}
		at += size
		if t.flags&tagSameUUID == 0 {
			at += 16
		}
		if t.flags&tagLast != 0 {
			break
		}
	}
	return nil
}

// revoke notes the blocks that earlier transactions must not write.
func (j *journal) revoke(p []byte, seq uint32) error {
	end, size := int(be.Uint32(p[12:])), 4
	if j.features&journalHas64bit != 0 {
		size = 8
	}
	limit := len(p)
	if j.checked() {
		limit -= 4
	}
	if end < 16 || end > limit {
		return disk.Malform("ext4", "a revocation of %d bytes", end)
	}
	for at := 16; at+size <= end; at += size {
		n := uint64(be.Uint32(p[at:]))
		if size == 8 {
			n = be.Uint64(p[at:])
		}
		if err := j.hold(); err != nil {
			return err
		}
		if have, ok := j.revoked[n]; !ok || int32(seq-have) > 0 {
			j.revoked[n] = seq
		}
	}
	return nil
}

// hold asks for the memory of one entry of a map. It is not given back: the
// maps live as long as the file system is open.
func (j *journal) hold() error {
	if err := j.f.r.Budget().Step(1); err != nil {
		return err
	}
	return j.f.r.Budget().Alloc(64)
}

// keep notes where the content of a block lies in the log.
func (j *journal) keep(t tag, at uint64, seq uint32) error {
	if last, ok := j.revoked[t.block]; ok && int32(last-seq) >= 0 {
		return nil
	}
	if t.block >= j.f.s.blocks {
		return disk.Malform("ext4", "the journal writes block %d of %d", t.block, j.f.s.blocks)
	}
	if j.checked() {
		p, err := j.block(at)
		if err != nil {
			return err
		}
		c := crc32c(crc32c(j.seed, be.AppendUint32(nil, seq)), p)
		if j.features&journalHasCsumV3 == 0 {
			c &= 0xffff
		}
		if c != t.sum {
			j.f.note(tree.BadChecksum, fmt.Sprintf("block %d in the journal", t.block))
			return nil
		}
	}
	e, err := j.c.extent(int64(at) * j.f.s.blockSize)
	if err != nil {
		return err
	}
	if e.Kind != disk.Data {
		return disk.Malform("ext4", "the journal has a hole at %d", at)
	}
	if _, ok := j.redo[t.block]; !ok {
		if err := j.hold(); err != nil {
			return err
		}
	}
	j.redo[t.block] = redo{e.At, t.flags&tagEscape != 0}
	return nil
}

// replayed is a disk with the blocks of a journal where they belong.
type replayed struct {
	disk.Disk
	blockSize int64
	redo      map[uint64]redo
}

func (d *replayed) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, d.Size(), func(p []byte, off int64) error {
		for len(p) > 0 {
			in := off % d.blockSize
			n := min(int64(len(p)), d.blockSize-in)
			r, ok := d.redo[uint64(off/d.blockSize)]
			if !ok {
				// Up to the next block that was changed, in one read.
				for n < int64(len(p)) {
					if _, changed := d.redo[uint64((off+n)/d.blockSize)]; changed {
						break
					}
					n = min(int64(len(p)), n+d.blockSize)
				}
				r.at = off - in
			}
			if err := disk.ReadFull(d.Disk, p[:n], r.at+in); err != nil {
				return err
			}
			if r.escape && in < 4 {
				magic := be.AppendUint32(nil, journalMagic)
				copy(p[:n], magic[in:])
			}
			p, off = p[n:], off+n
		}
		return nil
	})
}

// Extents tells of everything as data: blocks of the journal may lie in holes.
func (d *replayed) Extents(_ context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		if off, n := disk.Clamp(off, n, d.Size()); n > 0 {
			yield(disk.Extent{Off: off, Len: n, At: disk.Nowhere}, nil)
		}
	}
}
