// Package fat reads FAT12, FAT16 and FAT32 file systems, with long names.
//
// Nodes are named by the byte offset of their entry in the folder that they lie
// in; the root is 0. Names match without regard to case, by the long name and
// by the short one.
//
// Described in Microsoft's "FAT: General Overview of On-Disk Format", 1.03.
package fat

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/blocks"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

const format = "vfat"

// FS is an open file system. It implements tree.Reader, tree.Lookuper and
// tree.Spacer.
type FS struct {
	d      disk.Disk
	blocks *blocks.Reader
	budget *budget.Budget
	info   tree.Info
	index  names.Index

	width    int   // bits of an entry of the table: 12, 16 or 32
	cluster  int64 // bytes
	table    int64 // where the first table lies
	data     int64 // where cluster 2 lies
	clusters int64 // the highest cluster is clusters+1
	rootAt   int64 // where the root folder of FAT12 and FAT16 lies
	rootLen  int64 // and its bytes; 0 for FAT32
	root     uint32
}

// Open reads the boot sector. The disk must stay open until the last use.
func Open(d disk.Disk, b *budget.Budget) (*FS, error) {
	f := &FS{d: d, budget: b, blocks: blocks.New(format, d, b)}
	boot := make([]byte, 512)
	if err := f.read(boot, 0); err != nil {
		return nil, err
	}
	if string(boot[3:11]) == "EXFAT   " {
		return nil, disk.Refuse("exfat", disk.ReasonUnsupported, "exFAT is not read")
	}
	g, err := parse(boot, d.Size())
	if err != nil {
		return nil, err
	}
	f.width, f.cluster, f.table, f.data, f.clusters = g.width, g.cluster, g.table, g.data, g.clusters
	f.rootAt, f.rootLen, f.root = g.rootAt, g.rootLen, g.root
	f.info = tree.Info{
		Type: format, BlockSize: g.cluster, Size: g.size, FreeBytes: -1,
		Features: []string{fmt.Sprintf("FAT%d", g.width)},
	}
	if g.size > d.Size() {
		f.note(tree.Truncated, "the file system has %d bytes, the volume %d", g.size, d.Size())
	}
	f.describe(boot, g)
	return f, nil
}

// geometry is where things lie, in bytes.
type geometry struct {
	width                   int
	sector, cluster, size   int64
	table, tableLen, tables int64
	rootAt, rootLen         int64
	data, clusters          int64
	root                    uint32
	fsInfo                  int64
	serialAt, flags         int
}

func parse(boot []byte, size int64) (g geometry, err error) {
	le := binary.LittleEndian
	g.sector = int64(le.Uint16(boot[11:]))
	perCluster := int64(boot[13])
	reserved := int64(le.Uint16(boot[14:]))
	g.tables = int64(boot[16])
	rootEntries := int64(le.Uint16(boot[17:]))
	total := int64(le.Uint16(boot[19:]))
	if total == 0 {
		total = int64(le.Uint32(boot[32:]))
	}
	g.tableLen = int64(le.Uint16(boot[22:]))
	big := g.tableLen == 0
	if big {
		g.tableLen = int64(le.Uint32(boot[36:]))
	}
	media := boot[21]
	switch {
	case g.sector != 512 && g.sector != 1024 && g.sector != 2048 && g.sector != 4096:
		return g, disk.Malform(format, "sectors of %d bytes", g.sector)
	case bits.OnesCount64(uint64(perCluster)) != 1:
		return g, disk.Malform(format, "clusters of %d sectors", perCluster)
	case reserved == 0:
		return g, disk.Malform(format, "no reserved sector")
	case g.tables == 0:
		return g, disk.Malform(format, "no allocation table")
	case g.tableLen == 0:
		return g, disk.Malform(format, "an allocation table of no sectors")
	case media != 0xf0 && media < 0xf8:
		return g, disk.Malform(format, "a medium of kind %#x", media)
	case boot[0] != 0xeb && boot[0] != 0xe9 && boot[0] != 0 && boot[510] != 0x55:
		return g, disk.Malform(format, "neither a jump nor a signature in the boot sector")
	}
	g.cluster = perCluster * g.sector
	g.size = total * g.sector
	g.table = reserved * g.sector
	g.tableLen *= g.sector
	g.rootAt = g.table + g.tables*g.tableLen
	g.rootLen = (rootEntries*32 + g.sector - 1) &^ (g.sector - 1)
	g.data = g.rootAt + g.rootLen
	if g.data > g.size {
		return g, disk.Malform(format, "the data begin at %d of %d bytes", g.data, g.size)
	}
	if g.data > size {
		return g, disk.Malform(format, "the tables end at %d, the volume at %d", g.data, size)
	}
	g.clusters = (g.size - g.data) / g.cluster
	g.serialAt, g.flags = 39, 37
	switch {
	case big:
		g.width = 32
		g.root = le.Uint32(boot[44:])
		g.fsInfo = int64(le.Uint16(boot[48:])) * g.sector
		g.serialAt, g.flags = 67, 65
		if v := le.Uint16(boot[42:]); v != 0 {
			return g, disk.Refuse(format, disk.ReasonFeature, "FAT32 of version %#x", v)
		}
		if le.Uint16(boot[40:])&0x80 != 0 { // no mirroring: one table is the right one
			g.table += int64(boot[40]&0xf) * g.tableLen
			if int64(boot[40]&0xf) >= g.tables {
				return g, disk.Malform(format, "table %d of %d is the right one", boot[40]&0xf, g.tables)
			}
		}
	case g.clusters > 4084:
		g.width = 16
	default:
		g.width = 12
	}
	// Clusters that the table has no entry for cannot be used.
	g.clusters = min(g.clusters, g.tableLen*8/int64(g.width)-2)
	if g.clusters < 1 {
		return g, disk.Malform(format, "no clusters")
	}
	return g, nil
}

