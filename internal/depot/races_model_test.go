package depot

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// The interleavings that break naive versions of the protocol, driven on the
// real code: one node stands still at an event while another goes on. That each
// naive variant does fail by them is shown twice: in the model (package
// protocol, TestNaiveVariants) and, for some that are one line of the code, on
// the code itself (TestNaiveCode, which runs these tests on a changed copy).
//
//	lease without looking at the state   TestRaces/lease a condemned pack; TestGuardsAgainstEachOther
//	condemn from an earlier snapshot     TestGuardsAgainstEachOther (needs PostgreSQL), catalog's guard_test
//	commit or swap without fence         TestRaces/commit after the lease, .../swap after the lease
//	condemned pack may be revived        TestRaces/delete decided, then written again
//	compactor condemns its victim        TestRaces/compaction under a writer
//	pack row inserted after Put          TestRaces/audit between put and seal, .../crash after put
//	retry seals again                    TestRaces/late put
//	2xx before the card, card before tx  TestModel: rebuild from the store after random crashes
//	delete = only delete the cards       TestRaces/ledger lost after a delete
//	reader keeps its generation          TestRaces/reader over a swap
//	no epoch rule                        TestRaces/condemned, then restored
//	roots in one step                    TestRaces/swapped, then restored
//	no card comparison                   TestRollbackWithinOneCycle, TestModel's restores
//	epoch gap, tomb at once              TestCrashInEveryPhase, TestDeleteIsRememberedByTheStore

// at has f run once when the first node passes the named event.
func (y *yard) at(name string, f func()) {
	y.plug.mu.Lock()
	defer y.plug.mu.Unlock()
	y.plug.named = map[string]func(){name: f}
}

var raceContent = []int{1, 4, 9, 11}

