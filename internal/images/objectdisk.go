package images

import (
	"context"
	"iter"

	"kuva/disk"
	"kuva/internal/depot"
)

// objectDisk is a stored file with its holes, for the formats of package disk.
type objectDisk struct {
	*depot.Cached
	o *depot.Object
}

// Extents implements disk.Disk.
func (d *objectDisk) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, d.Size())
		for run, err := range d.o.Runs(ctx, off, n) {
			e := disk.Extent{Off: run.Off, Len: run.Len, Kind: disk.Data, At: run.Off}
			if run.Hole {
				e.Kind, e.At = disk.Hole, disk.Nowhere
			}
			if err != nil {
				e = disk.Extent{}
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
