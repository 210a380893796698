package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"kuva/api"
	"kuva/chunk"
	"kuva/disk"
	"kuva/disk/raw"
)

// TestNoAsk: a cloud that is no kuva is told apart, and nothing is made there.
func TestNoAsk(t *testing.T) {
	s := newService(t)
	c := s.connect()
	if can, err := c.CanAsk(t.Context()); can || err != nil {
		t.Errorf("%t %v", can, err)
	}
	d := rawOf(t, []byte("disk"))
	for _, source := range []string{"", "file"} {
		if _, err := c.AskUpload(t.Context(), d, AskOptions{Image: NewImage{Name: "x"}, Source: source, Patience: time.Millisecond}); !errors.Is(err, ErrNoAsk) {
			t.Errorf("source %q: %v", source, err)
		}
	}
	if len(s.images) > 0 {
		t.Errorf("%d images were made", len(s.images))
	}
}

// TestCanAsk: whatever another service answers, it is not asked.
func TestCanAsk(t *testing.T) {
	for answer, want := range map[string]bool{
		`200 {"id":"v1","service":"kuva","links":[{"rel":"uploads","href":"x"}]}`: true,
		`200 {"id":"v1","service":"kuva","links":[]}`:                             false,
		`200 <html>`: false, `200 []`: false, `300 {"versions":[]}`: false, `404 {}`: false, `503 busy`: false,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			var status int
			_, _ = fmt.Sscan(answer, &status)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, answer[4:])
		}))
		defer s.Close()
		c := New(&gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: s.URL + "/image/v2/"})
		if can, err := c.CanAsk(t.Context()); can != want || err != nil {
			t.Errorf("%s: %t %v", answer, can, err)
		}
	}
}

func rawOf(t *testing.T, p []byte) disk.Disk {
	t.Helper()
	d, err := raw.Open(t.Context(), bytes.NewReader(p), int64(len(p)), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestCutParts: a disk is cut as its file is, from any place where a piece
// begins, and parts keep to their bounds.
func TestCutParts(t *testing.T) {
	p := make([]byte, 40<<20)
	x := uint32(1)
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	clear(p[3<<20 : 9<<20])
	clear(p[20<<20 : 20<<20+chunk.Block])
	var want []api.AskEntry
	cutter := &chunk.Cutter{Emit: func(p chunk.Piece) error {
		if p.Data != nil {
			want = append(want, api.AskEntry{Hash: chunk.Sum(p.Data), Len: p.Len})
		}
		return nil
	}}
	l := &chunk.Lattice{To: cutter}
	if _, err := io.Copy(l, bytes.NewReader(p)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Flush(), cutter.Cut()); err != nil {
		t.Fatal(err)
	}
	d := rawOf(t, p)
	cut := func(todo []stretch) (parts []*askPart, chunks []api.AskEntry) {
		t.Helper()
		var limit atomic.Int64
		limit.Store(4 << 20)
		out := make(chan *askPart, 100)
		if err := cutParts(t.Context(), d, todo, &limit, out); err != nil {
			t.Fatal(err)
		}
		close(out)
		for x := range out {
			x.hashing.Wait()
			if a, err := api.DecodeAsk(api.EncodeAsk(x.off, x.entries)); err != nil || a.Size != x.size || a.Data != x.data || x.data > 4<<20 {
				t.Errorf("part at %d of %d bytes, %d of them data: %v", x.off, x.size, x.data, err)
			}
			parts = append(parts, x)
			for _, e := range x.entries {
				if !e.Hole {
					chunks = append(chunks, e)
				}
			}
		}
		return parts, chunks
	}
	parts, got := cut([]stretch{{0, int64(len(p))}})
	if !equalEntries(got, want) {
		t.Fatalf("%d chunks, %d of the file", len(got), len(want))
	}
	// Half of the parts are there; the others are cut alike again.
	var todo []stretch
	var missing []api.AskEntry
	for i, x := range parts {
		if i%2 == 1 {
			todo = append(todo, stretch{x.off, x.off + x.size})
			for _, e := range x.entries {
				if !e.Hole {
					missing = append(missing, e)
				}
			}
		}
	}
	if _, got := cut(todo); !equalEntries(got, missing) {
		t.Error("what is missing is cut in another way")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var limit atomic.Int64
	if err := cutParts(ctx, d, []stretch{{0, int64(len(p))}}, &limit, make(chan *askPart)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func equalEntries(a, b []api.AskEntry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestPaceAndRoom(t *testing.T) {
	p, began := newPace(1<<20), time.Now()
	for range 5 {
		if err := p.wait(t.Context(), 64<<10); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 240*time.Millisecond {
		t.Errorf("256 KiB at 1 MiB/s took %v", took)
	}
	r := newRoom(10)
	if err := r.take(t.Context(), 100); err != nil { // alone
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := r.take(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	go r.give(100)
	if err := r.take(t.Context(), 10); err != nil {
		t.Error(err)
	}
}
