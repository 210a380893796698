package dir

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"kuva/internal/blob"
	"kuva/internal/blob/blobtest"
	"kuva/internal/blob/fsys"
)

var (
	crashes = flag.Int("crashes", 3000, "how many crashes TestCrash simulates")
	seed    = flag.Uint64("seed", 0, "first seed of TestCrash; 0 draws one")
)

// model is what the caller of a store may rely on.
type model struct {
	acked   map[string]bool // committed with nil, or ErrExists: must be there
	unknown map[string]bool // committed with an error, or deleted: may be there
	order   []string        // all keys, so that a seed means one history
	taken   int             // keys are never used twice
}

// pick draws a key of those in set, "" if there is none.
func (m *model) pick(rnd *rand.Rand, set map[string]bool) string {
	for range 10 {
		if len(m.order) == 0 {
			return ""
		}
		if key := m.order[rnd.IntN(len(m.order))]; set[key] {
			return key
		}
	}
	return ""
}

// size of a key's blob; some are more than one page.
func size(key string) int { return len(key)*731%9000 + len(key)%2 }

// live is one life of a process: random operations until ops are over or the file
// system dies. It tells what was wrong.
func (m *model) live(s *Store, rnd *rand.Rand, ops int) error {
	for range ops {
		switch rnd.IntN(8) {
		case 0, 1, 2, 3:
			m.taken++
			key := fmt.Sprintf("f%d/%d/%d", rnd.IntN(2), rnd.IntN(3), m.taken)
			m.unknown[key] = true
			m.order = append(m.order, key)
			w, err := s.Create(ctx, key)
			if err != nil {
				break
			}
			for b := blobtest.Bytes(key, size(key)); len(b) > 0 && err == nil; {
				k := min(len(b), 1+rnd.IntN(5000))
				_, err = w.Write(b[:k])
				b = b[k:]
			}
			switch {
			case rnd.IntN(6) == 0:
				w.Abort()
			case w.Commit() == nil:
				m.acked[key] = true
				delete(m.unknown, key)
			}
		case 4: // a retry after an unknown outcome: ErrExists is an acknowledgement
			if key := m.pick(rnd, m.unknown); key != "" {
				err := blob.Put(ctx, s, key, blobtest.Bytes(key, size(key)))
				if err == nil || errors.Is(err, blob.ErrExists) {
					m.acked[key] = true
					delete(m.unknown, key)
				}
			}
		case 5, 6:
			if key := m.pick(rnd, m.acked); key != "" {
				delete(m.acked, key)
				m.unknown[key] = true
				_ = s.Delete(ctx, key)
			}
		case 7:
			if key := m.pick(rnd, m.acked); key != "" {
				got, err := blob.Get(ctx, s, key, 1<<20)
				if err == nil && !bytes.Equal(got, blobtest.Bytes(key, size(key))) {
					return fmt.Errorf("%s has other bytes", key)
				}
				if errors.Is(err, blob.ErrNotFound) {
					return fmt.Errorf("%s is gone", key)
				}
			}
		}
	}
	return nil
}

// verify compares a store with the model after a crash.
func (m *model) verify(s *Store) error {
	seen := map[string]bool{}
	for info, err := range s.List(ctx, "") {
		if err != nil {
			return err
		}
		seen[info.Key] = true
		if !m.acked[info.Key] && !m.unknown[info.Key] {
			return fmt.Errorf("%s came from nowhere", info.Key)
		}
		got, err := blob.Get(ctx, s, info.Key, 1<<20)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, blobtest.Bytes(info.Key, size(info.Key))) {
			return fmt.Errorf("%s is not whole: %d of %d bytes", info.Key, len(got), size(info.Key))
		}
	}
	for key := range m.acked {
		if !seen[key] {
			return fmt.Errorf("%s was acknowledged and is lost", key)
		}
	}
	return nil
}