// describe fills in what is good to know and not needed.
func (f *FS) describe(boot []byte, g geometry) {
	if sig := boot[g.serialAt-1]; sig == 0x28 || sig == 0x29 {
		s := binary.LittleEndian.Uint32(boot[g.serialAt:])
		f.info.UUID = fmt.Sprintf("%04X-%04X", s>>16, s&0xffff)
	}
	// The boot sector has one too, which nobody keeps up to date.
	f.info.Label = f.rootLabel()
	if g.width == 32 && g.fsInfo != 0 && g.fsInfo != 0xffff*g.sector {
		b := make([]byte, 512)
		if f.read(b, g.fsInfo) == nil && string(b[:4]) == "RRaA" && string(b[484:488]) == "rrAa" {
			if n := int64(binary.LittleEndian.Uint32(b[488:])); n <= g.clusters {
				f.info.FreeBytes = n * g.cluster
			}
		}
	}
	dirty, failed := boot[g.flags]&1 != 0, boot[g.flags]&2 != 0
	if v, err := f.entry(1); err == nil && g.width > 12 {
		dirty = dirty || v>>(g.width-1-(g.width/32)*4)&1 == 0
		failed = failed || v>>(g.width-2-(g.width/32)*4)&1 == 0
	}
	if dirty {
		f.note(tree.JournalDirty, "the file system was not unmounted")
	}
	if failed {
		f.note(tree.Errors, "errors of the disk were met")
	}
}

// label gives the text of a label; "NO NAME" is none.
func label(b []byte) string {
	s := strings.TrimRight(oem(b), " ")
	if s == "NO NAME" {
		return ""
	}
	return names.UntilNUL(s)
}

func (f *FS) note(id, detail string, args ...any) {
	f.info.Notes = append(f.info.Notes, tree.Note{ID: id, Detail: fmt.Sprintf(detail, args...)})
}

// read fills p with what lies at off, from the cache.
func (f *FS) read(p []byte, off int64) error {
	for len(p) > 0 {
		start := off &^ 4095
		b, err := f.blocks.Get(start, int(max(min(4096, f.d.Size()-start), 1)))
		if err != nil {
			return err
		}
		if off-start >= int64(len(b)) {
			return disk.Malform(format, "ends before %d", off)
		}
		n := copy(p, b[off-start:])
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// Info implements tree.Reader.
func (f *FS) Info() tree.Info { return f.info }

// Root implements tree.Reader.
func (f *FS) Root() tree.ID { return tree.ID{} }
