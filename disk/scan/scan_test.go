package scan_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
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
		block := int64(4096) << rapid.IntRange(0, 8).Draw(rt, "block")
		d, err := scan.Zeros(t.Context(), plain, scan.Options{Block: block})
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
			for off := e.Off; off < e.End(); off += block {
				if disk.IsZero(b[off:min(e.End(), off+block)]) {
					rt.Fatalf("zeros at %d in %+v", off, e)
				}
			}
		}
	})
}

// TestPacked leaves alone what lies nowhere, unless it is asked to look.
func TestPacked(t *testing.T) {
	// All of a Synthetic lies nowhere.
	src := disktest.NewSynthetic(1<<20, 1, disk.Extent{Off: 64 << 10, Len: 64 << 10})
	zeros := disk.Concat(src, hidden{1 << 20})
	for _, packed := range []bool{false, true} {
		d, err := scan.Zeros(t.Context(), zeros, scan.Options{Block: 64 << 10, Packed: packed})
		if err != nil {
			t.Fatal(err)
		}
		n, err := disk.Allocated(t.Context(), d)
		if want := map[bool]int64{false: 64<<10 + 1<<20, true: 64 << 10}[packed]; n != want || err != nil {
			t.Errorf("packed %t: %d bytes of data, want %d, %v", packed, n, want, err)
		}
	}
}

// hidden is a disk of zeros that its extents call data.
type hidden struct{ size int64 }

func (h hidden) Size() int64 { return h.size }

func (h hidden) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, h.size, func(p []byte, _ int64) error { clear(p); return nil })
}

func (h hidden) Extents(_ context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		if off, n := disk.Clamp(off, n, h.size); n > 0 {
			yield(disk.Extent{Off: off, Len: n, At: disk.Nowhere}, nil)
		}
	}
}

// TestTooLarge: the map of such a disk would not fit into memory.
func TestTooLarge(t *testing.T) {
	var refused *disk.Refused
	if _, err := scan.Zeros(t.Context(), disktest.NewSynthetic(1<<62, 1), scan.Options{}); !errors.As(err, &refused) || refused.Reason != disk.ReasonTooLarge {
		t.Errorf("%v", err)
	}
}
