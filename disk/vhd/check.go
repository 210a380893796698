package vhd

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"kuva/disk"
	"kuva/disk/internal/blocks"
)

// Check looks at every entry of the table: whether it leads out of the file,
// to the header or the table, or to a place that another block has.
func Check(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (*disk.Report, error) {
	f, err := load(r, size, o)
	if err != nil {
		return nil, err
	}
	report := &disk.Report{Format: name, End: size}
	if f.Type == typeFixed {
		report.Blocks, report.Allocated = 1, 1
		return report, nil
	}
	if err := f.scan(ctx, o.Budget, report); err != nil {
		return nil, err
	}
	return report, nil
}

// data is where the first block can be.
func (f *file) data() int64 {
	table := (int64(f.Entries)*4 + sector - 1) / sector * sector
	return max(int64(f.Table)+table, int64(f.DataOffset)+headerSize)
}

// scan looks at all entries.
func (f *file) scan(ctx context.Context, budget *disk.Budget, report *disk.Report) error {
	block := int64(f.Block)
	report.Blocks = (f.length + block - 1) / block
	places := blocks.Places{Len: f.stride() / sector, Budget: budget}
	defer places.Free()
	err := f.table.Scan(ctx, budget, func(p []byte, first int64) error {
		if blocks.Same(p, 4) && binary.BigEndian.Uint32(p) == unused {
			return nil
		}
		for i := first; len(p) > 0; i, p = i+1, p[4:] {
			kind, at, err := f.decode(p[:4], i)
			switch {
			case err != nil:
				blocks.Find(report, &report.Errors, fmt.Sprintf("block %d is outside of the file", i))
				continue
			case kind != disk.Data:
				continue
			case i >= (int64(f.Size)+block-1)/block:
				blocks.Find(report, &report.Errors, fmt.Sprintf("block %d is behind the end of the disk", i))
				continue
			}
			report.Allocated++
			at -= bitmapSize(block)
			free, err := places.Claim(at / sector)
			if err != nil {
				return err
			}
			if !free || f.hits(at, int64(f.Table), int64(f.Entries)*4) || f.hits(at, int64(f.DataOffset), headerSize) {
				report.Overlaps++
				blocks.Find(report, &report.Errors, fmt.Sprintf("block %d at %d lies where something else is", i, at))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Blocks that were written and then forgotten.
	report.Leaks = places.Gaps(f.data()/sector, f.end/sector)
	if report.Leaks > 0 && len(report.Problems) < disk.MaxProblems {
		report.Problems = append(report.Problems, fmt.Sprintf("room for %d blocks is not used", report.Leaks))
	}
	return nil
}

// hits tells whether a block at some place would lie over n bytes from off.
func (f *file) hits(at, off, n int64) bool { return at < off+n && off < at+f.stride() }
