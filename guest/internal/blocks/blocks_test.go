package blocks_test

import (
	"bytes"
	"errors"
	"testing"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/internal/blocks"
)

func TestReader(t *testing.T) {
	data := make([]byte, 16<<20)
	for i := range data {
		data[i] = byte(i >> 12)
	}
	b := budget.New(t.Context(), budget.Limits{})
	r := blocks.New("test", guesttest.RawBytes(t, data), b)
	for range 3 { // more than the cache holds, then again from the start
		for off := int64(0); off < int64(len(data)); off += 4096 {
			p, err := r.Get(off, 4096)
			if err != nil || p[0] != byte(off>>12) || p[4095] != p[0] {
				t.Fatalf("%d: %v", off, err)
			}
		}
	}
	first, _, _ := b.Spent()
	for range 100 {
		if _, err := r.Get(0, 4096); err != nil {
			t.Fatal(err)
		}
	}
	if after, _, _ := b.Spent(); after > first+4096 {
		t.Errorf("%d bytes were read for one block again and again", after-first)
	}
	var malformed *disk.Malformed
	for _, bad := range []struct {
		off int64
		n   int
	}{{-1, 10}, {int64(len(data)), 1}, {int64(len(data)) - 5, 10}, {1 << 62, 1 << 30}} {
		if _, err := r.Get(bad.off, bad.n); !errors.As(err, &malformed) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestFile(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 10)
	r := blocks.New("test", guesttest.RawBytes(t, data), nil)
	list := []disk.Extent{{Off: 0, Len: 4, At: 50}, {Off: 4, Len: 3, Kind: disk.Hole}, {Off: 7, Len: 3, At: 95}}
	extent := func(off int64) (disk.Extent, error) {
		for _, e := range list {
			if off < e.End() {
				in := off - e.Off
				return disk.Extent{Off: off, Len: e.Len - in, Kind: e.Kind, At: e.At + in}, nil
			}
		}
		return disk.Extent{}, nil
	}
	p := make([]byte, 10)
	if n, err := r.ReadAt(p, 0, 10, extent); n != 10 || err != nil || string(p) != "0123\x00\x00\x00567" {
		t.Errorf("%d, %v, %q", n, err, p)
	}
	if n, err := r.ReadAt(p[:4], 2, 10, extent); n != 4 || err != nil || string(p[:4]) != "23\x00\x00" {
		t.Errorf("%d, %v, %q", n, err, p)
	}
	// A file that is longer than what is told must not become a loop.
	if _, err := r.ReadAt(p, 5, 20, extent); err == nil {
		t.Error("an extent of no length was read")
	}
	n := 0
	var last error
	for _, last = range blocks.Extents(20, extent) {
		n++
	}
	if n != 4 || last == nil {
		t.Errorf("%d extents, %v", n, last)
	}
}
