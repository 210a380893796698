package client

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"kuva/api"
)

func TestContent(t *testing.T) {
	s := newService(t)
	c := s.connect()
	want := random(9<<20 + 777)
	img := s.add(map[string]any{"name": "x", "status": "active", "disk_format": "raw"}, want)
	found, err := c.Find(t.Context(), img["id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	x, err := c.Content(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	if x.Size() != int64(len(want)) {
		t.Fatalf("%d bytes", x.Size())
	}
	// Anywhere, by several at once.
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range 50 {
				off := rng.Int64N(x.Size())
				p := make([]byte, 1+rng.Int64N(min(2<<20, x.Size()-off)))
				if n, err := x.ReadAt(p, off); err != nil || n != len(p) || !bytes.Equal(p, want[off:off+int64(n)]) {
					t.Errorf("%d bytes at %d: %d, %v, or other ones", len(p), off, n, err)
				}
			}
		})
	}
	wg.Wait()
	if n, err := x.ReadAt(make([]byte, 10), x.Size()-3); n != 3 || err != io.EOF {
		t.Errorf("over the end: %d, %v", n, err)
	}
	if n, err := x.ReadAt(make([]byte, 10), x.Size()); n != 0 || err != io.EOF {
		t.Errorf("behind the end: %d, %v", n, err)
	}
	if _, err := x.ReadAt(make([]byte, 10), -1); err == nil {
		t.Error("before the start")
	}

	// From front to back a request brings several blocks.
	s.ranges = nil
	if x, err = c.Content(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(io.NewSectionReader(x, 0, x.Size()))
	if err != nil || !bytes.Equal(all, want) {
		t.Fatalf("%d bytes, %v", len(all), err)
	}
	if len(s.ranges) != 3 {
		t.Errorf("%d requests for ten blocks: %v", len(s.ranges), s.ranges)
	}
}

func TestContentFails(t *testing.T) {
	s := newService(t)
	c := s.connect()
	img := s.add(map[string]any{"name": "x", "status": "active", "disk_format": "raw"}, random(3<<20))
	found, err := c.Find(t.Context(), img["id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Content(t.Context(), api.Image{ID: "i", Status: "queued", Size: -1}); !errors.Is(err, ErrNoContent) || !strings.Contains(err.Error(), "queued") {
		t.Errorf("without content: %v", err)
	}

	s.noRanges = true
	x, err := c.Content(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.ReadAt(make([]byte, 10), 2<<20); !errors.Is(err, ErrNoRanges) {
		t.Errorf("a service without ranges: %v", err)
	}
	s.noRanges = false
	if _, err := x.ReadAt(make([]byte, 10), 2<<20); err != nil {
		t.Errorf("what failed is not tried again: %v", err)
	}

	// A connection that breaks is taken up again.
	if x, err = c.Content(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	x.opt.Pause = 1
	s.cut = []int64{1000, 5000}
	if _, err := x.ReadAt(make([]byte, 1<<20), 0); err != nil {
		t.Errorf("after two cuts: %v", err)
	}

	// Other bytes under the same name are no continuation.
	x.tag = "a"
	if err := x.sameTag("b"); !errors.Is(err, ErrDiffers) {
		t.Errorf("changed meanwhile: %v", err)
	}
}

// TestView: a service that has no views sends the file as it is, which is none.
func TestView(t *testing.T) {
	s := newService(t)
	c := s.connect()
	img := s.add(map[string]any{"name": "x", "status": "active", "disk_format": "raw"}, random(3<<20))
	found, err := c.Find(t.Context(), img["id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	for _, s.noRanges = range []bool{false, true} {
		if _, err := c.View(t.Context(), found, "qcow2"); !errors.Is(err, ErrNoView) {
			t.Errorf("ranges %t: %v", !s.noRanges, err)
		}
	}
}
