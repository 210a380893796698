package vhd

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"

	"kuva/disk"
	"kuva/disk/internal/blocks"
	"kuva/disk/raw"
)

// Format is VHD's row in the list.
var Format = &disk.Format{
	Name:     name,
	Aliases:  []string{"vpc"},
	Probe:    Probe,
	Open:     Open,
	Layout:   Layout,
	Check:    Check,
	Settings: settings,
}

// Probe looks for the mark of a footer at both ends of the file.
func Probe(r io.ReaderAt, size int64) (bool, error) {
	var b [8]byte
	for _, off := range []int64{0, size - footerSize, size - footerSize + 1} {
		if off < 0 || off+int64(len(b)) > size {
			continue
		}
		if err := disk.ReadFull(r, b[:], off); err != nil {
			return false, err
		}
		if bytes.Equal(b[:], cookie) {
			return true, nil
		}
	}
	return false, nil
}

// file is what the structures of a file say.
type file struct {
	footer
	header // of dynamic disks
	length int64
	end    int64 // where the last footer begins
	table  *blocks.Table
}

// load reads the footers and the header.
func load(r io.ReaderAt, size int64, o disk.OpenOptions) (*file, error) {
	b := make([]byte, footerSize)
	end := size - footerSize
	if end < 0 {
		return nil, disk.Malform(name, "%d bytes are too few", size)
	}
	if err := disk.ReadFull(r, b, end); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(b, cookie) && bytes.HasPrefix(b[1:], cookie) {
		// An old writer's, one byte short: that byte is reserved and 0.
		end++
		b = append(b[1:], 0)
	}
	ft, err := parseFooter(b)
	if err != nil {
		return nil, err
	}
	f := &file{footer: *ft, end: end}
	switch ft.Type {
	case typeFixed, typeDynamic:
		if o.Parent != nil {
			return nil, disk.Refuse(name, disk.ReasonBacking, "the file has no parent")
		}
	case typeDifferencing:
		if o.Parent == nil {
			return nil, disk.Refuse(name, disk.ReasonBacking, "a differencing disk, whose parent has a part of the data")
		}
	default:
		return nil, disk.Refuse(name, disk.ReasonFeature, "disk type %d", ft.Type)
	}
	if ft.savedState {
		return nil, disk.Refuse(name, disk.ReasonFeature, "the machine is in saved state")
	}
	if f.length, err = ft.diskSize(); err != nil {
		return nil, err
	}
	if err := o.Budget.CheckSize(name, f.length); err != nil {
		return nil, err
	}
	if ft.Type == typeFixed {
		if ft.Size != uint64(end) {
			return nil, disk.Malform(name, "the footer says %d bytes of data, the file has %d", ft.Size, end)
		}
		return f, nil
	}
	return f, f.loadTable(r, b)
}

// loadTable reads what dynamic disks have: the copy of the footer, which must
// not disagree, and the header.
func (f *file) loadTable(r io.ReaderAt, tail []byte) error {
	head := make([]byte, footerSize)
	if err := disk.ReadFull(r, head, 0); err != nil {
		return err
	}
	if _, err := parseFooter(head); err != nil {
		return err
	}
	if !bytes.Equal(head[8:], tail[8:]) {
		return disk.Malform(name, "the two footers disagree")
	}
	if f.DataOffset < footerSize || f.DataOffset%sector != 0 || f.DataOffset > uint64(max(0, f.end-headerSize)) {
		return disk.Malform(name, "the header is said to be at %d", f.DataOffset)
	}
	b := make([]byte, headerSize)
	if err := disk.ReadFull(r, b, int64(f.DataOffset)); err != nil {
		return err
	}
	h, err := parseHeader(b)
	if err != nil {
		return err
	}
	f.header = *h
	if h.Block < sector || h.Block > maxBlock || h.Block&(h.Block-1) != 0 {
		return disk.Malform(name, "blocks of %d bytes", h.Block)
	}
	if need := (int64(f.Size) + int64(h.Block) - 1) / int64(h.Block); int64(h.Entries) < need {
		return disk.Malform(name, "the table has %d entries, %d are needed", h.Entries, need)
	}
	if h.Table < footerSize || h.Table%sector != 0 || h.Table > uint64(f.end) || int64(h.Entries)*4 > f.end-int64(h.Table) {
		return disk.Malform(name, "the table of %d entries at %d reaches over the end", h.Entries, h.Table)
	}
	f.table = &blocks.Table{R: r, Off: int64(h.Table), Count: int64(h.Entries), Width: 4}
	return nil
}

// stride is what a block takes in the file.
func (f *file) stride() int64 { return bitmapSize(int64(f.Block)) + int64(f.Block) }

// decode tells where a block lies. The place is checked so far that reading it
// cannot leave the file.
func (f *file) decode(entry []byte, i int64) (disk.Kind, int64, error) {
	at := int64(binary.BigEndian.Uint32(entry))
	if at == unused {
		return disk.Hole, 0, nil
	}
	at *= sector
	if at < footerSize || at+f.stride() > f.end {
		return 0, 0, disk.Malform(name, "block %d at %d is outside of the file", i, at)
	}
	return disk.Data, at + bitmapSize(int64(f.Block)), nil
}

// Open reads footer and header, and the table of a dynamic disk once: entries
// that lead out of the file and blocks in the way of each other are malformed.
// A differencing disk lies on the parent that the caller hands over.
func Open(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (disk.Disk, error) {
	f, err := load(r, size, o)
	if err != nil {
		return nil, err
	}
	if f.Type == typeFixed {
		return raw.Open(ctx, r, f.length, disk.OpenOptions{Budget: o.Budget})
	}
	report := new(disk.Report)
	if err := f.scan(ctx, o.Budget, report); err != nil {
		return nil, err
	}
	if report.Errors > 0 {
		return nil, disk.Malform(name, "%s", report.Problems[0])
	}
	if f.Type == typeDifferencing {
		return disk.Overlay(o.Parent, f.changes(r)), nil
	}
	block := int64(f.Block)
	return &blocks.Image{R: r, Length: f.length, Block: block, Look: func(i, limit int64) (disk.Kind, int64, int64, error) {
		return f.table.Run(i, limit, block, f.decode)
	}}, nil
}
