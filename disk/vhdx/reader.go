package vhdx

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"

	"kuva/disk"
	"kuva/disk/internal/blocks"
)

// Format is VHDX's row in the list.
var Format = &disk.Format{
	Name:     name,
	Probe:    Probe,
	Open:     Open,
	Layout:   Layout,
	Check:    Check,
	Settings: settings,
}

// Probe looks for the mark of the identifier.
func Probe(r io.ReaderAt, size int64) (bool, error) {
	b := make([]byte, len(magic))
	if size < int64(len(b)) {
		return false, nil
	}
	if err := disk.ReadFull(r, b, 0); err != nil {
		return false, err
	}
	return bytes.Equal(b, magic), nil
}

// States of blocks.
const (
	stateMask     = 7
	notPresent    = 0
	undefined     = 1
	zeros         = 2
	unmapped      = 3
	present       = 6
	partly        = 7
	offsetMask    = ^uint64(mib - 1)
	bytesPerEntry = 8
)

// file is what the structures of a file say.
type file struct {
	*metadata
	r        io.ReaderAt // with the log replayed
	size     int64
	replayed bool
	regions  []region // that no block may lie in
	table    *blocks.Table
}

func load(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (*file, error) {
	if yes, err := Probe(r, size); err != nil {
		return nil, err
	} else if !yes {
		return nil, disk.Malform(name, "the identifier has no mark")
	}
	if size < mib {
		return nil, disk.Malform(name, "%d bytes are too few", size)
	}
	h, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	f := &file{r: r, size: size}
	if h.log != (guid{}) {
		p, err := replay(ctx, r, size, h, o.Budget)
		if err != nil {
			return nil, err
		}
		f.r, f.size, f.replayed = p, p.length, true
	}
	regions, err := readRegions(f.r, f.size)
	if err != nil {
		return nil, err
	}
	f.regions = []region{{0, mib}, {int64(h.logAt), int64(h.logLen)}, regions[regionBAT], regions[regionMetadata]}
	for _, reg := range f.regions[2:] {
		if reg.hits(f.regions[1]) {
			return nil, disk.Malform(name, "the log overlaps with a region")
		}
	}
	if f.metadata, err = readMetadata(f.r, regions[regionMetadata]); err != nil {
		return nil, err
	}
	if err := o.Budget.CheckSize(name, f.metadata.size); err != nil {
		return nil, err
	}
	switch {
	case f.parent && o.Parent == nil:
		return nil, disk.Refuse(name, disk.ReasonBacking, "a differencing disk, whose parent has a part of the data")
	case !f.parent && o.Parent != nil:
		return nil, disk.Refuse(name, disk.ReasonBacking, "the disk has no parent")
	}
	bat := regions[regionBAT]
	if f.entries()*bytesPerEntry > bat.length {
		return nil, disk.Malform(name, "the block table has %d bytes, %d entries are needed", bat.length, f.entries())
	}
	f.table = &blocks.Table{R: f.r, Off: bat.at, Count: f.entries(), Width: bytesPerEntry}
	return f, nil
}

// decode tells where block i lies. Of the last block all that belongs to the
// disk must be in the file.
func (f *file) decode(entry []byte, i int64) (disk.Kind, int64, error) {
	e := binary.LittleEndian.Uint64(entry)
	state := e & stateMask
	switch {
	case state == zeros, f.parent && (state == undefined || state == unmapped):
		return disk.Zero, 0, nil // not the parent's
	case state <= unmapped:
		return disk.Hole, 0, nil
	case state == present, f.parent && state == partly:
		at := e & offsetMask
		need := min(f.block, f.metadata.size-i*f.block)
		if at < mib || at > uint64(f.size) || int64(at)+need > f.size {
			return 0, 0, disk.Malform(name, "block %d at %d is outside of the file", i, at)
		}
		return disk.Data, int64(at), nil
	}
	return 0, 0, disk.Malform(name, "block %d has state %d", i, e&stateMask)
}

// look implements blocks.Look: it skips the bitmaps' entries.
func (f *file) look(i, limit int64) (disk.Kind, int64, int64, error) {
	chunk := i / f.ratio()
	limit = min(limit, (chunk+1)*f.ratio()-i)
	return f.table.Run(i+chunk, limit, f.block, func(e []byte, entry int64) (disk.Kind, int64, error) {
		return f.decode(e, entry-chunk)
	})
}

// Open reads headers, log, metadata, and the block table once: entries that
// lead out of the file and blocks in the way of each other are malformed. A
// differencing disk lies on the parent that the caller hands over.
func Open(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (disk.Disk, error) {
	f, err := load(ctx, r, size, o)
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
	if f.parent {
		return disk.Overlay(o.Parent, f.changes()), nil
	}
	return &blocks.Image{R: f.r, Length: f.metadata.size, Block: f.block, Look: f.look, Nowhere: f.replayed}, nil
}
