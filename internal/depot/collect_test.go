package depot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"kuva/internal/blob"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// TestSpaceComesBack: what a deleted image alone needed is gone after two
// cycles, what others need stays, and a dry run says so before.
func TestSpaceComesBack(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		a, b := randomBytes(9<<20, 1), append(randomBytes(9<<20, 1)[:5<<20], randomBytes(7<<20, 2)...)
		idA, _ := w.mustPutImage("p", "a", a)
		_, refB := w.mustPutImage("p", "b", b)
		idC, refC := w.mustPutImage("q", "c", a)
		before := w.blobs("pack/")
		if rep := w.mustCollect(CollectOptions{Audit: true}); rep.Objects.Count+rep.Condemned.Bytes+rep.Deleted.Count+rep.Unknown.Count+rep.Cards != 0 {
			t.Fatalf("a cycle over live images only did:\n%s", rep)
		}
		w.mustDelete(idA)
		w.mustDelete(idC)
		dry := w.mustCollect(CollectOptions{DryRun: true})
		rep := w.mustCollect(CollectOptions{})
		if dry.Objects != rep.Objects || dry.Condemned != rep.Condemned || rep.Objects.Count != 2 || rep.Condemned.Count == 0 || dry.Epoch != rep.Epoch {
			t.Errorf("dry run:\n%s\ndone:\n%s", dry, rep)
		}
		if len(dry.Plan) == 0 || !strings.Contains(dry.String(), "drop object "+fmt.Sprintf("%016x", refC)) {
			t.Errorf("plan of the dry run: %q", dry.Plan)
		}
		if now := w.blobs("pack/"); now != before {
			t.Errorf("packs were deleted in the cycle that condemned them: %v of %v left", now, before)
		}
		if rep := w.mustCollect(CollectOptions{Compact: true}); rep.Deleted.Count == 0 {
			t.Errorf("second cycle:\n%s", rep)
		}
		rep = w.mustCollect(CollectOptions{})
		rep = w.mustCollect(CollectOptions{Audit: true})
		if left := w.blobs("pack/"); left.Bytes > int64(len(b))*102/100 {
			t.Errorf("%v are left for an object of %d bytes:\n%s", left, len(b), rep)
		}
		if n := w.blobs("card/").Count; n != 1 {
			t.Errorf("%d cards left", n)
		}
		w.mustRead(refB, b)
		if _, err := w.OpenObject(context.Background(), refC); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted object: %v", err)
		}
		if v := w.mustVerify(); v.Objects != 1 || v.Cards != 1 {
			t.Errorf("verified %+v", v)
		}
		for range 4 {
			rep = w.mustCollect(CollectOptions{Audit: true})
		}
		var rows int64
		if err := w.db.View(context.Background(), func(tx *catalog.Tx) error {
			return tx.QueryRow(context.Background(), `SELECT (SELECT COUNT(*) FROM pack WHERE state = 'deleted') + (SELECT COUNT(*) FROM object WHERE state = 'dead')
				+ (SELECT COUNT(*) FROM pack_check) + (SELECT COUNT(*) FROM lease_pack)`).Scan(&rows)
		}); err != nil || rows != 0 {
			t.Errorf("%d rows of what is gone are left, %v", rows, err)
		}
	})
}

func TestPinKeepsAnObject(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx, w := context.Background(), newWorld(t, db)
		p := randomBytes(1<<20, 1)
		id, ref := w.mustPutImage("p", "a", p)
		pin := func(f func(context.Context, *catalog.Tx, int64, string) error) error {
			return db.Update(ctx, func(tx *catalog.Tx) error { return f(ctx, tx, ref, "instance 1") })
		}
		if err := errors.Join(pin(w.Pin), pin(w.Pin)); err != nil {
			t.Fatal(err)
		}
		w.mustDelete(id)
		for range 4 {
			w.mustCollect(CollectOptions{Audit: true})
		}
		w.mustRead(ref, p)
		if n := w.blobs("card/").Count; n != 1 {
			t.Errorf("%d delete cards while the root is there", n)
		}
		if err := pin(w.Unpin); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.mustCollect(CollectOptions{})
		}
		if n := w.blobs("pack/").Count + w.blobs("recipe/").Count + w.blobs("card/").Count; n != 0 {
			t.Errorf("%d blobs left", n)
		}
		if err := pin(w.Pin); !errors.Is(err, ErrNotFound) {
			t.Errorf("pin of a dead object: %v", err)
		}
	})
}