// crashOnce runs one history: some lives that end by losing power, by being killed,
// or by being closed, with failing calls in between.
func crashOnce(seed uint64, wrap func(fsys.FS) fsys.FS) (crashes int, err error) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	mem := fsys.NewMem()
	m := &model{acked: map[string]bool{}, unknown: map[string]bool{}}
	for range 4 {
		fault := fsys.NewFault(mem)
		var after *fsys.Mem
		at, calls, cut := 1+rnd.IntN(120), 0, rnd.Uint64()
		kill := rnd.IntN(4) == 0
		fault.OnCall = func(fsys.Op, string) {
			if calls++; calls == at {
				if kill {
					after = mem.Kill()
				} else {
					after = mem.Crash(cut)
				}
			}
		}
		if rnd.IntN(3) == 0 {
			fault.Arm(fsys.Failure{
				At: 1 + rnd.IntN(40), Times: 1 + rnd.IntN(2), Done: rnd.IntN(2) == 0,
				Err: []error{syscall.EIO, syscall.ENOSPC}[rnd.IntN(2)],
			})
			if rnd.IntN(2) == 0 {
				fault.Arm(fsys.Failure{At: 1 + rnd.IntN(8), Ops: []fsys.Op{fsys.OpSync, fsys.OpSyncDir}, Err: syscall.EIO})
			}
			kill = false // the next process could not know of a sync that failed
		}
		s, err := Open(Config{FS: wrap(fault), Reserve: 100 << 10, OpenFiles: 4})
		if err == nil {
			err = m.live(s, rnd, 40)
			s.Close()
		} else if after == nil && fault.Disarm() == 0 {
			return crashes, fmt.Errorf("open: %w", err)
		} else {
			err = nil
		}
		if err != nil {
			return crashes, err
		}
		if after == nil { // the history was shorter
			after = mem.Crash(cut)
		}
		mem = after
		crashes++
		s, err = Open(Config{FS: mem, Reserve: -1})
		if err != nil {
			return crashes, fmt.Errorf("open after a crash: %w", err)
		}
		err = m.verify(s)
		s.Close()
		if err != nil {
			return crashes, err
		}
		if left, err := mem.List("tmp"); err != nil || len(left) > 0 {
			return crashes, fmt.Errorf("left in tmp: %v, %v", left, err)
		}
	}
	return crashes, nil
}

func TestCrash(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()
	}
	t.Logf("first seed %d", first)
	for n, at := 0, first; n < *crashes; at++ {
		k, err := crashOnce(at, func(f fsys.FS) fsys.FS { return f })
		if err != nil {
			t.Fatalf("-seed %d: %v", at, err)
		}
		n += k
	}
}

// noSync is a file system whose syncs say yes and do nothing.
type noSync struct {
	fsys.FS
	files, dirs bool
	only        string // of folders, only this one; "" all
}

func (f noSync) Create(name string) (fsys.File, error) {
	file, err := f.FS.Create(name)
	if err == nil && f.files {
		return noSyncFile{file}, nil
	}
	return file, err
}

func (f noSync) SyncDir(name string) error {
	if f.dirs && (f.only == "" || f.only == name) {
		return nil
	}
	return f.FS.SyncDir(name)
}

type noSyncFile struct{ fsys.File }

func (noSyncFile) Sync() error { return nil }

// TestCrashSeesMutants holds that the crash test can fail: a store without one of
// its syncs must be caught.
func TestCrashSeesMutants(t *testing.T) {
	for name, mutant := range map[string]noSync{
		"files":          {files: true},
		"folders":        {dirs: true},
		"top folder":     {dirs: true, only: "."},
		"blobs' folder":  {dirs: true, only: "blobs"},
		"middle folder":  {dirs: true, only: "blobs/f0"},
		"lowest folder":  {dirs: true, only: "blobs/f0/1"},
		"trusting retry": {},
	} {
		t.Run(name, func(t *testing.T) {
			wrap := func(f fsys.FS) fsys.FS { mutant.FS = f; return mutant }
			if name == "trusting retry" {
				wrap = func(f fsys.FS) fsys.FS { return retrying{f} }
			}
			for at := range uint64(3000) {
				if _, err := crashOnce(at, wrap); err != nil {
					t.Logf("seed %d: %v", at, err)
					return
				}
			}
			t.Error("3,000 histories and not caught")
		})
	}
}

// retrying is a file system under a caller who repeats a sync that failed and
// believes the second answer.
type retrying struct{ fsys.FS }

func (f retrying) SyncDir(name string) error {
	if f.FS.SyncDir(name) != nil {
		return f.FS.SyncDir(name)
	}
	return nil
}

