package ext4_test

import (
	"io/fs"
	"testing"

	"kuva/disk/disktest"
	"kuva/guest/budget"
	"kuva/guest/ext4"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/guest/volume"
	"kuva/internal/testkit/diskimage"
)

// BenchmarkDebian finds the root of a real disk of 2 GiB, lists all its files
// with their attributes, and adds up its free space; it tells what was read.
func BenchmarkDebian(b *testing.B) {
	file, size := disktest.File(b, diskimage.Debian(b).Raw)
	d := guesttest.Raw(b, file, size)
	var read, steps int64
	names := 0
	for b.Loop() {
		budget := budget.New(b.Context(), budget.Limits{})
		l, err := volume.Scan(d, budget)
		must(b, err)
		names = 0
		for _, v := range l.Volumes {
			if v.Content.Type != "ext4" {
				continue
			}
			f, err := ext4.Open(v.Disk, budget)
			must(b, err)
			must(b, fs.WalkDir(tree.New(f, budget), ".", func(_ string, e fs.DirEntry, err error) error {
				if err == nil {
					_, err = e.Info()
				}
				names++
				return err
			}))
			for _, err := range f.Free() {
				must(b, err)
			}
		}
		read, steps, _ = budget.Spent()
	}
	b.ReportMetric(float64(names), "names")
	b.ReportMetric(float64(read)/(1<<20), "MiB-read")
	b.ReportMetric(float64(steps), "steps")
}
