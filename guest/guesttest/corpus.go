package guesttest

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/raw"
)

// Corpus lists the rows of the project's own corpus of guests (dir) and of the
// larger one that CORPUS names, as far as want says yes.
func Corpus(t testing.TB, dir string, want func(disktest.Row) bool) []disktest.Row {
	t.Helper()
	rows := disktest.Corpus(t, dir)
	if more := os.Getenv("CORPUS"); more != "" {
		own := map[string]bool{}
		for _, row := range rows {
			own[filepath.Base(row.File)] = true
		}
		for _, row := range disktest.Corpus(t, more) {
			if !own[filepath.Base(row.File)] {
				rows = append(rows, row)
			}
		}
	} else {
		t.Log("not run: the rows of the larger corpus, CORPUS is not set")
	}
	var chosen []disktest.Row
	for _, row := range rows {
		if want(row) {
			chosen = append(chosen, row)
		}
	}
	return chosen
}

// Raw opens bytes as a disk.
func Raw(t testing.TB, r io.ReaderAt, size int64) disk.Disk {
	t.Helper()
	d, err := raw.Open(t.Context(), r, size, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// RawFile opens a file of the host as a disk, until the end of the test.
func RawFile(t testing.TB, name string) disk.Disk {
	t.Helper()
	f, size := disktest.File(t, name)
	return Raw(t, f, size)
}

// RawBytes opens bytes as a disk.
func RawBytes(t testing.TB, b []byte) disk.Disk {
	t.Helper()
	return Raw(t, bytes.NewReader(b), int64(len(b)))
}
