package cached

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"kuva/internal/blob"
	"kuva/internal/blob/blobtest"
	"kuva/internal/blob/mem"
)

var ctx = context.Background()

func open(t *testing.T, far blob.Store, size int64) *Store {
	t.Helper()
	s, err := Open(Config{Store: far, Dir: t.TempDir(), Size: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestStore holds the cache to the suite, with room for nothing and for three
// blocks.
func TestStore(t *testing.T) {
	for _, blocks := range []int64{0, 3} {
		blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, mem.New(1), blocks*block) })
	}
}

// TestRecalls holds that the second read asks nobody, from many goroutines at
// once too, that the cache keeps to its size, and that bits which turn in the
// file cost a request and nothing else.
func TestRecalls(t *testing.T) {
	far := mem.New(1)
	s := open(t, far, 8*block)
	want := blobtest.Bytes("pack", 5*block+12345)
	if err := blob.Put(ctx, s, "pack", want); err != nil {
		t.Fatal(err)
	}
	read := func() {
		t.Helper()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					off := rand.IntN(len(want))
					p := make([]byte, rand.IntN(300<<10))
					n, err := s.ReadAt(ctx, "pack", p, int64(off))
					if full := min(len(p), len(want)-off); n != full || (err == nil) != (full == len(p)) || !bytes.Equal(p[:n], want[off:off+n]) {
						t.Errorf("%d bytes at %d: %d, %v", len(p), off, n, err)
					}
				}
			})
		}
		all.Wait()
	}
	read()
	_, before := s.Uses()
	read()
	if _, after := s.Uses(); after != before || before != 6 {
		t.Errorf("%d blocks were fetched for the first reads, %d for the next; want 6 and none", before, after-before)
	}
	if info, err := s.file.Stat(); err != nil || info.Size() > 8*block {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
	for at := range int64(8 * block / piece) {
		if _, err := s.file.WriteAt([]byte{byte(at), 0xa5, byte(at)}, at*piece+77); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if _, after := s.Uses(); after == before {
		t.Error("a turned bit was not noticed")
	}
	// What was evicted comes again, and what was deleted does not.
	for i := range 20 {
		key := string(rune('a' + i))
		if err := blob.Put(ctx, s, key, blobtest.Bytes(key, block)); err != nil {
			t.Fatal(err)
		}
		if got, err := blob.Get(ctx, s, key, block); err != nil || !bytes.Equal(got, blobtest.Bytes(key, block)) {
			t.Fatal(err)
		}
	}
	read()
	if err := s.Delete(ctx, "pack"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadAt(ctx, "pack", make([]byte, 10), 0); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("read after delete: %v", err)
	}
	if n := len(s.index) + len(s.free); n != 8 {
		t.Errorf("%d blocks are known of 8", n)
	}
}

// TestFullDisk holds that a disk that takes nothing hurts nobody.
func TestFullDisk(t *testing.T) {
	s := open(t, mem.New(1), 8*block)
	s.file.Close()
	want := blobtest.Bytes("pack", 3*block)
	if err := blob.Put(ctx, s, "pack", want); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if got, err := blob.Get(ctx, s, "pack", 4*block); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}
