package vdi

import (
	"context"
	"encoding/binary"
	"io"

	"kuva/disk"
	"kuva/disk/internal/blocks"
)

// Format is VDI's row in the list.
var Format = &disk.Format{
	Name:     name,
	Probe:    Probe,
	Open:     Open,
	Layout:   Layout,
	Check:    Check,
	Settings: settings,
}

// Probe looks for the signature behind the banner.
func Probe(r io.ReaderAt, size int64) (bool, error) {
	var b [4]byte
	if size < headerSize {
		return false, nil
	}
	if err := disk.ReadFull(r, b[:], 0x40); err != nil {
		return false, err
	}
	return binary.LittleEndian.Uint32(b[:]) == signature, nil
}

// file is what the structures of a file say.
type file struct {
	*header
	size  int64 // of the file
	table *blocks.Table
}

func load(r io.ReaderAt, size int64, o disk.OpenOptions) (*file, error) {
	if size < headerSize {
		return nil, disk.Malform(name, "%d bytes are too few", size)
	}
	b := make([]byte, headerSize)
	if err := disk.ReadFull(r, b, 0); err != nil {
		return nil, err
	}
	h, err := parseHeader(b)
	if err != nil {
		return nil, err
	}
	if err := h.check(size); err != nil {
		return nil, err
	}
	if err := o.Budget.CheckSize(name, int64(h.Size)); err != nil {
		return nil, err
	}
	switch {
	case h.differs() && o.Parent == nil:
		return nil, disk.Refuse(name, disk.ReasonBacking, "a differencing disk, whose parent %x has a part of the data", h.Link)
	case !h.differs() && o.Parent != nil:
		return nil, disk.Refuse(name, disk.ReasonBacking, "the disk has no parent")
	}
	return &file{header: h, size: size, table: &blocks.Table{R: r, Off: int64(h.Table), Count: int64(h.Blocks), Width: 4}}, nil
}

// decode tells where a block lies. Of the last block all that belongs to the
// disk must be in the file.
func (f *file) decode(entry []byte, i int64) (disk.Kind, int64, error) {
	no := int64(binary.LittleEndian.Uint32(entry))
	switch no {
	case free:
		return disk.Hole, 0, nil
	case zero:
		return disk.Zero, 0, nil
	}
	at := int64(f.Data) + no*int64(f.Block)
	if at+min(int64(f.Block), int64(f.Size)-i*int64(f.Block)) > f.size {
		return 0, 0, disk.Malform(name, "block %d is number %d of the file, which ends before", i, no)
	}
	return disk.Data, at, nil
}

// Open reads the header, and the table once: entries that lead out of the file
// and blocks that are used twice are malformed.
func Open(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (disk.Disk, error) {
	f, err := load(r, size, o)
	if err != nil {
		return nil, err
	}
	report := new(disk.Report)
	if err := f.scan(ctx, o.Budget, report); err != nil {
		return nil, err
	}
	if report.Errors > 0 {
		return nil, disk.Malform(name, "%s", report.Problems[0])
	}
	block := int64(f.Block)
	d := &blocks.Image{R: r, Length: int64(f.Size), Block: block, Look: func(i, limit int64) (disk.Kind, int64, int64, error) {
		return f.table.Run(i, limit, block, f.decode)
	}}
	if o.Parent != nil {
		return disk.Overlay(o.Parent, d), nil
	}
	return d, nil
}
