package ext4

import (
	"fmt"
	"math"
	"sort"

	"kuva/disk"
	"kuva/guest/tree"
)

// run is a stretch of a file: n blocks from the one that was asked for. phys
// is where they lie; 0 for a hole and for blocks that were never written.
type run struct {
	phys, n   uint64
	unwritten bool // allocated, but reads as zeros
}

const maxLogical = math.MaxUint32 // blocks of a file have 32-bit numbers

// run finds where block lblk of a file lies.
func (f *FS) run(i *inode, lblk uint64) (run, error) {
	if lblk > maxLogical {
		return run{n: 1 << 40}, nil
	}
	var r run
	var err error
	if i.flags&flagExtents != 0 {
		r, err = f.extentRun(i, lblk)
	} else {
		r, err = f.indirectRun(i, lblk)
	}
	if err != nil {
		return run{}, err
	}
	if r.phys != 0 && (r.phys < f.s.firstData || r.phys >= f.s.blocks || r.n > f.s.blocks-r.phys) {
		return run{}, disk.Malform("ext4", "inode %d has blocks at %d, the file system has %d", i.no, r.phys, f.s.blocks)
	}
	return r, nil
}

const (
	extentMagic = 0xf30a
	maxDepth    = 5 // five levels of 1 KiB blocks hold more than 2^32 extents
)

// extentRun goes down the tree of extents. The depth falls by one on each
// level, so that no loop is possible.
func (f *FS) extentRun(i *inode, lblk uint64) (run, error) {
	node := i.body()
	end := uint64(maxLogical) + 1 // where what this node tells ends
	depth := -1
	for {
		entries, d, err := f.extentNode(i, node, depth)
		if err != nil {
			return run{}, err
		}
		n := len(entries) / 12
		// The last entry that begins at or before lblk.
		at := sort.Search(n, func(k int) bool { return uint64(le.Uint32(entries[12*k:])) > lblk }) - 1
		if at+1 < n {
			if next := uint64(le.Uint32(entries[12*(at+1):])); next > lblk {
				end = min(end, next)
			}
		}
		if at < 0 {
			return run{n: end - lblk}, nil
		}
		e := entries[12*at:]
		if d == 0 {
			start, length := uint64(le.Uint32(e)), uint64(le.Uint16(e[4:]))
			unwritten := length > 32768
			if unwritten {
				length -= 32768
			}
			if lblk-start >= length {
				return run{n: end - lblk}, nil
			}
			phys := uint64(le.Uint32(e[8:])) | uint64(le.Uint16(e[6:]))<<32
			if phys == 0 {
				return run{}, disk.Malform("ext4", "inode %d has an extent at block 0", i.no)
			}
			return run{phys: phys + lblk - start, n: length - (lblk - start), unwritten: unwritten}, nil
		}
		child := uint64(le.Uint32(e[4:])) | uint64(le.Uint16(e[8:]))<<32
		if node, err = f.block(child); err != nil {
			return run{}, err
		}
		depth = d - 1
	}
}

// extentNode checks a node and gives its entries. depth is what the node above
// asks for, -1 for the root.
func (f *FS) extentNode(i *inode, node []byte, depth int) ([]byte, int, error) {
	n, room, d := int(le.Uint16(node[2:])), int(le.Uint16(node[4:])), int(le.Uint16(node[6:]))
	switch {
	case le.Uint16(node) != extentMagic:
		return nil, 0, disk.Malform("ext4", "inode %d: no node of extents", i.no)
	case d > maxDepth || depth >= 0 && d != depth:
		return nil, 0, disk.Malform("ext4", "inode %d: a tree of extents of depth %d", i.no, d)
	case n > room || 12+12*room > len(node):
		return nil, 0, disk.Malform("ext4", "inode %d: %d of %d extents in a node", i.no, n, room)
	}
	if depth >= 0 && f.s.csum() && 12+12*room+4 <= len(node) {
		tail := 12 + 12*room
		if crc32c(i.seed, node[:tail]) != le.Uint32(node[tail:]) {
			f.note(tree.BadChecksum, fmt.Sprintf("extents of inode %d", i.no))
		}
	}
	if err := f.r.Budget().Step(1); err != nil {
		return nil, 0, err
	}
	return node[12 : 12+12*n], d, nil
}

// indirectRun follows the block map of ext2 and ext3: 12 blocks, then one
// each of single, double and triple indirection.
func (f *FS) indirectRun(i *inode, lblk uint64) (run, error) {
	per := uint64(f.s.blockSize / 4)
	table := i.body()[:48]
	span := uint64(1) // blocks that one pointer of table stands for
	at := lblk
	if at >= 12 {
		at -= 12
		level := 1
		for size := per; ; size *= per {
			if at < size {
				break
			}
			at -= size
			if level++; level > 3 {
				return run{n: 1 << 40}, nil
			}
			span *= per
		}
		// The pointer to the tree, then down.
		top := i.body()[48+4*(level-1):][:4]
		table, span = top, span*per
	}
	for {
		k := at / span
		p := le.Uint32(table[4*k:])
		if p == 0 {
			n := span - at%span
			for k++; 4*k < uint64(len(table)) && le.Uint32(table[4*k:]) == 0; k++ {
				n += span
			}
			return run{n: n}, nil
		}
		if span == 1 {
			n := uint64(1)
			for k++; 4*k < uint64(len(table)) && uint64(le.Uint32(table[4*k:])) == uint64(p)+n; k++ {
				n++
			}
			return run{phys: uint64(p), n: n}, nil
		}
		var err error
		if table, err = f.block(uint64(p)); err != nil {
			return run{}, err
		}
		at %= span
		span /= per
	}
}
