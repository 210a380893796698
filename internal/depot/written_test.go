package depot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"sync"
	"testing"

	"kuva/chunk"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// TestWritten reads an object before it is committed, commits it, and reads it
// as everybody does.
func TestWritten(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		p := append(append(randomBytes(700_000, 1), make([]byte, 3<<20)...), textBytes(5<<20, 2)...)
		w.put("p1", p[:1<<20]) // some of it is reused
		for _, size := range []int{0, 5, len(p)} {
			wr, err := w.Create(t.Context(), CreateOptions{Project: "p1", Kind: KindExact})
			if err != nil {
				t.Fatal(err)
			}
			defer wr.Abort()
			if _, err := wr.Write(p[:size]); err != nil {
				t.Fatal(err)
			}
			o, err := wr.Written()
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, size)
			if n, err := o.ReadAt(got, 0); n != size || err != nil || !bytes.Equal(got, p[:size]) || o.Size() != int64(size) {
				t.Fatalf("%d bytes: read %d, %v", size, n, err)
			}
			if _, err := w.OpenObject(t.Context(), o.Ref()); !errors.Is(err, ErrNotFound) {
				t.Errorf("others can open it: %v", err)
			}
			info, err := wr.Commit(Digests{}, nil)
			if err != nil || info.Ref != o.Ref() {
				t.Fatalf("commit: %+v, %v", info, err)
			}
			w.mustRead(info.Ref, p[:size])
		}
		w.mustVerify()
	})
}

// TestWrittenTakesNoMore: what is written behind the end undoes the commit.
func TestWrittenTakesNoMore(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	for _, n := range []int{1, 3 * chunk.Size} {
		wr, err := w.Create(t.Context(), CreateOptions{Project: "p", Kind: KindExact})
		if err != nil {
			t.Fatal(err)
		}
		defer wr.Abort()
		if _, err := wr.Written(); err != nil {
			t.Fatal(err)
		}
		_, _ = wr.Write(randomBytes(n, 1))
		if _, err := wr.Commit(Digests{}, nil); !errors.Is(err, errWritten) {
			t.Errorf("%d bytes behind the end: %v", n, err)
		}
	}
}

// TestWrittenLosesItsLease: a lease that was lost lets the commit fail, whatever
// was read before.
func TestWrittenLosesItsLease(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	wr, err := w.Create(t.Context(), CreateOptions{Project: "p", Kind: KindExact})
	if err != nil {
		t.Fatal(err)
	}
	defer wr.Abort()
	if _, err := wr.Write(randomBytes(1<<20, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := wr.Written(); err != nil {
		t.Fatal(err)
	}
	err = w.db.Update(t.Context(), func(tx *catalog.Tx) error { _, err := endLease(t.Context(), tx, wr.Lease(), "expired"); return err })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wr.Commit(Digests{}, nil); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("commit: %v", err)
	}
}

// TestRuns compares runs with what was written, whole and in part.
func TestRuns(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	wr, err := w.Create(t.Context(), CreateOptions{Project: "p", Kind: KindDisk})
	if err != nil {
		t.Fatal(err)
	}
	defer wr.Abort()
	const hole = int64(1) << 40
	for _, err := range []error{wr.Skip(2 * chunk.Size), write(wr, randomBytes(chunk.Size, 1)), wr.Cut(), wr.Skip(hole), write(wr, randomBytes(700, 2))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	info, err := wr.Commit(Digests{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := w.OpenObject(t.Context(), info.Ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off, n int64
		want   string
	}{
		{0, 1, "0+1 hole"},
		{100, 524288, "100+524188 hole, 524288+100"},
		{786432, hole + 5, "786432+1099511627776 hole, 1099512414208+5"},
		{0, 1 << 62, "0+524288 hole, 524288+262144, 786432+1099511627776 hole, 1099512414208+700"},
		{o.Size(), 5, ""},
		{-1, 5, ""},
	} {
		var got string
		for r, err := range o.Runs(t.Context(), c.off, c.n) {
			if err != nil {
				t.Fatal(err)
			}
			if got != "" {
				got += ", "
			}
			got += fmt.Sprintf("%d+%d", r.Off, r.Len)
			if r.Hole {
				got += " hole"
			}
		}
		if got != c.want {
			t.Errorf("%d bytes from %d: %q, want %q", c.n, c.off, got, c.want)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range o.Runs(gone, 0, 5) {
		if err == nil {
			t.Error("it goes on after the context ended")
		}
	}
}

func write(w io.Writer, p []byte) error { _, err := w.Write(p); return err }

// TestCached reads at random with several readers, and after the object was
// moved to new packs.
func TestCached(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	p := append(append(textBytes(3<<20+5, 1), make([]byte, 2<<20)...), randomBytes(3<<20, 2)...)
	info := w.put("p", p)
	o, err := w.OpenObject(t.Context(), info.Ref)
	if err != nil {
		t.Fatal(err)
	}
	c := o.Cached(t.Context(), 3)
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			r := mrand.New(mrand.NewPCG(1, uint64(k)))
			for range 100 {
				off := r.IntN(len(p))
				q := make([]byte, r.IntN(1<<r.IntN(21)))
				n, err := c.ReadAt(q, int64(off))
				if want := min(len(q), len(p)-off); n != want || (err == io.EOF) != (want < len(q)) || err != nil && err != io.EOF || !bytes.Equal(q[:n], p[off:off+n]) {
					t.Errorf("%d bytes at %d: %d, %v", len(q), off, n, err)
				}
			}
		})
	}
	wg.Wait()
	if len(c.kept) > 3 {
		t.Errorf("%d chunks are kept", len(c.kept))
	}
	if _, err := c.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset is taken")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := o.Cached(gone, 1).ReadAt(make([]byte, 1), 0); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
}

// TestCachedDamage: bytes that fail their check are an error, and stay one.
func TestCachedDamage(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	info := w.put("p", randomBytes(100_000, 1))
	o, err := w.OpenObject(t.Context(), info.Ref)
	if err != nil {
		t.Fatal(err)
	}
	r := o.current()
	seg, err := w.loadSegment(t.Context(), r.Segments[0])
	if err != nil {
		t.Fatal(err)
	}
	seg.entries[0].Name[0] ^= 1
	c := o.Cached(t.Context(), 1)
	for range 2 {
		if _, err := c.ReadAt(make([]byte, 10), 5); !errors.Is(err, ErrDamaged) {
			t.Fatalf("damaged bytes: %v", err)
		}
	}
}
