package scan_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/raw"
	"kuva/disk/scan"
)

// TestZeros hides a disk's extents and finds them again.
func TestZeros(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		src := disktest.DrawDisk(rt, 3<<20)
		b, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
		if err != nil {
			rt.Fatal(err)
		}
		plain, err := raw.Open(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		d, err := scan.Zeros(t.Context(), plain)
		if err != nil {
			rt.Fatal(err)
		}
		disktest.Sound(t, d, b)
		for e, err := range d.Extents(t.Context(), 0, d.Size()) {
			if err != nil {
				rt.Fatal(err)
			}
			if e.Kind != disk.Data {
				continue
			}
			if e.At != e.Off {
				rt.Fatalf("%+v lies elsewhere", e)
			}
			for off := e.Off; off < e.End(); off += 4096 {
				if disk.IsZero(b[off:min(e.End(), off+4096)]) {
					rt.Fatalf("zeros at %d in %+v", off, e)
				}
			}
		}
	})
}

// TestTooLarge: the map of such a disk would not fit into memory.
func TestTooLarge(t *testing.T) {
	var refused *disk.Refused
	if _, err := scan.Zeros(t.Context(), disktest.NewSynthetic(1<<62, 1)); !errors.As(err, &refused) || refused.Reason != disk.ReasonTooLarge {
		t.Errorf("%v", err)
	}
}
