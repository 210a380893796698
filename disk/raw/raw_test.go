package raw_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/raw"
)

func TestFormat(t *testing.T) {
	disktest.Run(t, raw.Format, disktest.Variant{
		Name: "raw", QEMU: "raw", MaxSize: 15 << 40,
		Size: func(n int64) int64 { return n }, QEMUSize: func(n int64) int64 { return (n + 511) &^ 511 },
	})
}

// TestHoles finds the holes of a file.
func TestHoles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("not run: holes are asked for on Linux only")
	}
	file := filepath.Join(t.TempDir(), "raw")
	src := disktest.NewSynthetic(15<<40, 3, disk.Extent{Off: 1 << 20, Len: 1 << 16}, disk.Extent{Off: 9 << 40, Len: 5000})
	disktest.WriteFile(t, file, src)
	d, err := disktest.OpenFile(t, raw.Format, file, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var data int64
	for e, err := range d.Extents(t.Context(), 0, d.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == disk.Data {
			data += e.Len
			if e.At != e.Off {
				t.Errorf("%+v lies elsewhere", e)
			}
		}
	}
	if data > 1<<20 {
		t.Errorf("%d bytes of data: this file system does not tell holes, or they are not found", data)
	}
	if off, err := disk.Compare(t.Context(), d, src); off >= 0 || err != nil {
		t.Errorf("differs at %d, %v", off, err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Size() != src.Size() {
		t.Errorf("%v, %v", info, err)
	}
}

// TestShort: a file that got shorter is no disk full of zeros.
func TestShort(t *testing.T) {
	d, err := raw.Open(t.Context(), bytes.NewReader([]byte("abc")), 5, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ReadAt(make([]byte, 5), 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	var refused *disk.Refused
	if _, err := raw.Open(t.Context(), nil, 5, disk.OpenOptions{Budget: disk.NewBudget(disk.Limits{Size: 4})}); !errors.As(err, &refused) || refused.Reason != disk.ReasonTooLarge {
		t.Errorf("%v", err)
	}
	if _, err := raw.Open(t.Context(), nil, 5, disk.OpenOptions{Parent: d}); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
}
