package vdi

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"kuva/disk"
	"kuva/disk/internal/blocks"
)

// Check looks at every entry of the table: whether it leads out of the file or
// to a block that another one has. Blocks that the header counts and the table
// does not have are leaks.
func Check(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (*disk.Report, error) {
	f, err := load(r, size, o)
	if err != nil {
		return nil, err
	}
	report := &disk.Report{Format: name, Blocks: int64(f.Blocks), End: size}
	if err := f.scan(ctx, o.Budget, report); err != nil {
		return nil, err
	}
	switch n := int64(f.Allocated) - report.Allocated; {
	case report.Errors > 0 || n == 0:
	case n > 0:
		report.Leaks = n
		report.Problems = append(report.Problems, fmt.Sprintf("%d blocks of the file are not in the table", n))
	default:
		blocks.Find(report, &report.Errors, fmt.Sprintf("the header counts %d blocks, the table has %d", f.Allocated, report.Allocated))
	}
	return report, nil
}

// scan looks at all entries.
func (f *file) scan(ctx context.Context, budget *disk.Budget, report *disk.Report) error {
	// One bit for each block of the file says whether it is used.
	pages := map[int64]*[usedPage / 64]uint64{}
	defer func() { budget.Free(int64(len(pages)) * usedPage / 8) }()
	return f.table.Scan(ctx, budget, func(p []byte, first int64) error {
		if blocks.Same(p, 4) && binary.LittleEndian.Uint32(p) >= zero {
			return nil
		}
		for i := first; len(p) > 0; i, p = i+1, p[4:] {
			kind, at, err := f.decode(p[:4], i)
			if err != nil {
				blocks.Find(report, &report.Errors, fmt.Sprintf("block %d is outside of the file", i))
				continue
			}
			if kind != disk.Data {
				continue
			}
			report.Allocated++
			no := (at - int64(f.Data)) / int64(f.Block)
			page := pages[no/usedPage]
			if page == nil {
				if err := budget.Alloc(usedPage / 8); err != nil {
					return err
				}
				page = new([usedPage / 64]uint64)
				pages[no/usedPage] = page
			}
			word, bit := &page[no%usedPage/64], uint64(1)<<(no%64)
			if *word&bit != 0 {
				report.Overlaps++
				blocks.Find(report, &report.Errors, fmt.Sprintf("block %d is number %d of the file, and so is another", i, no))
			}
			*word |= bit
		}
		return nil
	})
}

// usedPage is how many blocks of a file one page of bits is for.
const usedPage = 1 << 16
