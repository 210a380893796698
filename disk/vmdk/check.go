package vmdk

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"kuva/disk"
	"kuva/disk/internal/blocks"
)

// Check looks at all tables of a file that stands alone: tables and grains
// outside of the file or in the way of each other, compressed grains whose
// marker is another one's, and a second set of tables that differs.
func Check(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (*disk.Report, error) {
	if _, err := Open(ctx, r, size, o); err != nil {
		return nil, err
	}
	if len(o.Parts) > 0 {
		return nil, disk.Refuse(name, disk.ReasonUnsupported, "disks of several files are not checked")
	}
	x, err := loadSparse(r, size, o.Budget)
	if err != nil {
		return nil, err
	}
	c := &checker{
		sparse: x, budget: o.Budget,
		report: &disk.Report{Format: name, Blocks: (x.length + x.grain - 1) / x.grain, End: size},
		grains: blocks.Places{Len: int64(x.Grain), Budget: o.Budget},
	}
	defer c.grains.Free()
	if err := c.run(ctx); err != nil {
		return nil, err
	}
	return c.report, nil
}

type checker struct {
	*sparse
	budget *disk.Budget
	report *disk.Report
	grains blocks.Places
	tables []uint32 // where tables are, sorted
}

func (c *checker) bad(format string, args ...any) {
	blocks.Find(c.report, &c.report.Errors, fmt.Sprintf(format, args...))
}

func (c *checker) overlap(format string, args ...any) {
	c.report.Overlaps++
	c.bad(format, args...)
}

func (c *checker) run(ctx context.Context) error {
	if err := c.findTables(ctx); err != nil {
		return err
	}
	defer c.budget.Free(4 * c.header.tables())
	for t := range c.header.tables() {
		if err := c.budget.Steps(ctx, tableLen); err != nil {
			return err
		}
		if err := c.budget.Read(tableBytes); err != nil {
			return err
		}
		tab, err := c.table(t)
		if err != nil {
			continue // counted by findTables
		}
		if err := c.backup(t, tab); err != nil {
			return err
		}
		if disk.IsZero(tab) {
			continue
		}
		if err := c.checkTable(t, tab); err != nil {
			return err
		}
	}
	if c.sparse.grains == nil && c.report.Errors == 0 {
		c.report.Leaks = c.grains.Gaps(c.front(), c.size/sector)
		if c.report.Leaks > 0 && len(c.report.Problems) < disk.MaxProblems {
			c.report.Problems = append(c.report.Problems, fmt.Sprintf("room for %d grains is not used", c.report.Leaks))
		}
	}
	return nil
}

// front is the first sector behind everything that is no grain.
func (c *checker) front() int64 {
	end := max(c.Overhead, c.DescOff+c.DescSize, c.DirOff+uint64(c.header.tables()*4+sector-1)/sector)
	if n := len(c.tables); n > 0 {
		end = max(end, uint64(c.tables[n-1])+tableBytes/sector)
	}
	return int64(min(end, uint64(c.size/sector)))
}

// findTables reads the directory.
func (c *checker) findTables(ctx context.Context) error {
	if err := c.budget.Alloc(4 * c.header.tables()); err != nil {
		return err
	}
	err := c.dir.Scan(ctx, c.budget, func(p []byte, first int64) error {
		for t := first; len(p) > 0; t, p = t+1, p[4:] {
			at := binary.LittleEndian.Uint32(p)
			if at == 0 {
				continue
			}
			if int64(at)*sector+tableBytes > c.size {
				c.bad("grain table %d is outside of the file", t)
				continue
			}
			c.tables = append(c.tables, at)
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(c.tables)
	for i := 1; i < len(c.tables); i++ {
		if c.tables[i]-c.tables[i-1] < tableBytes/sector {
			c.overlap("two grain tables are at sector %d", c.tables[i])
		}
	}
	return nil
}

// backup compares a table with its second one.
func (c *checker) backup(t int64, tab []byte) error {
	if c.Flags&flagBackup == 0 || c.BackupOff == 0 || c.BackupOff == atEnd {
		return nil
	}
	var e [4]byte
	if c.BackupOff > uint64(c.size/sector) || int64(c.BackupOff)*sector+t*4+4 > c.size {
		c.bad("the second entry of table %d is outside of the file", t)
		return nil
	}
	if err := disk.ReadFull(c.r, e[:], int64(c.BackupOff)*sector+t*4); err != nil {
		return err
	}
	at := int64(binary.LittleEndian.Uint32(e[:])) * sector
	if at == 0 || at+tableBytes > c.size {
		if tab != nil || at != 0 {
			c.bad("the second grain table %d is outside of the file", t)
		}
		return nil
	}
	second := make([]byte, tableBytes)
	if err := disk.ReadFull(c.r, second, at); err != nil {
		return err
	}
	if string(second) != string(tab) && !(tab == nil && disk.IsZero(second)) {
		c.bad("the two grain tables %d differ", t)
	}
	return nil
}

func (c *checker) checkTable(t int64, tab []byte) error {
	for j := range int64(tableLen) {
		i := t*tableLen + j
		kind, at, err := c.decode(tab[j*4:], i)
		switch {
		case i >= c.report.Blocks:
			if kind != disk.Hole || err != nil {
				c.bad("grain %d is behind the end of the disk", i)
			}
			continue
		case err != nil:
			c.bad("grain %d is outside of the file", i)
			continue
		case kind != disk.Data:
			continue
		}
		c.report.Allocated++
		if c.sparse.grains != nil {
			c.report.Compressed++
			if _, err := c.packedSize(i, at); err != nil {
				c.bad("grain %d has no right marker at sector %d", i, at/sector)
			}
			continue
		}
		free, err := c.grains.Claim(at / sector)
		if err != nil {
			return err
		}
		if !free || c.hits(at/sector) {
			c.overlap("grain %d at sector %d lies where something else is", i, at/sector)
		}
	}
	return nil
}

// hits tells whether a grain at a sector would lie over the header, the
// descriptor, the directory or a table.
func (c *checker) hits(at int64) bool {
	end := at + int64(c.Grain)
	over := func(off uint64, n int64) bool { return at < int64(off)+n && int64(off) < end }
	dir := (c.header.tables()*4 + sector - 1) / sector
	if at == 0 || over(c.DescOff, int64(c.DescSize)) || over(c.DirOff, dir) {
		return true
	}
	k, _ := slices.BinarySearch(c.tables, uint32(max(0, at-tableBytes/sector+1)))
	return k < len(c.tables) && int64(c.tables[k]) < end
}