func TestRaces(t *testing.T) {
	y := newYard(t)
	other := func(opt CollectOptions) {
		t.Helper()
		if _, err := y.other().Collect(context.Background(), opt); err != nil {
			t.Fatalf("second node: %v", err)
		}
	}
	first := func() *modelImage {
		y.must(y.put(y.Depot, "p", "first", raceContent, 0))
		y.settleRows()
		return y.images[0]
	}
	gone := func(m *modelImage) {
		y.must(y.change(y.other(), m, modelState{deleted: true}))
		m.row, m.pending = m.row+1, 0 // others are under way: rows are looked at later
	}
	// again stores the same content and wants it whole after three cycles.
	stays := func() {
		t.Helper()
		y.check()
		for range 3 {
			y.mustCollect(CollectOptions{Audit: true})
		}
		y.check()
		y.checkBytes(y.Depot)
		y.quiesce(true)
	}
	for _, c := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"lease a condemned pack", func(t *testing.T) {
			m := first()
			passed := false
			y.at("read pack", func() { // the hook was found, its segment is being read; nothing is leased
				passed = true
				gone(m)
				other(CollectOptions{})
			})
			y.must(y.put(y.Depot, "p", "again", raceContent, 0))
			if !passed {
				t.Fatal("the writer found no hook")
			}
			stays()
		}},
		{"refer to a condemned pack", func(t *testing.T) {
			m := first()
			o, err := y.OpenObject(t.Context(), m.ref)
			y.must(err)
			gone(m)
			other(CollectOptions{})
			// Condemned, and there still: it is read and stored anew.
			again := y.newImage("p", "again", raceContent)
			y.must(y.fill(y.Depot, again, "again", 0, func(wr *Writer) error { return wr.Append(o, 0, o.Size()) }))
			// A name is found or not, never in a condemned pack.
			for range 2 {
				other(CollectOptions{})
			}
			stays()
		}},
		{"refer over a swap", func(t *testing.T) {
			m := first()
			o, err := y.OpenObject(t.Context(), m.ref)
			y.must(err)
			y.must(y.put(y.Depot, "p", "other", []int{1, 4}, 0))
			y.settleRows()
			again := y.newImage("p", "again", raceContent)
			y.must(y.fill(y.Depot, again, "again", 0, func(wr *Writer) error {
				for range 3 { // the generation that o holds goes, with its packs
					if _, err := y.other().Collect(t.Context(), CollectOptions{Compact: true}); err != nil {
						return err
					}
				}
				return wr.Append(o, 0, o.Size())
			}))
			stays()
		}},
		{"delete decided, then written again", func(t *testing.T) {
			m := first()
			gone(m)
			y.mustCollect(CollectOptions{})
			done := false
			y.at("gc.delete", func() {
				y.must(y.put(y.other(), "p", "again", raceContent, 0))
				done = true
			})
			y.mustCollect(CollectOptions{})
			if !done {
				t.Fatal("nothing was deleted")
			}
			stays()
		}},
		{"commit after the lease", func(t *testing.T) {
			m := first()
			y.at("root.put", func() {
				gone(m)
				other(CollectOptions{})
				y.clock.at += 20 * time.Minute
				for range 3 {
					other(CollectOptions{})
				}
			})
			if err := y.put(y.Depot, "p", "again", raceContent, 0); !errors.Is(err, ErrLeaseLost) {
				t.Errorf("commit over an expired lease: %v", err)
			}
			stays()
		}},
		{"swap after the lease", func(t *testing.T) {
			y.begin()
			done := false
			y.at("compact.root", func() {
				done = true
				other(CollectOptions{})
				y.clock.at += 20 * time.Minute
				for range 3 {
					other(CollectOptions{})
				}
			})
			if _, err := y.Compact(context.Background()); !errors.Is(err, ErrLeaseLost) {
				t.Errorf("swap over an expired lease: %v (got there: %t)", err, done)
			}
			stays()
		}},
		{"compaction under a writer", func(t *testing.T) {
			y.begin()
			same := y.images[1]
			done := false
			y.at("root.put", func() { // the writer has leased what it shares
				done = true
				if same.live() {
					gone(same)
				}
				for range 3 {
					other(CollectOptions{Compact: true})
				}
			})
			y.must(y.put(y.Depot, "p", "again", same.content, 0))
			if !done {
				t.Fatal("not reached")
			}
			stays()
		}},
		{"writer commits while the compactor copies", func(t *testing.T) {
			y.begin()
			same := y.images[1]
			done := false
			y.at("compact.draining", func() {
				done = true
				y.must(y.put(y.other(), "p", "again", same.content, 0))
			})
			if _, err := y.Compact(context.Background()); err != nil || !done {
				t.Fatalf("%v, %t", err, done)
			}
			stays()
		}},
		{"audit between put and seal", func(t *testing.T) {
			y.at("pack.put", func() { other(CollectOptions{Audit: true}); other(CollectOptions{Audit: true}) })
			y.must(y.put(y.Depot, "p", "a", raceContent, 0))
			stays()
		}},
		{"crash after put", func(t *testing.T) {
			y.at("put pack done", func() {
				y.plug.mu.Lock()
				y.plug.cut = true
				y.plug.mu.Unlock()
			})
			if err := y.put(y.Depot, "p", "a", raceContent, 0); err == nil {
				t.Fatal("no crash")
			}
			y.settleRows()
			y.recover(0)
			stays()
		}},
		{"late put", func(t *testing.T) {
			y.mem.Next(mem.CommitLate(40))
			if err := y.put(y.Depot, "p", "a", raceContent, 0); err == nil {
				t.Fatal("the put did not fail")
			}
			y.must(y.put(y.Depot, "p", "a", raceContent, 0))
			y.mem.Settle()
			stays()
		}},
		{"ledger lost after a delete", func(t *testing.T) {
			m := first()
			y.must(y.put(y.Depot, "p", "same content", raceContent, 0))
			gone(m)
			y.checkRebuild()
			y.mustCollect(CollectOptions{})
			y.checkRebuild()
			y.mustCollect(CollectOptions{})
			y.checkRebuild()
			stays()
		}},
		{"reader over a swap", func(t *testing.T) {
			y.begin()
			same := y.images[1]
			o, err := y.OpenObject(context.Background(), same.ref)
			if err != nil {
				t.Fatal(err)
			}
			want, got := contentBytes(same.content), make([]byte, len(contentBytes(same.content)))
			if _, err := o.ReadAt(got[:10], 0); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				other(CollectOptions{Compact: true})
			}
			y.segments = newSegmentCache(128)
			if _, err := o.ReadAt(got, 0); err != nil || !slices.Equal(got, want) {
				t.Errorf("read on over a swap: %v", err)
			}
			stays()
		}},
		{"condemned, then restored", func(t *testing.T) {
			m := first()
			y.takeCopy()
			gone(m)
			y.mustCollect(CollectOptions{}) // condemns; nothing is deleted yet
			y.mustCollect(CollectOptions{})
			y.rollBack(false)
			stays()
		}},
		{"swapped, then restored", func(t *testing.T) {
			y.begin()
			y.takeCopy()
			if rep, err := y.Compact(context.Background()); err != nil || rep.Objects == 0 {
				t.Fatalf("%+v, %v", rep, err)
			}
			y.mustCollect(CollectOptions{}) // condemns what the copy points at, no more
			y.restored = func() { y.checkBytes(y.Depot) }
			y.rollBack(true)
			stays()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			y.reset(t, 1)
			c.run(t)
		})
	}
}

// TestGuardsAgainstEachOther is the guard rule between two open transactions of
// the real statements, in both orders: either the lease is refused or the pack
// stays.
func TestGuardsAgainstEachOther(t *testing.T) {
	for _, leaseFirst := range []bool{true, false} {
		ctx, db := context.Background(), catalogtest.Postgres(t)
		w := newWorld(t, db)
		w.put("p", []byte("x"))
		w.must(w.exec(`DELETE FROM recipe_pack`))
		var pack int64
		w.must(db.View(ctx, func(tx *catalog.Tx) error { return tx.QueryRow(ctx, `SELECT id FROM pack`).Scan(&pack) }))
		var leased, condemned bool
		lease := func(tx *catalog.Tx) error {
			var err error
			leased, err = lease1Pack(ctx, tx, 1, pack)
			return err
		}
		condemn := func(tx *catalog.Tx) error {
			var err error
			_, condemned, err = condemnPack(ctx, tx, pack, 5)
			return err
		}
		one, two := condemn, lease
		if leaseFirst {
			one, two = lease, condemn
		}
		did, done := make(chan struct{}), make(chan error, 1)
		go func() {
			<-did
			done <- db.Update(ctx, two)
		}()
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			if err := one(tx); err != nil {
				return err
			}
			close(did)
			time.Sleep(200 * time.Millisecond) // the other waits for the row by now
			return nil
		})
		w.must(errors.Join(err, <-done))
		if leased == condemned {
			t.Errorf("lease first %t: leased %t, condemned %t", leaseFirst, leased, condemned)
		}
	}
}

func (w *world) must(err error) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatal(err)
	}
}