// TestEveryCallFails: for each operation, its n-th call of the file system fails, in
// each way, for n = 1, 2, … until it no longer matters. The state is then that
// before or that after, the next try works, and both survive a crash.
func TestEveryCallFails(t *testing.T) {
	old := func(s *Store) {
		for _, key := range []string{"a/b/old", "a/c/other"} {
			if err := blob.Put(ctx, s, key, blobtest.Bytes(key, 5000)); err != nil {
				t.Fatal(err)
			}
		}
	}
	get := func(s *Store, key string) error {
		b, err := blob.Get(ctx, s, key, 1<<20)
		if err == nil && !bytes.Equal(b, blobtest.Bytes(key, 5000)) {
			return errors.New("other bytes")
		}
		return err
	}
	ops := []struct {
		name   string
		fresh  bool // on a store that was just opened
		do     func(s *Store) error
		key    string // may be there or not after a failure; "": nothing changes
		exists bool   // whether it is there after success
	}{
		{"put", false, func(s *Store) error { return blob.Put(ctx, s, "a/b/new", blobtest.Bytes("a/b/new", 5000)) }, "a/b/new", true},
		{"put in new folders", true, func(s *Store) error { return blob.Put(ctx, s, "x/y/z", blobtest.Bytes("x/y/z", 5000)) }, "x/y/z", true},
		{"put after opening", true, func(s *Store) error { return blob.Put(ctx, s, "a/b/new", blobtest.Bytes("a/b/new", 5000)) }, "a/b/new", true},
		{"put what is there", true, func(s *Store) error {
			err := blob.Put(ctx, s, "a/b/old", blobtest.Bytes("a/b/old", 5000))
			if errors.Is(err, blob.ErrExists) {
				return nil
			}
			return errors.Join(err, errors.New("not ErrExists"))
		}, "", true},
		{"get", true, func(s *Store) error { return get(s, "a/b/old") }, "", true},
		{"list", false, func(s *Store) error {
			n := 0
			for _, err := range s.List(ctx, "") {
				if err != nil {
					return err
				}
				n++
			}
			if n < 2 {
				return fmt.Errorf("%d blobs listed without an error", n)
			}
			return nil
		}, "", true},
		{"delete", false, func(s *Store) error { return s.Delete(ctx, "a/c/other") }, "a/c/other", false},
		{"reserve", false, func(s *Store) error { return errors.Join(s.ReleaseReserve(), s.RefillReserve()) }, "", true},
	}
	for _, op := range ops {
		t.Run(op.name, func(t *testing.T) {
			total := 0
			for _, how := range []fsys.Failure{
				{Err: syscall.EIO}, {Err: syscall.EIO, Done: true}, {Err: syscall.ENOSPC}, {Err: syscall.ENOSPC, Done: true}, {Err: syscall.EIO, Times: -1},
			} {
				for n := 1; ; n++ {
					fault := fsys.NewFault(fsys.NewMem())
					cfg := Config{FS: fault, Reserve: 1000}
					s := open(t, cfg)
					old(s)
					if op.fresh {
						s.Close()
						s = open(t, cfg)
					}
					how.At = n
					fault.Arm(how)
					err := op.do(s)
					hit := fault.Disarm()
					if hit == 0 {
						if err != nil {
							t.Fatalf("nothing failed, and yet: %v", err)
						}
						break
					}
					total++
					if errors.Is(err, blob.ErrNotFound) {
						t.Errorf("%v at call %d: a failure looks like absence: %v", how, n, err)
					}
					if err != nil && errors.Is(how.Err, syscall.ENOSPC) && op.key != "" && op.exists && !errors.Is(err, blob.ErrFull) && !how.Done {
						t.Errorf("%v at call %d: %v is not ErrFull", how, n, err)
					}
					check := func(s *Store, when string) {
						for _, key := range []string{"a/b/old", "a/c/other"} {
							if e := get(s, key); e != nil && key != op.key {
								t.Errorf("%v at call %d, %s: %s: %v", how, n, when, key, e)
							}
						}
						if op.key == "" {
							return
						}
						switch e := get(s, op.key); {
						case e != nil && !errors.Is(e, blob.ErrNotFound):
							t.Errorf("%v at call %d, %s: neither before nor after: %v", how, n, when, e)
						case err == nil && op.exists && e != nil:
							t.Errorf("%v at call %d, %s: done, but %v", how, n, when, e)
						}
					}
					check(s, "at once")
					// The next process can always go on. When the disk failed for
					// good it comes after the machine's restart.
					s.Close()
					if how.Times < 0 {
						fault = fsys.NewFault(fault.Unwrap().(*fsys.Mem).Crash(uint64(n)))
						cfg.FS = fault
					}
					s = open(t, cfg)
					if again := op.do(s); again != nil && !errors.Is(again, blob.ErrExists) {
						t.Errorf("%v at call %d: the next try: %v", how, n, again)
					}
					err = nil // now it is done
					check(s, "after the next try")
					s = open(t, Config{FS: fault.Unwrap().(*fsys.Mem).Crash(uint64(n)), Reserve: -1})
					check(s, "after a crash")
				}
			}
			t.Logf("%d failures", total)
		})
	}
}

