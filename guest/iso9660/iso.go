// Package iso9660 reads discs: ISO 9660 with Rock Ridge (names, modes, links,
// deep folders) or Joliet, files of several extents, and the boot entries of El
// Torito. Files compressed by zisofs are named and not read.
//
// Nodes are named by the byte offset of their record. Where a disc has Rock
// Ridge, names are exact; otherwise they match without regard to case and come
// without their version (";1").
//
// Described in ECMA-119, IEEE P1281 and P1282 (drafts), "El Torito" 1.0.
package iso9660

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/blocks"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

const (
	format = "iso9660"
	sector = 2048
)

// FS is an open disc. It implements tree.Reader and tree.Lookuper.
type FS struct {
	blocks *blocks.Reader
	budget *budget.Budget
	info   tree.Info
	index  names.Index
	boot   []BootEntry

	block  int64 // bytes that addresses count
	root   tree.ID
	joliet bool
	susp   bool // Rock Ridge
	skip   int  // bytes before its entries in each record
}

// BootEntry is an image that a machine may start from the disc.
type BootEntry struct {
	Platform byte // 0 for BIOS, 0xef for UEFI
	Bootable bool
	Media    byte  // 0 for none emulated, 1 to 3 for floppies, 4 for a hard disk
	Off      int64 // where the image lies
	Len      int64 // how many bytes are loaded; more may belong to it
}

// Open reads the descriptors of a disc. The disk must stay open until the last
// use.
func Open(d disk.Disk, b *budget.Budget) (*FS, error) {
	f := &FS{blocks: blocks.New(format, d, b), budget: b}
	var primary, joliet []byte
	var primaryAt, jolietAt int64
	catalog := int64(0)
	for i := range int64(64) {
		at := (16 + i) * sector
		v, err := f.blocks.Get(at, sector)
		if err != nil {
			if primary != nil && !budget.IsLimit(err) {
				break
			}
			return nil, err
		}
		if string(v[1:6]) != "CD001" {
			if primary == nil {
				return nil, disk.Malform(format, "no descriptor at %d", at)
			}
			break
		}
		switch kind := v[0]; {
		case kind == 0 && bytes.HasPrefix(v[7:], []byte("EL TORITO SPECIFICATION")):
			catalog = int64(binary.LittleEndian.Uint32(v[71:])) * sector
		case kind == 1 && primary == nil:
			primary, primaryAt = v, at
		case kind == 2 && joliet == nil && v[88] == '%' && v[89] == '/' && strings.IndexByte("@CE", v[90]) >= 0:
			joliet, jolietAt = v, at
		}
		if v[0] == 255 {
			break
		}
	}
	if primary == nil {
		return nil, disk.Malform(format, "no primary descriptor")
	}
	f.block = int64(binary.LittleEndian.Uint16(primary[128:]))
	if f.block != 512 && f.block != 1024 && f.block != sector {
		return nil, disk.Malform(format, "blocks of %d bytes", f.block)
	}
	f.info = tree.Info{
		Type: format, BlockSize: f.block, FreeBytes: -1, Label: strings.TrimRight(string(primary[40:72]), " \x00"),
		Size: int64(binary.LittleEndian.Uint32(primary[80:])) * f.block, UUID: uuid(primary),
	}
	if f.info.Size > d.Size() {
		f.info.Notes = append(f.info.Notes, tree.Note{
			ID: tree.Truncated, Detail: fmt.Sprintf("the file system has %d bytes, the volume %d", f.info.Size, d.Size()),
		})
	}
	f.root = tree.ID{Ino: uint64(primaryAt + 156)}
	if err := f.findRockRidge(); err != nil {
		return nil, err
	}
	if f.susp {
		f.info.Features = append(f.info.Features, "rock-ridge")
		f.index.Exact = true
	}
	if joliet != nil {
		f.info.Features = append(f.info.Features, "joliet")
		label := strings.TrimRight(names.BE(joliet[40:72]), " \x00")
		if strings.HasPrefix(strings.ToUpper(f.info.Label), strings.ToUpper(label)) && label != "" {
			f.info.Label = label + f.info.Label[min(len(label), len(f.info.Label)):]
		}
		if !f.susp {
			f.root, f.joliet = tree.ID{Ino: uint64(jolietAt + 156)}, true
		}
	}
	if catalog > 0 {
		if err := f.readCatalog(catalog); budget.IsLimit(err) {
			return nil, err
		}
		f.info.Features = append(f.info.Features, "el-torito")
	}
	_, err := f.node(f.root)
	return f, err
}

