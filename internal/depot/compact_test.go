package depot

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// TestCompactSparse: packs of which less than half lives are rewritten, the
// space comes back, and content stays the same for readers that hold the old
// generation.
func TestCompactSparse(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx, w := context.Background(), newWorld(t, db)
		whole := randomBytes(24<<20, 1)
		id, _ := w.mustPutImage("p", "whole", whole)
		// Every fourth chunk lives on in another object.
		var some []byte
		for i := 0; i+4<<18 <= len(whole); i += 4 << 18 {
			some = append(some, whole[i:i+1<<18]...)
		}
		_, ref := w.mustPutImage("p", "some", some)
		_, ref2 := w.mustPutImage("p", "same", some)
		_, pub := w.mustPutImage("", "public", some)
		w.mustDelete(id)
		w.mustCollect(CollectOptions{})
		old, err := w.OpenObject(ctx, ref)
		if err != nil {
			t.Fatal(err)
		}
		rep, err := w.Compact(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if rep.Victims.Count < 5 || rep.Objects != 2 || rep.Packs.Bytes > int64(len(some))*102/100 {
			t.Errorf("compaction did %+v", rep)
		}
		again, err := w.Compact(ctx)
		if err != nil || again.Victims.Count != 0 {
			t.Errorf("second compaction did %+v, %v", again, err)
		}
		w.mustCollect(CollectOptions{})
		if rep := w.mustCollect(CollectOptions{}); rep.Deleted.Bytes < 18<<20 {
			t.Errorf("space back:\n%s", rep)
		}
		if left := w.blobs("pack/").Bytes; left > 2*int64(len(some))*102/100 {
			t.Errorf("%d bytes left for %d", left, 2*len(some))
		}
		got := make([]byte, len(some))
		if _, err := old.ReadAt(got, 0); err != nil || string(got) != string(some) {
			t.Errorf("reader of the old generation: %v", err)
		}
		for _, r := range []int64{ref, ref2, pub} {
			w.mustRead(r, some)
		}
		w.mustVerify()
		if o := w.put("p", some); o.Fresh > int64(len(some))/50 {
			t.Errorf("after compaction a copy stored %d bytes anew", o.Fresh)
		}
	})
}

// TestCompactPlatform: a project's objects follow when the platform's packs
// are rewritten.
func TestCompactPlatform(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	whole := randomBytes(16<<20, 1)
	id, _ := w.mustPutImage("", "public", whole)
	var some []byte
	for i := 0; i+1<<20 <= len(whole); i += 1 << 20 {
		some = append(some, whole[i:i+1<<18]...)
	}
	_, ref := w.mustPutImage("p", "some", some)
	w.mustDelete(id)
	w.mustCollect(CollectOptions{})
	rep, err := w.Compact(ctx)
	if err != nil || rep.Objects != 1 {
		t.Fatalf("%+v, %v", rep, err)
	}
	w.mustCollect(CollectOptions{})
	w.mustCollect(CollectOptions{})
	w.mustRead(ref, some)
	w.mustVerify()
	if left := w.blobs("pack/").Bytes; left > int64(len(some))*102/100+8192 {
		t.Errorf("%d bytes left for %d", left, len(some))
	}
}

func TestCompactTiny(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	contents := map[int64][]byte{}
	for i := range 40 {
		p := randomBytes(20_000+i, uint64(i))
		_, ref := w.mustPutImage("p", "tiny", p)
		contents[ref] = p
	}
	before := w.blobs("pack/").Count
	if _, err := w.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	w.mustCollect(CollectOptions{Compact: true})
	w.mustCollect(CollectOptions{})
	w.mustCollect(CollectOptions{})
	if after := w.blobs("pack/").Count; before != 40 || after > 8 {
		t.Errorf("%d packs became %d", before, after)
	}
	for ref, p := range contents {
		w.mustRead(ref, p)
	}
	w.mustVerify()
}

