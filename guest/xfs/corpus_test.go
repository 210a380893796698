package xfs_test

import (
	"strconv"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/guest/volume"
	"kuva/guest/xfs"
)

// TestCorpus (S-162) reads file systems that others made and damaged, within
// the budget.
func TestCorpus(t *testing.T) {
	for _, row := range guesttest.Corpus(t, "../testdata/corpus", func(r disktest.Row) bool {
		return r.Format == "raw" && r.Oracle["blkid_type"] == "xfs"
	}) {
		t.Run(row.File, func(t *testing.T) {
			file, size, ok := row.Open(t)
			if !ok {
				t.Fatalf("wrapped in %s", row.Outer)
			}
			d := guesttest.Raw(t, file, size)
			guesttest.Bounded(t, func(b *budget.Budget) { readAll(t, d, b) })
		})
	}
}

func readAll(t *testing.T, d disk.Disk, b *budget.Budget) (guesttest.Counts, []tree.Note) {
	t.Helper()
	f, err := xfs.Open(d, b)
	if err != nil {
		t.Log(err)
		if !guesttest.Sane(err) {
			t.Errorf("open: %v", err)
		}
		return guesttest.Counts{}, nil
	}
	c, err := guesttest.ReadAll(tree.New(f, b))
	c.Errors = append(c.Errors, err)
	for _, err := range f.Free() {
		c.Errors = append(c.Errors, err)
	}
	for _, err := range c.Errors {
		if !guesttest.Sane(err) {
			t.Error(err)
		}
	}
	return c, f.Info().Notes
}

// TestVHDX (S-162) reads an XFS that CentOS wrote, in a partition in a VHDX.
func TestVHDX(t *testing.T) {
	for _, row := range disktest.Corpus(t, "../../disk/testdata/corpus") {
		if row.File != "xfs5.vhdx.gz" {
			continue
		}
		file, size, ok := row.Open(t)
		if !ok {
			t.Fatal(row.Outer)
		}
		d, _, err := formats.Open(t.Context(), file, size, disk.OpenOptions{})
		must(t, err)
		guesttest.Bounded(t, func(b *budget.Budget) {
			l, err := volume.Scan(d, b)
			if err != nil || len(l.Volumes) != 1 || l.Volumes[0].Content.Type != "xfs" || l.Volumes[0].Content.UUID != row.Oracle["p1_blkid_uuid"] {
				t.Fatalf("%+v, %v", l, err)
			}
			c, notes := readAll(t, l.Volumes[0].Disk, b)
			if c.Files != 4006 || c.Dirs != 5 || len(notes) > 0 {
				t.Errorf("%d files, %d folders, notes %v", c.Files, c.Dirs, notes)
			}
			_, paths := open(t, l.Volumes[0].Disk)
			list, err := paths.ReadDir(".")
			// The oracle counts "." and ".." too.
			if want, _ := strconv.Atoi(row.Oracle["p1_root_entries"]); err != nil || len(list)+2 != want {
				t.Errorf("%d entries in the root, %v", len(list), err)
			}
		})
		return
	}
	t.Fatal("no row")
}
