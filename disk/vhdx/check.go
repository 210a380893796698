package vhdx

import (
	"context"
	"fmt"
	"io"

	"kuva/disk"
	"kuva/disk/internal/blocks"
)

// Check looks at every entry of the block table: whether it leads out of the
// file, to a region, or to a place that another block has. Room that nothing
// uses is no leak here: the format lets writers reserve it. Of a file that was
// not closed it tells what is found after its log is replayed.
func Check(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (*disk.Report, error) {
	f, err := load(ctx, r, size, o)
	if err != nil {
		return nil, err
	}
	report := &disk.Report{Format: name, Blocks: f.blocks(), End: f.size}
	return report, f.scan(ctx, o.Budget, report)
}

// scan looks at all entries.
func (f *file) scan(ctx context.Context, budget *disk.Budget, report *disk.Report) error {
	places := blocks.Places{Len: f.block / mib, Budget: budget}
	defer places.Free()
	every := f.ratio() + 1
	return f.table.Scan(ctx, budget, func(p []byte, first int64) error {
		if disk.IsZero(p) {
			return nil
		}
		for e := first; len(p) > 0; e, p = e+1, p[bytesPerEntry:] {
			if e%every == f.ratio() {
				// A bitmap's. Without a parent nobody reads it.
				if _, err := f.bitmapAt(p); f.parent && err != nil {
					blocks.Find(report, &report.Errors, fmt.Sprintf("bitmap %d lies outside of the file", e/every))
				}
				continue
			}
			i := e - e/every
			if i >= f.blocks() { // to fill the last bitmap's group
				if !disk.IsZero(p[:bytesPerEntry]) {
					blocks.Find(report, &report.Errors, fmt.Sprintf("block %d is behind the end of the disk", i))
				}
				continue
			}
			kind, at, err := f.decode(p[:bytesPerEntry], i)
			if err != nil {
				blocks.Find(report, &report.Errors, fmt.Sprintf("block %d has a wrong state or lies outside of the file", i))
				continue
			}
			if kind != disk.Data {
				continue
			}
			report.Allocated++
			free, err := places.Claim(at / mib)
			if err != nil {
				return err
			}
			for _, r := range f.regions {
				free = free && !r.hits(region{at, f.block})
			}
			if !free {
				report.Overlaps++
				blocks.Find(report, &report.Errors, fmt.Sprintf("block %d at %d lies where something else is", i, at))
			}
		}
		return nil
	})
}
