package mem

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"kuva/internal/blob"
	"kuva/internal/blob/blobtest"
)

var ctx = context.Background()

func TestStore(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return New(1) })
}

func there(s *Store, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

func TestCommitFates(t *testing.T) {
	s := New(1)
	for i, c := range []struct {
		fate   Fate
		stored bool
	}{{CommitLost, false}, {CommitStored, true}} {
		key := fmt.Sprint("k", i)
		s.Next(c.fate)
		if err := blob.Put(ctx, s, key, []byte("x")); !errors.Is(err, ErrFault) {
			t.Fatal(err)
		}
		if there(s, key) != c.stored {
			t.Errorf("%+v: stored %v", c.fate, !c.stored)
		}
	}
	// A commit that lands late lands after a Delete, and never replaces.
	s.Next(CommitLate(3))
	if err := blob.Put(ctx, s, "late", []byte("x")); !errors.Is(err, ErrFault) {
		t.Fatal(err)
	}
	if err := s.Delete(ctx, "late"); err != nil { // call 1
		t.Fatal(err)
	}
	if there(s, "late") { // call 2
		t.Error("too early")
	}
	if !there(s, "late") { // call 3
		t.Error("never came")
	}
	s.Next(CommitLate(1))
	blob.Put(ctx, s, "again", []byte("first"))
	if err := blob.Put(ctx, s, "again", []byte("first")); !errors.Is(err, blob.ErrExists) {
		t.Errorf("the retry of a commit that landed meanwhile: %v", err)
	}
}

func TestDeleteFates(t *testing.T) {
	s := New(1)
	for _, key := range []string{"a", "b", "c"} {
		if err := blob.Put(ctx, s, key, nil); err != nil {
			t.Fatal(err)
		}
	}
	s.Next(DeleteLost)
	s.Next(DeleteDone)
	s.Next(DeleteLate(2))
	for _, key := range []string{"a", "b"} {
		if err := s.Delete(ctx, key); !errors.Is(err, ErrFault) {
			t.Error(err)
		}
	}
	if !there(s, "a") || there(s, "b") {
		t.Error("failed deletes: lost one was done, or done one was not")
	}
	if err := s.Delete(ctx, "c"); err != nil {
		t.Error(err)
	}
	if !there(s, "c") {
		t.Error("a late delete was early")
	}
	if there(s, "c") {
		t.Error("a late delete never came")
	}
}

func TestListLags(t *testing.T) {
	s := New(1)
	s.SetFaults(Faults{ListLag: 1, MaxDelay: 1})
	blob.Put(ctx, s, "a", []byte("x"))
	lag := func() (keys []string) {
		// Two effects may be due one after the other: look without the clock.
		for key := range s.st.listed {
			keys = append(keys, key)
		}
		return keys
	}
	if !there(s, "a") {
		t.Error("stored, but not there")
	}
	if got := lag(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("listed %v", got)
	}
	s.SetFaults(Faults{ListLag: 1, MaxDelay: 50})
	blob.Put(ctx, s, "b", []byte("x"))
	s.Delete(ctx, "a")
	if got := lag(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("no lag: %v", got)
	}
	s.Settle()
	if got := lag(); !slices.Equal(got, []string{"b"}) || s.Pending() != 0 {
		t.Errorf("after settling: %v", got)
	}
}

func TestReadFates(t *testing.T) {
	s, want := New(1), bytes.Repeat([]byte{7}, 100)
	blob.Put(ctx, s, "a", want)
	p := make([]byte, 100)
	s.Next(Fate{Op: OpRead, Short: true})
	if n, err := s.ReadAt(ctx, "a", p, 0); n == 100 || err != io.EOF {
		t.Errorf("short: %d, %v", n, err)
	}
	s.Next(Fate{Op: OpRead, Flip: true})
	if n, err := s.ReadAt(ctx, "a", p, 0); n != 100 || err != nil || bytes.Equal(p, want) {
		t.Errorf("flip: %d, %v", n, err)
	}
	s.Next(Fate{Op: OpRead, Err: ErrFault})
	if n, err := s.ReadAt(ctx, "a", p, 0); n != 0 || !errors.Is(err, ErrFault) {
		t.Errorf("fail: %d, %v", n, err)
	}
	if n, err := s.ReadAt(ctx, "a", p, 0); n != 100 || err != nil || !bytes.Equal(p, want) {
		t.Errorf("after that: %d, %v", n, err)
	}
	for _, err := range []error{s.Flip("a", 5, 0x80), s.Truncate("a", 50)} {
		if err != nil {
			t.Error(err)
		}
	}
	if n, err := s.ReadAt(ctx, "a", p, 0); n != 50 || err != io.EOF || p[5] != 0x87 {
		t.Errorf("changed: %d, %v, %x", n, err, p[5])
	}
	for info := range s.List(ctx, "") {
		if info.Size != 50 {
			t.Errorf("listed with %d bytes", info.Size)
		}
	}
	if s.Flip("a", 50, 1) == nil || s.Flip("b", 0, 1) == nil || s.Truncate("a", 51) == nil {
		t.Error("changed what is not there")
	}
}

func TestLimitAndReserve(t *testing.T) {
	s := New(1)
	s.SetLimit(100)
	s.SetReserve(40)
	if err := s.RefillReserve(); err != nil {
		t.Fatal(err)
	}
	if err := blob.Put(ctx, s, "a", make([]byte, 61)); !errors.Is(err, blob.ErrFull) {
		t.Error(err)
	}
	if err := blob.Put(ctx, s, "a", make([]byte, 60)); err != nil {
		t.Error(err)
	}
	if err := blob.Put(ctx, s, "b", make([]byte, 1)); !errors.Is(err, blob.ErrFull) {
		t.Error(err)
	}
	s.ReleaseReserve()
	s.ReleaseReserve()
	if err := blob.Put(ctx, s, "b", make([]byte, 40)); err != nil {
		t.Error(err)
	}
	if err := s.RefillReserve(); !errors.Is(err, blob.ErrFull) {
		t.Error(err)
	}
	s.Delete(ctx, "a")
	if err := s.RefillReserve(); err != nil || s.Used() != 80 {
		t.Error(err, s.Used())
	}
}

func TestCrash(t *testing.T) {
	stored, dropped := 0, 0
	for seed := range uint64(50) {
		s := New(seed)
		w, err := s.Create(ctx, "open")
		if err != nil {
			t.Fatal(err)
		}
		blob.Put(ctx, s, "kept", []byte("x"))
		s.Next(CommitLate(5))
		blob.Put(ctx, s, "late", []byte("x"))
		other := s.Open()
		next := s.Crash()
		if err := w.Commit(); !errors.Is(err, ErrCrashed) {
			t.Fatalf("a dead process commits: %v", err)
		}
		if err := s.Delete(ctx, "kept"); !errors.Is(err, ErrCrashed) {
			t.Fatalf("a dead process deletes: %v", err)
		}
		if !there(next, "kept") || !there(other, "kept") || there(next, "open") {
			t.Fatal("a crash changed the store")
		}
		next.Settle()
		if there(next, "late") {
			stored++
		} else {
			dropped++
		}
	}
	if stored == 0 || dropped == 0 {
		t.Errorf("%d late commits landed after a crash, %d did not", stored, dropped)
	}
}

// TestSeedDecides holds that a seed means one history.
func TestSeedDecides(t *testing.T) {
	history := func(seed uint64) (log []string) {
		s := New(seed)
		s.SetFaults(Faults{
			CommitLost: .1, CommitStored: .1, CommitLate: .1, DeleteLost: .1, DeleteDone: .1, DeleteLate: .1,
			ListLag: .3, Read: .1, Stat: .1, List: .1, Create: .1, Write: .1, Short: .1, Flip: .1,
		})
		s.SetHook(func(op Op, key string, after bool) { log = append(log, fmt.Sprint(op, key, after)) })
		for i := range 200 {
			key := fmt.Sprint("k", i/3)
			log = append(log, fmt.Sprint(blob.Put(ctx, s, key, []byte("value"))))
			b, err := blob.Get(ctx, s, key, 10)
			log = append(log, fmt.Sprint(b, err))
			if i%5 == 0 {
				log = append(log, fmt.Sprint(s.Delete(ctx, key)))
			}
			if i == 100 {
				s = s.Crash()
			}
			for info, err := range s.List(ctx, "") {
				log = append(log, fmt.Sprint(info, err))
			}
		}
		return log
	}
	if a, b := history(3), history(3); !slices.Equal(a, b) {
		t.Error("one seed, two histories")
	}
	if a, b := history(3), history(4); slices.Equal(a, b) {
		t.Error("two seeds, one history")
	}
}

func TestHookMayCrash(t *testing.T) {
	s := New(1)
	var next *Store
	s.SetHook(func(op Op, key string, after bool) {
		if op == OpCommit && after && next == nil {
			next = s.Crash()
		}
	})
	if err := blob.Put(ctx, s, "a", nil); err != nil {
		t.Fatal(err)
	}
	if err := blob.Put(ctx, s, "b", nil); !errors.Is(err, ErrCrashed) {
		t.Error(err)
	}
	if !there(next, "a") || there(next, "b") {
		t.Error("the crash was at another point")
	}
}
