package images_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot"
	"kuva/internal/images"
)

// lose ends the process and begins a new one on an empty database, brought
// back from the store alone.
func (w *world) lose(db *catalog.DB) depot.RebuildReport {
	w.t.Helper()
	w.shut()
	w.db = db
	rep, err := depot.Rebuild(ctx, w.depotConfig(), depot.RebuildOptions{}, images.New(images.Config{DB: db, Now: w.now}).RestoreCard)
	if err != nil {
		w.t.Fatal(err)
	}
	w.open()
	return rep
}

// TestLostDatabase: everything that was acknowledged comes back from the store
// alone, with owner, name, members and bytes; what was deleted stays deleted.
func TestLostDatabase(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		fresh := catalogtest.SQLite(t)
		w := newWorld(t, db)
		content := random(2<<20, 5)
		img := w.filled(alice, images.NewImage{
			Name: "first", Tags: []string{"t"}, Properties: map[string]string{"os_distro": "debian"}, Visibility: "shared",
		}, content)
		if _, err := w.AddMember(ctx, alice, img.ID, "b"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.SetMember(ctx, bob, img.ID, "b", kuva.MemberAccepted); err != nil {
			t.Fatal(err)
		}
		queued := w.create(alice, images.NewImage{Name: "queued"})
		gone := w.filled(alice, images.NewImage{Name: "gone"}, random(1000, 6))
		if err := w.Delete(ctx, alice, gone.ID); err != nil {
			t.Fatal(err)
		}
		public := w.filled(root, images.NewImage{Name: "public", Visibility: "public"}, random(300_000, 7))
		w.set(alice, img.ID, "name", "renamed")
		if err := w.Deactivate(ctx, alice, img.ID); err != nil {
			t.Fatal(err)
		}
		w.allCards()
		before := w.show(alice, img.ID)

		rep := w.lose(fresh)
		if len(rep.Missing)+len(rep.Damaged) != 0 {
			t.Fatalf("%+v", rep)
		}
		after := w.show(alice, img.ID)
		if !after.Recovered {
			t.Error("not marked as recovered")
		}
		after.Recovered, after.Version = false, before.Version
		if !reflect.DeepEqual(before, after) {
			t.Errorf("before %+v\nafter  %+v", before, after)
		}
		if err := w.Reactivate(ctx, alice, img.ID); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(w.read(bob, img.ID), content) || len(w.read(carol, public.ID)) != 300_000 {
			t.Error("bytes differ")
		}
		if m, err := w.Member(ctx, bob, img.ID, "b"); err != nil || m.Status != kuva.MemberAccepted {
			t.Errorf("member %+v %v", m, err)
		}
		if l, err := w.List(ctx, alice, images.Query{Limit: 9, Tags: []string{"t"}, Properties: map[string]string{"os_distro": "debian"}}); err != nil || len(l) != 1 {
			t.Errorf("filters find %d: %v", len(l), err)
		}
		_, err := w.Show(ctx, alice, gone.ID)
		want(t, err, kuva.CodeNotFound)
		if _, err := w.Ingest(ctx, alice, queued.ID, images.Source{Content: strings.NewReader("late"), Size: 4}); err != nil {
			t.Error(err)
		}
		w.checkQuotas()
		w.allCards()
		w.verify()
	})
}

// verify compares cards with rows.
func (w *world) verify() {
	w.t.Helper()
	_, err := w.depot.Verify(ctx, depot.VerifyOptions{Card: w.CompareCard}, func(f depot.Finding) { w.t.Errorf("verify: %v", f) })
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestCompareCard: a row that says something else than its card is found.
func TestCompareCard(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		img := w.filled(alice, images.NewImage{Name: "true"}, []byte("x"))
		w.allCards()
		w.verify()
		for _, set := range []string{"name = 'false'", "owner = 'b'", "visibility = 'public'", "md5 = ''", "properties = '{\"a\":\"b\"}'"} {
			err := w.db.Update(ctx, func(tx *catalog.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE image SET `+set+` WHERE id = $1`, img.ID)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			if _, err := w.depot.Verify(ctx, depot.VerifyOptions{Card: w.CompareCard}, func(depot.Finding) { n++ }); err != nil || n == 0 {
				t.Errorf("%s: %d findings, %v", set, n, err)
			}
			err = w.db.Update(ctx, func(tx *catalog.Tx) error {
				_, err := tx.Exec(ctx, `UPDATE image SET name = 'true', owner = 'a', visibility = 'shared', md5 = $2, properties = '{}' WHERE id = $1`, img.ID, img.MD5)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		w.verify()
	})
}

// TestCardsFollow: a change that answers without its card has it within five
// seconds, and one that a full store kept back has it when there is room.
func TestCardsFollow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		img := w.filled(alice, images.NewImage{}, []byte("x"))
		start := time.Now()
		w.set(alice, img.ID, "name", "later")
		w.allCards()
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("the card came after %v", d)
		}
		w.verify()
	})
}

// TestStoppedAndStarted: batched counts and cards survive an orderly stop.
func TestStoppedAndStarted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		img := w.filled(alice, images.NewImage{}, []byte("x"))
		w.read(alice, img.ID)
		w.shut()
		w.open()
		if got := w.show(alice, img.ID); got.Reads != 1 {
			t.Errorf("%d reads", got.Reads)
		}
		w.verify()
	})
}

// TestNothingIsLeft: after deleting everything and collecting, the store holds
// no content, and the counters are zero.
func TestNothingIsLeft(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		img := w.filled(alice, images.NewImage{}, random(1<<20, 1))
		broken := w.create(alice, images.NewImage{})
		_, err := w.Ingest(ctx, alice, broken.ID, images.Source{Content: bytes.NewReader(random(1<<20, 2)), Size: 1<<20 + 1})
		want(t, err, kuva.CodeInvalid)
		for _, id := range []string{img.ID, broken.ID} {
			if err := w.Delete(ctx, alice, id); err != nil {
				t.Fatal(err)
			}
		}
		var rep depot.Report
		for range 4 {
			if rep, err = w.depot.Collect(ctx, depot.CollectOptions{Audit: true, Compact: true}); err != nil {
				t.Fatal(err)
			}
		}
		if rep.Live.Bytes != 0 || rep.Garbage != 0 || rep.Waiting.Count != 0 || w.store.Used() > 64<<10 {
			t.Errorf("left: %v, %d bytes in the store", rep, w.store.Used())
		}
	})
}
