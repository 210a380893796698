// Package blobtest is the suite that every blob.Store passes.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"kuva/internal/blob"
)

// Run holds a store to the contract of package blob. open gives an empty store and
// closes it when the test ends, by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) blob.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s blob.Store)
	}{
		{"put and get", putAndGet},
		{"read at", readAt},
		{"nothing before commit", beforeCommit},
		{"abort", abort},
		{"create only", createOnly},
		{"not found", notFound},
		{"bad keys", badKeys},
		{"folders are no blobs", folders},
		{"list", list},
		{"list while it changes", listChanging},
		{"delete and use the folder again", folderAgain},
		{"cancelled", cancelled},
		{"many at once", concurrent},
		{"one key at once", race},
		{"read beside delete", readBesideDelete},
		{"big", big},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Checked after the store's own clean-up, so registered before it.
			t.Cleanup(func() { goleak.VerifyNone(t, goleak.IgnoreCurrent()) })
			c.test(t, open(t))
		})
	}
}

var ctx = context.Background()

// Bytes gives n bytes that depend on key, so that a blob under a wrong key is seen.
func Bytes(key string, n int) []byte {
	var seed [32]byte
	copy(seed[:], key)
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	return b
}

func put(t *testing.T, s blob.Store, key string, n int) []byte {
	t.Helper()
	b := Bytes(key, n)
	if err := blob.Put(ctx, s, key, b); err != nil {
		t.Fatalf("put: %v", err)
	}
	return b
}

func holds(t *testing.T, s blob.Store, key string, want []byte) {
	t.Helper()
	info, err := s.Stat(ctx, key)
	if err != nil || info != (blob.Info{Key: key, Size: int64(len(want))}) {
		t.Fatalf("Stat(%s) = %v, %v; want size %d", key, info, err, len(want))
	}
	got, err := blob.Get(ctx, s, key, 1<<30)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%s: other bytes came back", key)
	}
}

func lacks(t *testing.T, s blob.Store, key string) {
	t.Helper()
	if _, err := s.Stat(ctx, key); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat(%s): %v, want ErrNotFound", key, err)
	}
	if n, err := s.ReadAt(ctx, key, make([]byte, 1), 0); n != 0 || !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("ReadAt(%s) = %d, %v, want ErrNotFound", key, n, err)
	}
	for info, err := range s.List(ctx, "") {
		if err != nil || info.Key == key {
			t.Errorf("List yields %v, %v", info, err)
		}
	}
}

func create(t *testing.T, s blob.Store, key string) blob.Writer {
	t.Helper()
	w, err := s.Create(ctx, key)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return w
}

func putAndGet(t *testing.T, s blob.Store) {
	for i, key := range []string{"store", "a/b/c-d_e.f", "0", strings.Repeat("k", 200), "pack/" + strings.Repeat("x/", 90) + "y"} {
		holds(t, s, key, put(t, s, key, i*1000))
	}
	if _, err := blob.Get(ctx, s, "0", 10); err == nil {
		t.Error("a blob longer than the limit was read")
	}
}

func readAt(t *testing.T, s blob.Store) {
	b := put(t, s, "a", 10_000)
	for _, c := range []struct{ off, n, want int }{
		{0, 10_000, 10_000},
		{0, 1, 1},
		{9_999, 1, 1},
		{4_095, 2, 2},
		{9_999, 2, 1},
		{0, 10_001, 10_000},
		{10_000, 1, 0},
		{20_000, 5, 0},
		{5, 0, 0},
	} {
		p := make([]byte, c.n)
		n, err := s.ReadAt(ctx, "a", p, int64(c.off))
		if n != c.want || (n < c.n) != (err != nil) || err != nil && err != io.EOF {
			t.Errorf("ReadAt(%d bytes at %d) = %d, %v", c.n, c.off, n, err)
		}
		if n > 0 && !bytes.Equal(p[:n], b[c.off:c.off+n]) {
			t.Errorf("ReadAt(%d bytes at %d): other bytes", c.n, c.off)
		}
	}
	if _, err := s.ReadAt(ctx, "a", make([]byte, 1), -1); err == nil || err == io.EOF {
		t.Errorf("offset -1: %v", err)
	}
}

func beforeCommit(t *testing.T, s blob.Store) {
	w := create(t, s, "d/a")
	defer w.Abort()
	if n, err := w.Write([]byte("half")); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	lacks(t, s, "d/a")
	if n, err := w.Write([]byte(" and half")); n != 9 || err != nil {
		t.Fatal(n, err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, s, "d/a", []byte("half and half"))
	if _, err := w.Write([]byte("more")); err == nil {
		t.Error("written after Commit")
	}
	if err := w.Commit(); err == nil {
		t.Error("committed twice")
	}
	w.Abort()
	holds(t, s, "d/a", []byte("half and half"))
}

func abort(t *testing.T, s blob.Store) {
	w := create(t, s, "a")
	w.Write([]byte("x"))
	w.Abort()
	w.Abort()
	lacks(t, s, "a")
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("written after Abort")
	}
	if err := w.Commit(); err == nil {
		t.Error("committed after Abort")
	}
	lacks(t, s, "a")
	holds(t, s, "a", put(t, s, "a", 10))
}

