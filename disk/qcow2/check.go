package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"kuva/disk"
)

// Check counts who uses each cluster of the file, compares that with the
// refcounts, and looks at every table entry, those of snapshots and dirty
// bitmaps included. A backing file is not needed.
//
// Memory: 4 bytes a cluster of the file that is used, 64 a table. Time follows
// the length of the file: tables that are used several times are walked once.
func Check(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (*disk.Report, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	alone := *h
	alone.backingOff, alone.backingLen = 0, 0
	if err := alone.refuse(disk.OpenOptions{Budget: o.Budget}); err != nil {
		return nil, err
	}
	if h.version == 1 {
		return nil, disk.Refuse(name, disk.ReasonUnsupported, "version 1 has nothing that could be checked")
	}
	c := &checker{
		ctx: ctx, r: r, size: size, h: h, budget: o.Budget,
		steps:  1<<24 + size,
		report: &disk.Report{Format: name, Blocks: clusters(h.size, h.cluster())},
		tables: map[int64]*l2Use{},
	}
	if err := c.run(); err != nil {
		return nil, err
	}
	return c.report, nil
}

type checker struct {
	ctx    context.Context
	r      io.ReaderAt
	size   int64
	h      *header
	budget *disk.Budget
	steps  int64 // that are left
	report *disk.Report
	tables map[int64]*l2Use
	pages  [][]uint32 // users and use of each cluster of the file, see below
	held   int64      // of the budget's memory
}

// l2Use is by how many L1 tables an L2 table is used.
type l2Use struct {
	users  uint32
	active bool // by the disk's own
	copied bool // as that one says
}

// A cluster's entry: how it is used, and by how many.
const (
	useFixed  = 1 << 31 // tables but L2
	useL2     = 1 << 30
	useData   = 1 << 29
	usePacked = 1 << 28
	useActive = 1 << 27 // by the disk itself, not only by a snapshot
	storedOne = 1 << 26 // its refcount is 1
	users     = storedOne - 1

	pageBits = 12
)

func (c *checker) run() error {
	n := clusters(c.size, c.h.cluster())
	pages := (n + 1<<pageBits - 1) >> pageBits
	if err := c.alloc(pages * 24); err != nil {
		return err
	}
	defer func() { c.budget.Free(c.held) }()
	c.pages = make([][]uint32, pages)
	for _, f := range []func() error{
		c.fixed, c.l1Tables, c.l2Tables, c.bitmaps, c.refcounts, c.copiedFlags,
	} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) alloc(n int64) error {
	c.held += n
	return c.budget.Alloc(n)
}

func (c *checker) step(n int64) error {
	if c.steps -= n; c.steps < 0 {
		return disk.Refuse(name, disk.ReasonLimit, "the tables overlap too much to be checked")
	}
	return c.budget.Steps(c.ctx, n)
}

func (c *checker) problem(count *int64, format string, args ...any) {
	*count++
	if len(c.report.Problems) < disk.MaxProblems {
		c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
	}
}

func (c *checker) wrong(format string, args ...any) { c.problem(&c.report.Errors, format, args...) }

// use notes n users of what lies at off, and finds overlaps.
func (c *checker) use(off, length int64, n, how uint32, what string) error {
	if length <= 0 {
		return nil
	}
	if off < 0 || off >= c.size || length > c.size-off+c.h.cluster() {
		c.wrong("%s at %#x lies out of the file", what, off)
		return nil
	}
	first, last := off>>c.h.clusterBits, (off+length-1)>>c.h.clusterBits
	if err := c.step(last - first + 1); err != nil {
		return err
	}
	for i := first; i <= last; i++ {
		p := i >> pageBits
		if p >= int64(len(c.pages)) {
			break
		}
		if c.pages[p] == nil {
			if err := c.alloc(4 << pageBits); err != nil {
				return err
			}
			c.pages[p] = make([]uint32, 1<<pageBits)
		}
		e := &c.pages[p][i&(1<<pageBits-1)]
		if clash(*e, how) {
			c.report.Overlaps++
			c.wrong("%s at %#x lies where something else is", what, i<<c.h.clusterBits)
		}
		*e = *e&^users | how | min(*e&users+n, users)
		c.report.End = max(c.report.End, min(c.size, (i+1)<<c.h.clusterBits))
	}
	return nil
}

// clash tells whether a cluster may not be used in this way too. Snapshots
// share tables and data with the disk and each other; packed clusters share a
// cluster of the file.
func clash(have, how uint32) bool {
	kinds := (have | how) & (useFixed | useL2 | useData | usePacked)
	switch {
	case have == 0:
		return false
	case have&useFixed != 0 || how&useFixed != 0 || kinds&(kinds-1) != 0:
		return true
	case kinds == usePacked:
		return false
	}
	return have&how&useActive != 0
}

// fixed notes what the header says directly.
func (c *checker) fixed() error {
	h := c.h
	if h.incompat&incompatCorrupt != 0 {
		c.wrong("the file is marked as corrupt")
	}
	for _, u := range []struct {
		off, n int64
		what   string
	}{
		{0, h.cluster(), "the header"},
		{h.l1Off, h.l1Entries * 8, "the L1 table"},
		{h.refTableOff, h.refTableClusters * h.cluster(), "the refcount table"},
	} {
		if err := c.use(u.off, u.n, 1, useFixed, u.what); err != nil {
			return err
		}
	}
	return nil
}

// l1Tables reads the L1 tables of the disk and of all snapshots.
func (c *checker) l1Tables() error {
	if err := c.l1Table(c.h.l1Off, c.h.l1Entries, true); err != nil {
		return err
	}
	list, err := readSnapshots(c.ctx, c.r, c.size, c.h, c.budget)
	if err != nil {
		return err
	}
	c.report.Snapshots = len(list)
	end := c.h.snapshotsOff
	for _, s := range list {
		end = s.end
		if err := c.use(s.l1Off, s.l1Entries*8, 1, useFixed, "a snapshot's L1 table"); err != nil {
			return err
		}
		if err := c.l1Table(s.l1Off, s.l1Entries, false); err != nil {
			return err
		}
	}
	return c.use(c.h.snapshotsOff, end-c.h.snapshotsOff, 1, useFixed, "the snapshot table")
}

func (c *checker) l1Table(off, n int64, active bool) error {
	buf := make([]byte, min(n*8, 64<<10))
	for i := int64(0); i < n; i++ {
		k := i * 8 % int64(len(buf))
		if k == 0 {
			part := buf[:min(int64(len(buf)), (n-i)*8)]
			if err := c.step(int64(len(part)) / 8); err != nil {
				return err
			}
			if err := disk.ReadFull(c.r, part, off+i*8); err != nil {
				return err
			}
		}
		e := binary.BigEndian.Uint64(buf[k:])
		at, err := c.h.l2Offset(e, c.size)
		if err != nil {
			c.wrong("L1 entry %d: %v", i, err)
			continue
		}
		if at == 0 {
			continue
		}
		u := c.tables[int64(at)]
		if u == nil {
			if err := c.alloc(64); err != nil {
				return err
			}
			u = &l2Use{}
			c.tables[int64(at)] = u
		}
		how := uint32(useL2)
		if active {
			u.active, u.copied = true, e&copied != 0
			how |= useActive
		}
		u.users = min(u.users+1, users)
		if err := c.use(int64(at), c.h.cluster(), 1, how, "an L2 table"); err != nil {
			return err
		}
	}
	return nil
}

// eachTable reads the L2 tables in the order of the file.
func (c *checker) eachTable(f func(at int64, u *l2Use, table []byte) error) error {
	list := make([]int64, 0, len(c.tables))
	for at := range c.tables {
		list = append(list, at)
	}
	slices.Sort(list)
	table := make([]byte, c.h.cluster())
	for _, at := range list {
		if err := c.step(int64(len(table)) / 8); err != nil {
			return err
		}
		if err := disk.ReadFull(c.r, table, at); err != nil {
			return err
		}
		if err := f(at, c.tables[at], table); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) l2Tables() error {
	return c.eachTable(func(at int64, u *l2Use, table []byte) error {
		how := uint32(0)
		if u.active {
			how = useActive
		}
		for i := int64(0); i < int64(len(table)); i += c.h.entryBytes() {
			e := binary.BigEndian.Uint64(table[i:])
			if e == 0 && !c.h.extendedL2 {
				continue
			}
			off := i / c.h.entryBytes() << c.h.clusterBits
			if err := c.l2Entry(e, table, off, u, how); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *checker) l2Entry(e uint64, table []byte, off int64, u *l2Use, how uint32) error {
	h := c.h
	unit := h.cluster()
	subs := int64(1)
	if h.extendedL2 {
		unit, subs = unit/32, 32
	}
	data := false
	for s := range subs {
		r, err := h.entry(table, off+s*unit, unit, c.size)
		if err != nil {
			c.wrong("L2 entry %#x: %v", e, err)
			return nil
		}
		if r.zlen > 0 {
			if u.active {
				c.report.Allocated++
				c.report.Compressed++
			}
			if e&copied != 0 {
				c.wrong("L2 entry %#x: a compressed cluster is marked as copied", e)
			}
			// Counted in whole sectors, which are what the entry says.
			first := r.at &^ 511
			return c.use(first, (r.at+r.zlen+511)&^511-first, u.users, how|usePacked, "a compressed cluster")
		}
		data = data || r.kind == disk.Data
	}
	host := int64(e & hostMask)
	if host == 0 {
		return nil
	}
	if data && u.active {
		c.report.Allocated++
	}
	return c.use(host, h.cluster(), u.users, how|useData, "a cluster")
}

// bitmaps notes the directory and tables of dirty bitmaps.
func (c *checker) bitmaps() error {
	h := c.h
	if h.bitmaps == 0 || h.autoclear&1 == 0 {
		return nil // QEMU takes them for stale, and their clusters as leaked
	}
	const fixed, maxBytes, maxCount = 24, 1 << 26, 65535
	if h.bitmaps > maxCount || h.bitmapBytes > maxBytes || h.bitmapBytes < 0 || !h.inFile(h.bitmapsOff, h.bitmapBytes, c.size) {
		c.wrong("a directory of %d bitmaps, %d bytes at %#x", h.bitmaps, h.bitmapBytes, h.bitmapsOff)
		return nil
	}
	if err := c.use(h.bitmapsOff, h.bitmapBytes, 1, useFixed, "the bitmap directory"); err != nil {
		return err
	}
	be := binary.BigEndian
	end := h.bitmapsOff + h.bitmapBytes
	off := h.bitmapsOff
	for range h.bitmaps {
		var b [fixed]byte
		if end-off < fixed {
			c.wrong("the bitmap directory is too short")
			return nil
		}
		if err := disk.ReadFull(c.r, b[:], off); err != nil {
			return err
		}
		table, entries := int64(be.Uint64(b[:])), int64(be.Uint32(b[8:]))
		off += (fixed + int64(be.Uint16(b[18:])) + int64(be.Uint32(b[20:])) + 7) &^ 7
		if entries*8 > maxL1Bytes || !h.inFile(table, entries*8, c.size) {
			c.wrong("a bitmap's table of %d entries at %#x", entries, table)
			continue
		}
		if err := c.use(table, entries*8, 1, useFixed, "a bitmap's table"); err != nil {
			return err
		}
		for i := range entries {
			if err := c.step(1); err != nil {
				return err
			}
			var e [8]byte
			if err := disk.ReadFull(c.r, e[:], table+i*8); err != nil {
				return err
			}
			if at := int64(be.Uint64(e[:]) & hostMask); at != 0 {
				if err := c.use(at, h.cluster(), 1, useFixed, "a bitmap"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// refcounts compares. The refcount blocks are noted first, since they count
// themselves.
func (c *checker) refcounts() error {
	h := c.h
	table := make([]byte, min(h.refTableClusters*h.cluster(), c.size-h.refTableOff))
	if err := disk.ReadFull(c.r, table, h.refTableOff); err != nil {
		return err
	}
	var blocks []int64
	seen := map[int64]bool{}
	for i := 0; i+8 <= len(table); i += 8 {
		e := binary.BigEndian.Uint64(table[i:])
		at := int64(e)
		switch {
		case e == 0:
		case !h.inFile(at, h.cluster(), c.size):
			c.wrong("the refcount block at %#x is unaligned or out of the file", e)
			at = 0
		default:
			if err := c.use(at, h.cluster(), 1, useFixed, "a refcount block"); err != nil {
				return err
			}
			if seen[at] {
				at = 0 // an overlap by now, and not to be read again and again
			}
			seen[at] = true
		}
		blocks = append(blocks, at)
	}
	per := h.cluster() * 8 >> h.refcountOrder
	all := clusters(c.size, h.cluster())
	buf := make([]byte, h.cluster())
	for b := int64(0); b*per < all; b++ {
		block := []byte(nil)
		if b < int64(len(blocks)) && blocks[b] != 0 {
			if err := disk.ReadFull(c.r, buf, blocks[b]); err != nil {
				return err
			}
			block = buf
		}
		if err := c.block(block, b*per, min(per, all-b*per)); err != nil {
			return err
		}
	}
	return nil
}

// block compares the refcounts of n clusters from first on; without a block
// they are 0.
func (c *checker) block(block []byte, first, n int64) error {
	for i := int64(0); i < n; i++ {
		at := first + i
		if block == nil && at&(1<<pageBits-1) == 0 && c.pages[at>>pageBits] == nil {
			i += 1<<pageBits - 1
			continue
		}
		if i&1023 == 0 {
			if err := c.step(1024); err != nil {
				return err
			}
		}
		want, have := uint64(c.entry(at)&users), uint64(0)
		if block != nil {
			have = refcount(block, i, c.h.refcountOrder)
		}
		if e := c.entry(at); have == 1 && e != 0 {
			c.pages[at>>pageBits][at&(1<<pageBits-1)] = e | storedOne
		}
		switch {
		case have > want:
			c.problem(&c.report.Leaks, "the cluster at %#x has refcount %d and %d users", at<<c.h.clusterBits, have, want)
		case have < want:
			c.wrong("the cluster at %#x has refcount %d and %d users", at<<c.h.clusterBits, have, want)
		}
	}
	return nil
}

func (c *checker) entry(i int64) uint32 {
	if p := i >> pageBits; p < int64(len(c.pages)) && c.pages[p] != nil {
		return c.pages[p][i&(1<<pageBits-1)]
	}
	return 0
}

// refcount is the i-th number of 2^order bits.
func refcount(block []byte, i int64, order int) uint64 {
	switch order {
	case 4:
		return uint64(binary.BigEndian.Uint16(block[i*2:]))
	case 5:
		return uint64(binary.BigEndian.Uint32(block[i*4:]))
	case 6:
		return binary.BigEndian.Uint64(block[i*8:])
	}
	bits := int64(1) << order
	return uint64(block[i*bits/8]>>(i*bits%8)) & (1<<bits - 1)
}

// copiedFlags: QEMU writes in place where the flag says that the cluster's
// refcount is 1, so the two must agree.
func (c *checker) copiedFlags() error {
	check := func(what string, at int64, flag bool) {
		if one := c.entry(at>>c.h.clusterBits)&storedOne != 0; one != flag {
			c.wrong("%s at %#x: the copied flag is %t", what, at, flag)
		}
	}
	return c.eachTable(func(at int64, u *l2Use, table []byte) error {
		if !u.active {
			return nil
		}
		check("the L2 table", at, u.copied)
		for i := int64(0); i < int64(len(table)); i += c.h.entryBytes() {
			e := binary.BigEndian.Uint64(table[i:])
			if host := int64(e & hostMask); e&compressed == 0 && host != 0 && host < c.size {
				check("the cluster", host, e&copied != 0)
			}
		}
		return nil
	})
}