// TestCompactLeavesDamage: a damaged chunk on the way leaves its pack, marked;
// nothing else is lost.
func TestCompactLeavesDamage(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	ts := &tamperStore{Store: w.store}
	w.store = ts
	w.open(Config{})
	whole := randomBytes(4<<20, 1)
	id, _ := w.mustPutImage("p", "whole", whole)
	_, ref := w.mustPutImage("p", "some", whole[:1<<20])
	w.mustDelete(id)
	w.mustCollect(CollectOptions{})
	o, err := w.OpenObject(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := w.pieceAt(ctx, o.current(), 300_000)
	if err != nil {
		t.Fatal(err)
	}
	ts.flip(pc.entry.Loc.Pack.Key(), int64(pc.entry.Loc.Offset)+100, 4)
	rep, err := w.Compact(ctx)
	if err != nil || rep.Damaged != 1 || rep.Objects != 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	var suspect int64
	if err := w.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT COUNT(*) FROM pack WHERE suspect`).Scan(&suspect)
	}); err != nil || suspect != 1 {
		t.Errorf("%d suspect packs, %v", suspect, err)
	}
	ts.clear()
	w.mustRead(ref, whole[:1<<20])
	if v := w.mustVerify(); v.Healed != 1 {
		t.Errorf("verify of the pack that is whole again: %+v", v)
	}
	if rep, err := w.Compact(ctx); err != nil || rep.Objects != 1 {
		t.Errorf("compaction after healing: %+v, %v", rep, err)
	}
	w.mustRead(ref, whole[:1<<20])
}

// TestEverythingAtOnce is R-10: writers of duplicates, deleters, collectors,
// compaction and readers, with nothing lost and all space back (invariant 7).
func TestEverythingAtOnce(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		w.open(Config{PackSize: 1 << 20})
		second := &world{Depot: w.second(Config{PackSize: 1 << 20}), tb: t, db: db, store: w.store, keys: w.keys}
		var pieces [][]byte
		for i := range 12 {
			pieces = append(pieces, randomBytes(400_000, uint64(i)))
		}
		type kept struct {
			id  string
			ref int64
			p   []byte
		}
		var mu sync.Mutex
		var live []kept
		stop, deadline := make(chan struct{}), time.Now().Add(6*time.Second)
		var wg, keepers sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				r, node := rand.New(rand.NewPCG(uint64(i), 3)), []*world{w, second}[i%2]
				for n := 0; n < 40 && time.Now().Before(deadline); n++ {
					var p []byte
					for range 1 + r.IntN(4) {
						p = append(p, pieces[r.IntN(len(pieces))]...)
					}
					id, ref, err := node.putImage("p", "x", p)
					if err != nil {
						t.Errorf("put: %v", err)
						return
					}
					mu.Lock()
					live = append(live, kept{id, ref, p})
					k := live[r.IntN(len(live))]
					gone := false
					if r.IntN(2) == 0 {
						j := r.IntN(len(live))
						k, gone = live[j], true
						live[j] = live[len(live)-1]
						live = live[:len(live)-1]
					}
					mu.Unlock()
					if gone {
						if err := node.deleteImage(k.id); err != nil {
							t.Errorf("delete: %v", err)
						}
						continue
					}
					err = node.readsBack(k.ref, k.p)
					mu.Lock()
					for _, l := range live {
						if l.id == k.id && err != nil { // not deleted meanwhile
							t.Errorf("read: %v", err)
						}
					}
					mu.Unlock()
				}
			})
		}
		for _, node := range []*world{w, second} {
			keepers.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					if _, err := node.Collect(context.Background(), CollectOptions{Audit: n%3 == 0, Compact: n%2 == 0}); err != nil && !errors.Is(err, ErrStale) {
						t.Errorf("collect: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		close(stop)
		keepers.Wait()
		for range 4 {
			w.mustCollect(CollectOptions{Audit: true, Compact: true})
		}
		t.Logf("%d images live", len(live))
		for _, k := range live {
			if err := w.readsBack(k.ref, k.p); err != nil {
				t.Errorf("image %s: %v", k.id, err)
			}
		}
		w.mustVerify()
		rep := w.mustCollect(CollectOptions{Audit: true})
		if got := w.blobs("pack/").Bytes; got != rep.Live.Bytes+rep.Garbage || rep.Waiting.Count+rep.Open.Count != 0 {
			t.Errorf("the store holds %d bytes, the ledger says\n%s", got, rep)
		}
		for _, k := range live {
			w.mustDelete(k.id)
		}
		for range 3 {
			w.mustCollect(CollectOptions{})
		}
		if n := w.blobs("pack/").Count + w.blobs("recipe/").Count; n != 0 {
			t.Errorf("%d blobs left of deleted images", n)
		}
	})
}

func TestUsage(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	a := randomBytes(8<<20, 1)
	_, refA := w.mustPutImage("p", "a", a)
	alone, err := w.Usage(ctx, refA)
	if err != nil || alone.UniqueError != 0 || alone.Unique != alone.Stored || alone.Stored < 8<<20 {
		t.Fatalf("alone: %+v, %v", alone, err)
	}
	b := append(append([]byte{}, a[:2<<20]...), randomBytes(3<<20, 2)...)
	_, refB := w.mustPutImage("p", "b", b)
	for ref, want := range map[int64]int64{refA: 6 << 20, refB: 3 << 20} {
		u, err := w.Usage(ctx, ref)
		if err != nil || u.UniqueError > 0 || u.Unique < want || u.Unique > want+16<<10 {
			t.Errorf("object with %d bytes of its own: %+v, %v", want, u, err)
		}
	}
	p, err := w.UsageOfProject(ctx, "p")
	if err != nil || p.Unique-p.UniqueError > 11<<20+32<<10 || p.Unique+p.UniqueError < 11<<20 {
		t.Errorf("project: %+v, %v", p, err)
	}
	if u, err := w.UsageOfProject(ctx, "nobody"); err != nil || u != (Usage{}) {
		t.Errorf("no project: %+v, %v", u, err)
	}
	if _, err := w.Usage(ctx, 12345); !errors.Is(err, ErrNotFound) {
		t.Errorf("no object: %v", err)
	}
	// Beyond the budget the bounds must still hold what is true.
	for i := range 300 {
		w.mustPutImage("p", fmt.Sprint(i), append(append([]byte{}, a[:1<<18]...), byte(i), byte(i>>8)))
	}
	u, err := w.Usage(ctx, refA)
	if err != nil || u.Unique-u.UniqueError > 6<<20+16<<10 || u.Unique+u.UniqueError < 6<<20 {
		t.Errorf("beyond the budget: %+v, %v", u, err)
	}
}