func createOnly(t *testing.T, s blob.Store) {
	early := create(t, s, "a")
	early.Write([]byte("early"))
	b := put(t, s, "a", 100)
	if err := early.Commit(); !errors.Is(err, blob.ErrExists) {
		t.Errorf("commit of a key taken meanwhile: %v", err)
	}
	if err := blob.Put(ctx, s, "a", b); !errors.Is(err, blob.ErrExists) {
		t.Errorf("second put of the same bytes: %v", err)
	}
	if err := blob.Put(ctx, s, "a", nil); !errors.Is(err, blob.ErrExists) {
		t.Errorf("second put of nothing: %v", err)
	}
	holds(t, s, "a", b)
}

func notFound(t *testing.T, s blob.Store) {
	lacks(t, s, "a")
	lacks(t, s, "a/b/c")
	put(t, s, "a/b/d", 1)
	lacks(t, s, "a/b/c")
	lacks(t, s, "a/b/d/e")
	for _, key := range []string{"a/b/c", "x/y", "a/b/d/e", "x"} {
		if err := s.Delete(ctx, key); err != nil {
			t.Errorf("Delete(%s), which is not there: %v", key, err)
		}
	}
	holds(t, s, "a/b/d", Bytes("a/b/d", 1))
}

func badKeys(t *testing.T, s blob.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "A", "ä", "a b", "a\x00", "a\\b", "a\n",
		"a:b", "*", strings.Repeat("k", 201),
	} {
		if w, err := s.Create(ctx, key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("Create(%q): %v", key, err)
			if err == nil {
				w.Abort()
			}
		}
		if _, err := s.Stat(ctx, key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("Stat(%q): %v", key, err)
		}
		if _, err := s.ReadAt(ctx, key, make([]byte, 1), 0); !errors.Is(err, blob.ErrKey) {
			t.Errorf("ReadAt(%q): %v", key, err)
		}
		if err := s.Delete(ctx, key); !errors.Is(err, blob.ErrKey) {
			t.Errorf("Delete(%q): %v", key, err)
		}
	}
	for _, prefix := range []string{"a", "/", "../", "a//", "A/"} {
		n := 0
		for _, err := range s.List(ctx, prefix) {
			if n++; !errors.Is(err, blob.ErrKey) {
				t.Errorf("List(%q): %v", prefix, err)
			}
		}
		if n != 1 {
			t.Errorf("List(%q) yields %d times", prefix, n)
		}
	}
}

func folders(t *testing.T, s blob.Store) {
	put(t, s, "a/b/c", 1)
	put(t, s, "d", 1)
	lacks(t, s, "a")
	lacks(t, s, "a/b")
	for _, key := range []string{"a", "a/b", "d/e", "d/e/f"} {
		if err := blob.Put(ctx, s, key, nil); !errors.Is(err, blob.ErrKey) {
			t.Errorf("put of %s beside a/b/c and d: %v", key, err)
		}
	}
	if err := s.Delete(ctx, "a"); err != nil {
		t.Error(err)
	}
	holds(t, s, "a/b/c", Bytes("a/b/c", 1))
	holds(t, s, "d", Bytes("d", 1))
}

func keys(t *testing.T, s blob.Store, prefix string) (all []string) {
	t.Helper()
	for info, err := range s.List(ctx, prefix) {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != int64(len(info.Key)) {
			t.Errorf("List: %s has size %d", info.Key, info.Size)
		}
		all = append(all, info.Key)
	}
	return all
}