// TestLeaseExpires: only after its beat stood still for so long of the
// collector's own monotonic time, whatever the wall clock does.
func TestLeaseExpires(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		clock, wall := &handClock{}, time.Now()
		w.open(Config{Mono: clock.now, Now: func() time.Time { return wall }, Beat: time.Hour})
		wr, err := w.Create(context.Background(), CreateOptions{Project: "p", Kind: KindExact})
		if err != nil {
			t.Fatal(err)
		}
		defer wr.Abort()
		if _, err := wr.Write(randomBytes(9<<20, 1)); err != nil {
			t.Fatal(err)
		}
		// Each of the writer's transactions is a beat; wait for those on their way.
		for quiet, last := 0, int64(-1); quiet < 10; time.Sleep(30 * time.Millisecond) {
			var beat int64
			if err := db.View(context.Background(), func(tx *catalog.Tx) error {
				return tx.QueryRow(context.Background(), `SELECT beat FROM lease WHERE id = $1`, wr.Lease()).Scan(&beat)
			}); err != nil {
				t.Fatal(err)
			}
			if quiet++; beat != last {
				quiet, last = 0, beat
			}
		}
		for _, jump := range []time.Duration{0, time.Hour, -10 * 365 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
			wall = wall.Add(jump)
			if rep := w.mustCollect(CollectOptions{}); rep.Leases != 0 {
				t.Fatalf("the wall clock expired a lease:\n%s", rep)
			}
		}
		clock.at += 14 * time.Minute
		if rep := w.mustCollect(CollectOptions{}); rep.Leases != 0 {
			t.Fatalf("expired early:\n%s", rep)
		}
		if err := w.exec(`UPDATE lease SET beat = beat + 1`); err != nil { // a heartbeat
			t.Fatal(err)
		}
		clock.at += 14 * time.Minute
		if rep := w.mustCollect(CollectOptions{}); rep.Leases != 0 {
			t.Fatalf("expired in spite of its beat:\n%s", rep)
		}
		clock.at += 15 * time.Minute
		if rep := w.mustCollect(CollectOptions{}); rep.Leases != 1 || rep.Recipes.Count != 1 {
			t.Fatalf("not expired:\n%s", rep)
		}
		if _, err := wr.Commit(Digests{}, nil); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("commit without lease: %v", err)
		}
		w.mustCollect(CollectOptions{})
		w.mustCollect(CollectOptions{Audit: true})
		if n := w.blobs("pack/").Count + w.blobs("recipe/").Count; n != 0 {
			t.Errorf("%d blobs left of a writer that died", n)
		}
	})
}