// TestGoesOnAfterFailure: a failure of one call leaves the same process able to
// store other blobs, in the same folder too.
func TestGoesOnAfterFailure(t *testing.T) {
	for _, done := range []bool{false, true} {
		for n := 1; ; n++ {
			fault := fsys.NewFault(fsys.NewMem())
			s := open(t, Config{FS: fault})
			fault.Arm(fsys.Failure{At: n, Err: syscall.ENOSPC, Done: done})
			_ = blob.Put(ctx, s, "a/b/c", []byte("x"))
			if fault.Disarm() == 0 {
				break
			}
			if err := blob.Put(ctx, s, "a/b/d", []byte("x")); err != nil {
				t.Errorf("call %d failed, done %v: %v", n, done, err)
			}
			if err := blob.Put(ctx, s, "a/b/c", []byte("x")); err != nil && !errors.Is(err, blob.ErrExists) {
				t.Errorf("call %d failed, done %v, second try: %v", n, done, err)
			}
		}
	}
}

// TestFailedSyncTakesNeighboursAlong: when a folder's sync fails, every commit whose
// entry it was to save fails, also one that never heard of it.
func TestFailedSyncTakesNeighboursAlong(t *testing.T) {
	for seed := range uint64(100) {
		mem := fsys.NewMem()
		fault := fsys.NewFault(mem)
		s := open(t, Config{FS: fault})
		if err := blob.Put(ctx, s, "d/0", nil); err != nil {
			t.Fatal(err)
		}
		fault.Arm(fsys.Failure{At: 1 + int(seed%3), Ops: []fsys.Op{fsys.OpSyncDir}, Err: syscall.EIO})
		var all sync.WaitGroup
		ok := make([]bool, 6)
		for i := range ok {
			all.Go(func() {
				key := fmt.Sprintf("d/%d", i+1)
				ok[i] = blob.Put(ctx, s, key, blobtest.Bytes(key, 100)) == nil
			})
		}
		all.Wait()
		after := open(t, Config{FS: mem.Crash(seed)})
		for i := range ok {
			if key := fmt.Sprintf("d/%d", i+1); ok[i] {
				if got, err := blob.Get(ctx, after, key, 1000); err != nil || !bytes.Equal(got, blobtest.Bytes(key, 100)) {
					t.Errorf("seed %d: %s was acknowledged: %v", seed, key, err)
				}
			}
		}
	}
}

func TestFull(t *testing.T) {
	const limit = 1 << 20
	mem := fsys.NewMem()
	mem.SetLimit(limit)
	s := open(t, Config{FS: mem, Reserve: 200 << 10})
	var keys []string
	for {
		key := fmt.Sprintf("pack/%d", len(keys))
		err := blob.Put(ctx, s, key, blobtest.Bytes(key, 50<<10))
		if errors.Is(err, blob.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	if mem.Used() != int64(len(keys)*50<<10+200<<10) {
		t.Errorf("%d bytes are used: a failed put left something", mem.Used())
	}
	got, err := blob.Get(ctx, s, keys[0], limit)
	if err != nil || !bytes.Equal(got, blobtest.Bytes(keys[0], 50<<10)) {
		t.Errorf("reading on a full disk: %v", err)
	}
	// A start on a full disk works, with the reserve that is there or without.
	s.Close()
	s = open(t, Config{FS: mem, Reserve: 200 << 10})
	if err := s.ReleaseReserve(); err != nil {
		t.Fatal(err)
	}
	if err := blob.Put(ctx, s, "pack/rewritten", blobtest.Bytes("x", 100<<10)); err != nil {
		t.Errorf("with the reserve released: %v", err)
	}
	if err := s.RefillReserve(); !errors.Is(err, blob.ErrFull) {
		t.Errorf("refill on a full disk: %v", err)
	}
	s.Close()
	s = open(t, Config{FS: mem, Reserve: 200 << 10})
	for _, key := range keys[:3] {
		if err := s.Delete(ctx, key); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.RefillReserve(); err != nil {
		t.Error(err)
	}
	if _, err := mem.Stat("reserve"); errors.Is(err, fs.ErrNotExist) {
		t.Error("no reserve")
	}
}