func list(t *testing.T, s blob.Store) {
	if got := keys(t, s, ""); got != nil {
		t.Errorf("an empty store lists %v", got)
	}
	// The bytes before and after the slash in the order: '-' '.' '/' '0'.
	all := []string{"a-b", "a.b", "a/b", "a/b-c/d", "a/b.c", "a/c/d/e", "a0", "ab/c", "b", "b-/c", "b0/c"}
	for _, key := range all {
		put(t, s, key, len(key))
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "a/", "a/c/", "a/c/d/", "ab/", "x/", "a/x/", "b/", "b-/"} {
		var want []string
		for _, key := range all {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		if got := keys(t, s, prefix); !slices.Equal(got, want) {
			t.Errorf("List(%q) = %v, want %v", prefix, got, want)
		}
	}
	n := 0
	for range s.List(ctx, "") { // stopping early
		if n++; n == 3 {
			break
		}
	}
}

// listChanging holds that what is there all the time is listed, whatever comes and
// goes beside it, and that a caller may delete what it is shown.
func listChanging(t *testing.T, s blob.Store) {
	var want []string
	for i := range 20 {
		for _, key := range []string{fmt.Sprintf("keep/%02d/a", i), fmt.Sprintf("go/%02d/a", i)} {
			put(t, s, key, len(key))
		}
		want = append(want, fmt.Sprintf("keep/%02d/a", i))
	}
	var got []string
	for info, err := range s.List(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(info.Key, "keep/") {
			got = append(got, info.Key)
		} else if err := s.Delete(ctx, info.Key); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v", got)
	}
	if got := keys(t, s, ""); !slices.Equal(got, want) {
		t.Errorf("after deleting: %v", got)
	}
}

func folderAgain(t *testing.T, s blob.Store) {
	for i := range 5 {
		key := fmt.Sprintf("a/b/c/%d", i)
		holds(t, s, key, put(t, s, key, 10))
		if err := s.Delete(ctx, key); err != nil {
			t.Fatal(err)
		}
		lacks(t, s, key)
	}
}

func cancelled(t *testing.T, s blob.Store) {
	b := put(t, s, "a", 10)
	gone, cancel := context.WithCancel(ctx)
	w, err := s.Create(gone, "b")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	cancel()
	_, writeErr := w.Write([]byte("x"))
	_, readErr := s.ReadAt(gone, "a", make([]byte, 1), 0)
	_, statErr := s.Stat(gone, "a")
	_, createErr := s.Create(gone, "c")
	var listErr error
	for _, err := range s.List(gone, "") {
		listErr = err
	}
	for what, err := range map[string]error{
		"Write": writeErr, "Commit": w.Commit(), "ReadAt": readErr, "Stat": statErr,
		"Create": createErr, "List": listErr, "Delete": s.Delete(gone, "a"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s after cancelling: %v", what, err)
		}
	}
	holds(t, s, "a", b)
	lacks(t, s, "b")
}

func concurrent(t *testing.T, s blob.Store) {
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 20 {
				// Neighbours share folders that come and go.
				key := fmt.Sprintf("f%d/%d/%d", i%3, i%5, g*100+i)
				b := Bytes(key, 5000)
				if err := blob.Put(ctx, s, key, b); err != nil {
					t.Errorf("put: %v", err)
					return
				}
				got, err := blob.Get(ctx, s, key, 1<<20)
				if err != nil || !bytes.Equal(got, b) {
					t.Errorf("get %s: %v", key, err)
				}
				if i%4 != 0 {
					if err := s.Delete(ctx, key); err != nil {
						t.Errorf("delete: %v", err)
					}
				}
			}
		})
	}
	for range 4 {
		all.Go(func() {
			for range 5 {
				last := ""
				for info, err := range s.List(ctx, "") {
					if err != nil || info.Key <= last || info.Size != 5000 {
						t.Errorf("list: %v, %v after %s", info, err, last)
					}
					last = info.Key
				}
			}
		})
	}
	all.Wait()
	n := 0
	for range s.List(ctx, "") {
		n++
	}
	if n != 8*5 {
		t.Errorf("%d blobs are left, want 40", n)
	}
}

// race holds that of many commits of a key one wins, and that nobody ever sees
// anything but the winner's bytes.
func race(t *testing.T, s blob.Store) {
	for round := range 10 {
		key := fmt.Sprintf("r/%d", round)
		wins := make([]bool, 8)
		var all sync.WaitGroup
		for g := range wins {
			all.Go(func() {
				err := blob.Put(ctx, s, key, bytes.Repeat([]byte{byte(g)}, 1000))
				wins[g] = err == nil
				if err != nil && !errors.Is(err, blob.ErrExists) {
					t.Errorf("put: %v", err)
				}
				if _, err := s.Stat(ctx, key); err != nil {
					t.Errorf("taken, but not there: %v", err)
				}
			})
		}
		all.Wait()
		winner := slices.Index(wins, true)
		if winner < 0 || slices.Contains(wins[winner+1:], true) {
			t.Fatalf("winners: %v", wins)
		}
		holds(t, s, key, bytes.Repeat([]byte{byte(winner)}, 1000))
	}
}

func readBesideDelete(t *testing.T, s blob.Store) {
	for round := range 20 {
		key := fmt.Sprintf("a/%d", round)
		b := put(t, s, key, 3000)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 20 {
					p := make([]byte, len(b))
					n, err := s.ReadAt(ctx, key, p, 0)
					if err == nil && !bytes.Equal(p, b) || err != nil && (n > 0 || !errors.Is(err, blob.ErrNotFound)) {
						t.Errorf("ReadAt = %d, %v", n, err)
					}
				}
			})
		}
		all.Go(func() {
			if err := s.Delete(ctx, key); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
		lacks(t, s, key)
	}
}

func big(t *testing.T, s blob.Store) {
	const piece, pieces = 256 << 10, 128
	b := Bytes("big", piece)
	w := create(t, s, "big")
	defer w.Abort()
	for i := range pieces {
		b[0] = byte(i)
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, piece)
	for _, i := range rand.Perm(pieces) {
		if _, err := s.ReadAt(ctx, "big", p, int64(i)*piece); err != nil {
			t.Fatal(err)
		}
		b[0] = byte(i)
		if !bytes.Equal(p, b) {
			t.Fatalf("piece %d came back changed", i)
		}
	}
}