func TestUploadLeaseLivesUntilItIsEnded(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	clock := &handClock{}
	w.open(Config{Mono: clock.now})
	lease := catalog.NewID()
	if err := w.db.Update(ctx, func(tx *catalog.Tx) error { return w.insertLease(ctx, tx, lease, leaseUpload) }); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		clock.at += 100 * time.Hour
		if rep := w.mustCollect(CollectOptions{}); rep.Leases != 0 {
			t.Fatalf("an upload's lease expired:\n%s", rep)
		}
	}
	if err := w.db.Update(ctx, func(tx *catalog.Tx) error { return w.EndUpload(ctx, tx, lease) }); err != nil {
		t.Fatal(err)
	}
	var state string
	if err := w.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT state FROM lease WHERE id = $1`, lease).Scan(&state)
	}); err != nil || state != "aborted" {
		t.Errorf("state %q, %v", state, err)
	}
}

// TestStaleLeader: a leader that slept while another ran whole cycles deletes
// nothing that is wanted, and stops.
func TestStaleLeader(t *testing.T) {
	points := []string{"gc.begun", "gc.epoch", "gc.compare", "gc.leases", "gc.objects", "gc.object", "gc.recipes", "gc.packs", "gc.sweep", "gc.delete", "gc.swept"}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			w := newWorld(t, catalogtest.SQLite(t))
			a, b := randomBytes(2<<20, 1), randomBytes(2<<20, 2)
			id, _ := w.mustPutImage("p", "a", a)
			_, refB := w.mustPutImage("p", "b", b)
			w.mustDelete(id)
			w.mustCollect(CollectOptions{})
			gone, _ := w.mustPutImage("p", "gone", randomBytes(1<<20, 3))
			w.mustDelete(gone) // so that each step has work
			var refA int64
			other, asleep := w.Depot, false
			stale := w.second(Config{Failpoint: func(p string) error {
				if p != point || asleep {
					return nil
				}
				asleep = true
				w.Depot = other
				w.mustCollect(CollectOptions{})
				_, refA = w.mustPutImage("p", "a again", a)
				return nil
			}})
			_, err := stale.Collect(context.Background(), CollectOptions{})
			if !asleep {
				t.Fatal("point was not reached")
			}
			if !errors.Is(err, ErrStale) && point != "gc.swept" {
				t.Errorf("stale leader went on: %v", err)
			}
			w.mustCollect(CollectOptions{})
			w.mustCollect(CollectOptions{})
			w.mustRead(refA, a)
			w.mustRead(refB, b)
			w.mustVerify()
		})
	}
}

// second opens another node on the same database and store.
func (w *world) second(cfg Config) *Depot {
	w.tb.Helper()
	cfg.DB, cfg.Store, cfg.Keys, cfg.Node, cfg.PackSize = w.db, w.store, w.keys, "second", 4<<20
	d, err := Open(context.Background(), cfg)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.tb.Cleanup(func() { _ = d.Close() })
	return d
}

// TestCrashInEveryPhase: whatever phase of collector and compaction dies,
// what lives reads back and the next cycles finish the work.
func TestCrashInEveryPhase(t *testing.T) {
	hit := map[string]bool{}
	for _, point := range []string{
		"gc.begun", "gc.epoch", "gc.compare", "gc.leases", "gc.objects", "gc.object", "gc.recipes", "gc.packs", "gc.pack", "gc.sweep",
		"gc.delete", "gc.swept", "gc.cards", "gc.end", "gc.audit",
		"compact.draining", "compact.put", "compact.sealed", "compact.root", "compact.swapped", "compact.end",
	} {
		t.Run(point, func(t *testing.T) {
			w := newWorld(t, catalogtest.SQLite(t))
			w.open(Config{PackSize: 2 << 20})
			// Every second image goes, so packs are half dead.
			var keep []int64
			var contents [][]byte
			base := randomBytes(6<<20, 99)
			for i := range 10 {
				p := append(randomBytes(200_000, uint64(i)), base[:i*300_000]...)
				id, ref := w.mustPutImage("p", "x", p)
				if i%3 != 0 {
					w.mustDelete(id)
					continue
				}
				keep, contents = append(keep, ref), append(contents, p)
			}
			w.mustCollect(CollectOptions{})
			w.open(Config{PackSize: 2 << 20, Failpoint: func(p string) error {
				if p == point {
					hit[point] = true
					return errPulled
				}
				return nil
			}})
			if id, _, err := w.putImage("p", "y", randomBytes(500_000, 77)); err == nil {
				w.mustDelete(id)
			}
			for range 2 {
				_, err := w.Collect(context.Background(), CollectOptions{Audit: true, Compact: true})
				if err != nil && !errors.Is(err, errPulled) {
					t.Fatal(err)
				}
			}
			w.open(Config{PackSize: 2 << 20})
			for i, ref := range keep {
				w.mustRead(ref, contents[i])
			}
			for range 4 {
				w.mustCollect(CollectOptions{Audit: true, Compact: true})
			}
			for i, ref := range keep {
				w.mustRead(ref, contents[i])
			}
			w.mustVerify()
			if rep := w.mustCollect(CollectOptions{}); rep.Waiting.Count+rep.Open.Count != 0 || w.blobs("pack/").Bytes != rep.Live.Bytes+rep.Garbage {
				t.Errorf("the store holds %v, the ledger says\n%s", w.blobs("pack/"), rep)
			}
		})
		if !hit[point] {
			t.Errorf("%s was not reached", point)
		}
	}
}

// TestCollectorsBegin: many collectors that begin and die at any point of the
// first two steps never take each other, or themselves, for a rollback, and
// leave no gap among the epochs.
func TestCollectorsBegin(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		var wg sync.WaitGroup
		for i := range 4 {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			d := w.second(Config{Failpoint: func(p string) error {
				if p == "gc.begun" && r.IntN(3) == 0 || p == "gc.compare" {
					return errPulled
				}
				return nil
			}})
			wg.Go(func() {
				for range 60 {
					if _, err := d.Collect(context.Background(), CollectOptions{}); !errors.Is(err, errPulled) && !errors.Is(err, ErrStale) {
						t.Errorf("collect: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		rep := w.mustCollect(CollectOptions{})
		if n := w.blobs("epoch/").Count; n != rep.Epoch-1 || rep.Epoch != 242 {
			t.Errorf("%d blobs of epochs 2 to %d", n, rep.Epoch)
		}
		w.open(Config{})
		if err := w.ReadOnly(); err != nil {
			t.Error(err)
		}
	})
}

// TestAuditFindsWhatNobodyKnows: a late Put of something deleted, and blobs
// that no row knows; those of the current epoch are left.
func TestAuditFindsWhatNobodyKnows(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	id, _ := w.mustPutImage("p", "a", randomBytes(1<<20, 1))
	_, refB := w.mustPutImage("p", "b", []byte("b"))
	copies := map[string][]byte{}
	for _, prefix := range []string{"pack/", "recipe/"} {
		for info, err := range w.store.List(ctx, prefix) {
			if err != nil {
				t.Fatal(err)
			}
			b, err := blob.Get(ctx, w.store, info.Key, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			copies[info.Key] = b
		}
	}
	w.mustDelete(id)
	w.mustCollect(CollectOptions{})
	w.mustCollect(CollectOptions{})
	returned := int64(0)
	for key, b := range copies { // what was deleted lands once more
		if err := blob.Put(ctx, w.store, key, b); err == nil {
			returned++
		}
	}
	if returned != 2 {
		t.Fatalf("%d blobs had been deleted", returned)
	}
	old := PackRef{Realm: 5, Epoch: 1, ID: catalog.NewID()}
	coming := PackRef{Realm: 5, Epoch: 1000, ID: catalog.NewID()}
	for _, p := range []PackRef{old, coming} {
		if err := blob.Put(ctx, w.store, p.Key(), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	dry := w.mustCollect(CollectOptions{DryRun: true, Audit: true})
	rep := w.mustCollect(CollectOptions{Audit: true})
	if rep.Returned != 2 || rep.Unknown.Count != 1 || dry.Returned != 2 || dry.Unknown.Count != 1 {
		t.Errorf("audit:\n%s\ndry:\n%s", rep, dry)
	}
	if _, err := w.store.Stat(ctx, old.Key()); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("unknown pack of an old epoch: %v", err)
	}
	if _, err := w.store.Stat(ctx, coming.Key()); err != nil {
		t.Errorf("unknown pack of a later epoch: %v", err)
	}
	w.mustRead(refB, []byte("b"))
}

// TestReserve: with the database full, work goes on in the reserve's room, which
// a wrapped store has, too.
func TestReserve(t *testing.T) {
	res := &reserveStore{}
	d := &Depot{store: &tamperStore{Store: res}}
	tries := 0
	err := d.InReserve(func() error {
		if tries++; !res.released {
			return fmt.Errorf("%w: no room", catalog.ErrFull)
		}
		return nil
	})
	if err != nil || tries != 2 || !res.released || !errors.Is(d.roomToWrite(), blob.ErrFull) {
		t.Errorf("%v after %d tries, uploads: %v", err, tries, d.roomToWrite())
	}
	d.refillReserve()
	if res.released || d.roomToWrite() != nil {
		t.Error("the reserve was not taken back")
	}
}

type reserveStore struct {
	blob.Store
	released bool
}

func (s *reserveStore) ReleaseReserve() error { s.released = true; return nil }
func (s *reserveStore) RefillReserve() error  { s.released = false; return nil }

// TestPackCheckIsNotLost: an edge that goes while the collector looks at the
// pack leaves the pack in the queue, whoever is first.
func TestPackCheckIsNotLost(t *testing.T) {
	for _, dropFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("drop first %t", dropFirst), func(t *testing.T) {
			ctx, db := context.Background(), catalogtest.Postgres(t)
			w := newWorld(t, db)
			id, ref := w.mustPutImage("p", "a", []byte("x"))
			if err := w.exec(`INSERT INTO pack_check SELECT id FROM pack`); err != nil {
				t.Fatal(err)
			}
			if err := w.exec(`UPDATE image SET object = 0 WHERE id = $1`, id); err != nil {
				t.Fatal(err)
			}
			var pack int64
			if err := db.View(ctx, func(tx *catalog.Tx) error {
				return tx.QueryRow(ctx, `SELECT id FROM pack`).Scan(&pack)
			}); err != nil {
				t.Fatal(err)
			}
			drop := func(tx *catalog.Tx) error { _, _, err := dropObject(ctx, tx, ref, 1); return err }
			look := func(tx *catalog.Tx) error { _, _, err := condemnPack(ctx, tx, pack, 1); return err }
			first, second := look, drop
			if dropFirst {
				first, second = drop, look
			}
			did, done := make(chan struct{}), make(chan error, 1)
			go func() {
				<-did
				done <- db.Update(ctx, second)
			}()
			err := db.Update(ctx, func(tx *catalog.Tx) error {
				if err := first(tx); err != nil {
					return err
				}
				close(did)
				time.Sleep(200 * time.Millisecond) // the second is in its transaction now
				return nil
			})
			if err := errors.Join(err, <-done); err != nil {
				t.Fatal(err)
			}
			w.mustCollect(CollectOptions{})
			w.mustCollect(CollectOptions{})
			if n := w.blobs("pack/").Count; n != 0 {
				t.Errorf("%d packs were forgotten", n)
			}
		})
	}
}

func TestCardAgain(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	c := testCard("11111111-2222", "p", "a", 0, 1, false)
	if err := w.exec(`DELETE FROM image`); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.PutCard(ctx, c), w.PutCard(ctx, c)); err != nil {
		t.Fatal(err)
	}
	other := testCard("11111111-2222", "p", "other", 0, 1, false)
	if err := w.PutCard(ctx, other); !errors.Is(err, errCardDiffers) {
		t.Errorf("another card at the same version: %v", err)
	}
	other.Version = 2
	if err := w.PutCard(ctx, other); err != nil {
		t.Fatal(err)
	}
	if n := w.blobs("card/").Count; n != 1 {
		t.Errorf("%d cards after the second version", n)
	}
	got, err := w.readCard(ctx, cardKey(other.Image, 2))
	if err != nil || !bytes.Equal(got.Record, other.Record) || got.Project != "p" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []Card{{Image: "", Version: 1}, {Image: "a/b", Version: 1}, {Image: "a", Version: 0}, {Image: "..", Version: 1}} {
		if err := w.PutCard(ctx, bad); err == nil {
			t.Errorf("card %+v was stored", bad)
		}
	}
}
