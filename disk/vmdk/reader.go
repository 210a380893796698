package vmdk

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"

	"kuva/disk"
	"kuva/disk/internal/blocks"
	"kuva/disk/raw"
)

// Format is VMDK's row in the list.
var Format = &disk.Format{
	Name:     name,
	Probe:    Probe,
	Open:     Open,
	Layout:   Layout,
	Stream:   Stream,
	Check:    Check,
	Settings: settings,
}

// Probe looks for the marks of sparse files and of descriptors.
func Probe(r io.ReaderAt, size int64) (bool, error) {
	b := make([]byte, min(size, 4096))
	if err := disk.ReadFull(r, b, 0); err != nil {
		return false, err
	}
	for _, m := range [][]byte{magic, cowdMagic, seMagic} {
		if bytes.HasPrefix(b, m) {
			return true, nil
		}
	}
	return isText(b), nil
}

// Open reads header, footer and descriptor; tables are read when they are
// needed, and an entry that leads out of the file is found then, or by Check.
// Of a descriptor alone the caller must hand over the parts. Where a parent is
// named and handed over, it shows through.
func Open(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (disk.Disk, error) {
	b := make([]byte, min(size, 4096))
	if err := disk.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	switch {
	case isText(b):
		return openParts(ctx, r, size, o)
	case bytes.HasPrefix(b, cowdMagic), bytes.HasPrefix(b, seMagic):
		return nil, disk.Refuse(name, disk.ReasonFeature, "a sparse file of VMware ESX")
	}
	x, err := loadSparse(r, size, o.Budget)
	if err != nil {
		return nil, err
	}
	d, err := x.descriptor(o.Budget)
	if err != nil {
		return nil, err
	}
	if err := d.alone(); err != nil {
		return nil, err
	}
	// The header's size counts; some writers round it up to a grain.
	if more := int64(x.Capacity) - d.extents[0].sectors; more < 0 || more >= int64(x.Grain) {
		return nil, disk.Malform(name, "the header says %d sectors, the descriptor %d", x.Capacity, d.extents[0].sectors)
	}
	if len(o.Parts) > 0 {
		return nil, disk.Refuse(name, disk.ReasonDataFile, "all data are in the file itself")
	}
	return withParent(x.disk(), d, o)
}

// withParent puts a disk on the parent that its descriptor names.
func withParent(top disk.Disk, d *descriptor, o disk.OpenOptions) (disk.Disk, error) {
	switch {
	case d.parent && o.Parent == nil:
		return nil, disk.Refuse(name, disk.ReasonBacking, "the disk has a parent, which has a part of the data")
	case d.parent:
		return disk.Overlay(o.Parent, top), nil
	case o.Parent != nil:
		return nil, disk.Refuse(name, disk.ReasonBacking, "the disk has no parent")
	}
	return top, nil
}

// openParts reads a file that is a descriptor only.
func openParts(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (disk.Disk, error) {
	if size > maxText {
		return nil, disk.Refuse(name, disk.ReasonLimit, "a descriptor of %d bytes", size)
	}
	if err := o.Budget.Read(size); err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if err := disk.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	d, err := parseDescriptor(b)
	if err != nil {
		return nil, err
	}
	n, names := d.files()
	if len(o.Parts) != n || n == 0 {
		return nil, disk.Refuse(name, disk.ReasonDataFile, "the data lie in %d other files: %s", n, names)
	}
	var disks []disk.Disk
	var total int64
	parts := o.Parts
	for _, e := range d.extents {
		total += e.sectors
		if total > MaxSize/sector {
			return nil, disk.Refuse(name, disk.ReasonTooLarge, "more than %d bytes", int64(MaxSize))
		}
		if e.kind == "ZERO" {
			disks = append(disks, blocks.Zeros(e.sectors*sector))
			continue
		}
		part, err := openPart(ctx, e, parts[0], o.Budget)
		if err != nil {
			return nil, err
		}
		disks, parts = append(disks, part), parts[1:]
	}
	if err := o.Budget.CheckSize(name, total*sector); err != nil {
		return nil, err
	}
	return withParent(disk.Concat(disks...), d, o)
}

// openPart opens a file that the caller handed over for an extent.
func openPart(ctx context.Context, e extentLine, p disk.Part, budget *disk.Budget) (disk.Disk, error) {
	want := e.sectors * sector
	var d disk.Disk
	switch e.kind {
	case "FLAT", "VMFS":
		flat, err := raw.Open(ctx, p.R, p.Size, disk.OpenOptions{Budget: budget})
		if err != nil {
			return nil, err
		}
		d = disk.Section(flat, e.offset*sector, want)
	case "SPARSE":
		x, err := loadSparse(p.R, p.Size, budget)
		if err != nil {
			return nil, err
		}
		d = disk.Section(x.disk(), 0, want)
	default:
		return nil, disk.Refuse(name, disk.ReasonFeature, "an extent of kind %s", disk.Quote([]byte(e.kind)))
	}
	if d.Size() != want {
		return nil, disk.Malform(name, "the file for extent %s has %d bytes, %d are needed", disk.Quote([]byte(e.file)), d.Size(), want)
	}
	return d, nil
}

// loadSparse reads the header of a sparse file and finds its directory.
func loadSparse(r io.ReaderAt, size int64, budget *disk.Budget) (*sparse, error) {
	if size < sector {
		return nil, disk.Malform(name, "%d bytes are too few", size)
	}
	b := make([]byte, sector)
	if err := disk.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	h, err := parseHeader(b)
	if err != nil {
		return nil, err
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	if h.DirOff == atEnd {
		if err := h.readFooter(r, size); err != nil {
			return nil, err
		}
	}
	x := newSparse(r, size, h)
	if err := budget.CheckSize(name, x.length); err != nil {
		return nil, err
	}
	sectors := uint64(size / sector)
	if h.DirOff == 0 || h.DirOff > sectors || h.tables()*4 > size-int64(h.DirOff)*sector {
		return nil, disk.Malform(name, "the directory of %d tables at sector %d reaches over the end", h.tables(), h.DirOff)
	}
	x.dir = &blocks.Table{R: r, Off: int64(h.DirOff) * sector, Count: h.tables(), Width: 4}
	return x, nil
}

// readFooter takes the place of the directory from the footer, which must say
// the same as the header in all else, and be followed by the end.
func (h *header) readFooter(r io.ReaderAt, size int64) error {
	if size%sector != 0 || size < 4*sector {
		return disk.Malform(name, "cut off: there is no footer")
	}
	b := make([]byte, 3*sector)
	if err := disk.ReadFull(r, b, size-int64(len(b))); err != nil {
		return err
	}
	mark, foot, end := b[:sector], b[sector:2*sector], b[2*sector:]
	switch {
	case binary.LittleEndian.Uint64(mark) != 1 || binary.LittleEndian.Uint32(mark[8:]) != 0 ||
		binary.LittleEndian.Uint32(mark[12:]) != markerFooter:
		return disk.Malform(name, "there is no footer")
	case !disk.IsZero(end[:16]): // size, length and kind 0
		return disk.Malform(name, "there is no end-of-stream marker")
	}
	f, err := parseHeader(foot)
	if err != nil {
		return err
	}
	dir, backup := f.DirOff, f.BackupOff
	f.DirOff, f.BackupOff, f.Unclean = h.DirOff, h.BackupOff, h.Unclean
	f.Overhead = h.Overhead // nobody needs it
	if *f != *h {
		return disk.Malform(name, "header and footer disagree")
	}
	if dir == atEnd {
		return disk.Malform(name, "the footer leads to another footer")
	}
	h.DirOff, h.BackupOff = dir, backup
	return nil
}