// uuid is the time of the last change, or of making, as blkid prints it.
func uuid(v []byte) string {
	for _, at := range []int{830, 813} {
		t := v[at : at+16]
		if strings.Trim(string(t), "0\x00 ") == "" {
			continue
		}
		return fmt.Sprintf("%s-%s-%s-%s-%s-%s-%s", t[:4], t[4:6], t[6:8], t[8:10], t[10:12], t[12:14], t[14:16])
	}
	return ""
}

// findRockRidge looks for the mark of SUSP in the first record of the root.
func (f *FS) findRockRidge() error {
	r, err := f.record(int64(f.root.Ino))
	if err != nil {
		return err
	}
	dot, err := f.record(r.extent(f))
	if err != nil {
		return nil // a damaged root is found when it is read
	}
	if b := dot.system; len(b) >= 7 && b[0] == 'S' && b[1] == 'P' && b[2] >= 7 && b[4] == 0xbe && b[5] == 0xef {
		f.skip = int(b[6])
		e, err := f.entries(dot)
		if err != nil {
			return err
		}
		f.susp = e.rock
	}
	return nil
}

// readCatalog reads the entries of El Torito: one for the machine in general,
// and sections for kinds of machines.
func (f *FS) readCatalog(at int64) error {
	b, err := f.blocks.Get(at, sector)
	if err != nil {
		return err
	}
	if b[0] != 1 || b[30] != 0x55 || b[31] != 0xaa {
		return disk.Malform(format, "no boot catalogue at %d", at)
	}
	platform, left := b[1], 1
	for b = b[32:]; len(b) >= 32; b = b[32:] {
		switch {
		case left > 0 && b[0] != 0x44:
			left--
			if b[0] == 0 && binary.LittleEndian.Uint32(b[8:]) == 0 {
				continue
			}
			f.boot = append(f.boot, BootEntry{
				Platform: platform, Bootable: b[0] == 0x88, Media: b[1] & 15,
				Len: int64(binary.LittleEndian.Uint16(b[6:])) * 512, Off: int64(binary.LittleEndian.Uint32(b[8:])) * sector,
			})
		case b[0] == 0x90 || b[0] == 0x91:
			platform, left = b[1], int(binary.LittleEndian.Uint16(b[2:]))
		case b[0] != 0x44: // continues an entry
			return nil
		}
	}
	return nil
}

// Info implements tree.Reader.
func (f *FS) Info() tree.Info { return f.info }

// Root implements tree.Reader.
func (f *FS) Root() tree.ID { return f.root }

// Boot lists what machines may start from the disc.
func (f *FS) Boot() []BootEntry { return f.boot }

// stamp reads a time of 7 bytes.
func stamp(b []byte) time.Time {
	if disk.IsZero(b[:6]) {
		return time.Time{}
	}
	zone := time.FixedZone("", int(int8(b[6]))*15*60)
	return time.Date(1900+int(b[0]), time.Month(b[1]), int(b[2]), int(b[3]), int(b[4]), int(b[5]), 0, zone).UTC()
}

// longStamp reads a time of 17 characters.
func longStamp(b []byte) time.Time {
	t, err := time.Parse("20060102150405", string(b[:14]))
	if err != nil {
		return time.Time{}
	}
	return t.Add(-time.Duration(int8(b[16])) * 15 * time.Minute)
}
