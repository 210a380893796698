package xfs

import (
	"fmt"
	"math"
	"sort"

	"kuva/disk"
	"kuva/guest/tree"
)

// run is a stretch of a fork: n blocks from the one that was asked for. at is
// the byte where they lie, or -1 for a hole.
type run struct {
	at        int64
	n         uint64
	unwritten bool // allocated, but reads as zeros
}

// extent is a record of 128 bits.
type extent struct {
	off, block, n uint64
	unwritten     bool
}

func record(p []byte) extent {
	hi, lo := be.Uint64(p), be.Uint64(p[8:])
	return extent{hi &^ (1 << 63) >> 9, hi&0x1ff<<43 | lo>>21, lo & (1<<21 - 1), hi>>63 != 0}
}

const maxLevels = 9 // of a tree of extents; the kernel's XFS_BTREE_MAXLEVELS

// run finds where block lblk of a fork lies.
func (f *FS) run(owner uint64, k fork, lblk uint64) (run, error) {
	if err := f.r.Budget().Step(1); err != nil {
		return run{}, err
	}
	switch k.form {
	case formExtents:
		if k.extents > uint64(len(k.p)/16) {
			return run{}, disk.Malform("xfs", "inode %d has %d extents in %d bytes", owner, k.extents, len(k.p))
		}
		return f.leafRun(k.p[:16*k.extents], lblk, math.MaxUint64)
	case formTree:
		return f.treeRun(owner, k, lblk)
	}
	return run{}, disk.Malform("xfs", "inode %d has content of form %d", owner, k.form)
}

// leafRun looks through sorted records; end is where they stop to tell.
func (f *FS) leafRun(records []byte, lblk, end uint64) (run, error) {
	n := len(records) / 16
	at := sort.Search(n, func(k int) bool { return record(records[16*k:]).off > lblk })
	if at < n {
		end = min(end, record(records[16*at:]).off)
	}
	if at > 0 {
		if e := record(records[16*(at-1):]); lblk-e.off < e.n {
			in := lblk - e.off
			r := run{n: e.n - in, unwritten: e.unwritten}
			last, err := f.s.block(e.block + e.n - 1)
			if err == nil {
				r.at, err = f.s.block(e.block + in)
			}
			if err == nil && last-r.at != int64(r.n-1)*f.s.blockSize {
				err = disk.Malform("xfs", "an extent over the border of a group")
			}
			return r, err
		}
	}
	return run{at: -1, n: end - lblk}, nil
}

// treeRun goes down from the root in the inode. The level falls by one on each
// step, so that no loop is possible.
func (f *FS) treeRun(owner uint64, k fork, lblk uint64) (run, error) {
	if len(k.p) < 4 {
		return run{}, disk.Malform("xfs", "inode %d has no room for a tree", owner)
	}
	level, n := int(be.Uint16(k.p)), int(be.Uint16(k.p[2:]))
	room := (len(k.p) - 4) / 16
	if level == 0 || level > maxLevels || n == 0 || n > room {
		return run{}, disk.Malform("xfs", "inode %d has a tree of level %d with %d of %d children", owner, level, n, room)
	}
	keys, pointers := k.p[4:], k.p[4+8*room:]
	end := uint64(math.MaxUint64)
	for {
		at := sort.Search(n, func(k int) bool { return be.Uint64(keys[8*k:]) > lblk })
		if at < n {
			end = min(end, be.Uint64(keys[8*at:]))
		}
		if at == 0 {
			return run{at: -1, n: end - lblk}, nil
		}
		p, err := f.get(be.Uint64(pointers[8*(at-1):]))
		if err != nil {
			return run{}, err
		}
		body, err := f.mapBlock(owner, p, level-1)
		if err != nil {
			return run{}, err
		}
		level--
		n = int(be.Uint16(p[6:]))
		if level == 0 {
			if n > len(body)/16 {
				return run{}, disk.Malform("xfs", "a leaf of %d extents", n)
			}
			return f.leafRun(body[:16*n], lblk, end)
		}
		room := len(body) / 16
		if n == 0 || n > room {
			return run{}, disk.Malform("xfs", "a node of %d children", n)
		}
		keys, pointers = body, body[8*room:]
	}
}

// mapBlock checks a block of a tree of extents and gives what is behind its
// header.
func (f *FS) mapBlock(owner uint64, p []byte, level int) ([]byte, error) {
	magic, header := "BMAP", 24
	if f.s.v5 {
		magic, header = "BMA3", 72
	}
	if string(p[:4]) != magic || int(be.Uint16(p[4:])) != level {
		return nil, disk.Malform("xfs", "no node of level %d of the extents of inode %d", level, owner)
	}
	if f.s.v5 && !sum(p, 64) {
		f.note(tree.BadChecksum, fmt.Sprintf("extents of inode %d", owner))
	}
	return p[header:], nil
}
