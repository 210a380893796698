package depot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kuva/internal/blob"
	"kuva/internal/blob/dir"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

func (w *world) config() Config {
	return Config{DB: w.db, Store: w.store, Keys: w.keys, Node: "test", PackSize: 4 << 20}
}

// fileWorld is a world whose database and store can be copied and put back.
type fileWorld struct {
	*world
	base string
}

func newFileWorld(t *testing.T) *fileWorld {
	w := &fileWorld{&world{tb: t, keys: newTestKeys()}, t.TempDir()}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *fileWorld) start() {
	w.tb.Helper()
	w.startUnopened()
	w.open(Config{})
}

func (w *fileWorld) startUnopened() {
	w.tb.Helper()
	err := os.MkdirAll(filepath.Join(w.base, "db"), 0o700)
	if err != nil {
		w.tb.Fatal(err)
	}
	if w.db, err = catalog.Open(context.Background(), catalog.Config{DSN: "sqlite:" + filepath.Join(w.base, "db", "catalog.db"), NoSync: true}); err != nil {
		w.tb.Fatal(err)
	}
	s, err := dir.Open(dir.Config{Dir: filepath.Join(w.base, "store"), Reserve: -1})
	if err != nil {
		w.tb.Fatal(err)
	}
	w.store = s
}

func (w *fileWorld) stop() {
	if w.Depot != nil {
		_ = w.Depot.Close()
		w.Depot = nil
	}
	if w.db != nil {
		_ = w.db.Close()
		w.db = nil
	}
	if c, ok := w.store.(interface{ Close() error }); ok {
		_ = c.Close()
		w.store = nil
	}
}

// backup copies "db" or "store"; restore puts the copy in its place.
func (w *fileWorld) backup(what string) {
	w.tb.Helper()
	w.stop()
	w.copy(what, what+".copy")
	w.start()
}

func (w *fileWorld) restore(what string) {
	w.tb.Helper()
	w.stop()
	w.copy(what+".copy", what)
	w.startUnopened()
}

func (w *fileWorld) copy(from, to string) {
	w.tb.Helper()
	if err := os.RemoveAll(filepath.Join(w.base, to)); err != nil {
		w.tb.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(w.base, to), os.DirFS(filepath.Join(w.base, from))); err != nil {
		w.tb.Fatal(err)
	}
}

type imageState struct {
	id, name string
	object   int64
	deleted  bool
}

func (w *world) images() []imageState {
	w.tb.Helper()
	var all []imageState
	err := w.db.View(context.Background(), func(tx *catalog.Tx) error {
		all = nil
		rows, err := tx.Query(context.Background(), `SELECT id, name, object, deleted_at FROM image ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s imageState
			var deleted int64
			if err := rows.Scan(&s.id, &s.name, &s.object, &deleted); err != nil {
				return err
			}
			if s.deleted = deleted != 0; s.deleted {
				s.name, s.object = "", 0
			}
			all = append(all, s)
		}
		return rows.Err()
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	return all
}

func (w *world) live() []imageState {
	return slices.DeleteFunc(w.images(), func(s imageState) bool { return s.deleted })
}

func (w *world) rename(id, name string) {
	w.tb.Helper()
	var version, object int64
	var project string
	err := w.db.Update(context.Background(), func(tx *catalog.Tx) error {
		if err := tx.QueryRow(context.Background(), `SELECT version + 1, object, owner FROM image WHERE id = $1`, id).Scan(&version, &object, &project); err != nil {
			return err
		}
		_, err := tx.Exec(context.Background(), `UPDATE image SET name = $2, version = $3 WHERE id = $1`, id, name, version)
		return err
	})
	if err == nil {
		err = w.putCard(testCard(id, project, name, object, version, false))
	}
	if err != nil {
		w.tb.Fatal(err)
	}
}

// TestRebuild is R-11: the database is gone; images with names, content and
// shared chunks come back, deleted ones do not, and the depot goes on.
func TestRebuild(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx, w := context.Background(), newWorld(t, db)
		a, b := randomBytes(9<<20, 1), append(randomBytes(9<<20, 1)[:4<<20], randomBytes(2<<20, 2)...)
		contents := map[int64][]byte{}
		idA, refA := w.mustPutImage("p", "a", a)
		_, refB := w.mustPutImage("p", "b", b)
		_, refC := w.mustPutImage("", "public", b)
		_, refD := w.mustPutImage("q", "d", b) // shares with the platform
		gone, _ := w.mustPutImage("q", "gone", randomBytes(3<<20, 4))
		older, _ := w.mustPutImage("q", "older", randomBytes(3<<20, 5))
		_, refE := w.mustPutImage("q", "empty", nil)
		contents[refA], contents[refB], contents[refC], contents[refD], contents[refE] = a, b, b, b, nil
		w.mustDelete(older)
		w.mustCollect(CollectOptions{})
		w.mustCollect(CollectOptions{Compact: true})
		w.rename(idA, "renamed")
		w.mustDelete(gone)
		// An upload that is open when it happens.
		wr, err := w.Create(ctx, CreateOptions{Project: "p", Kind: KindExact})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wr.Write(randomBytes(13<<20, 9)); err != nil {
			t.Fatal(err)
		}
		want := w.live()
		_ = w.Close()

		w.db = catalogtest.SQLite(t)
		if db.Dialect() == catalog.PostgreSQL {
			w.db = catalogtest.Postgres(t)
		}
		if _, err := Open(ctx, w.config()); err == nil || !strings.Contains(err.Error(), "kuva depot rebuild") {
			t.Fatalf("opened with an empty database over a full store: %v", err)
		}
		rep, err := Rebuild(ctx, w.config(), RebuildOptions{}, restoreImage)
		if err != nil {
			t.Fatal(err)
		}
		if rep.Images != 5 || len(rep.Missing)+len(rep.Damaged) != 0 || rep.Hooks == 0 {
			t.Errorf("%+v", rep)
		}
		if got := w.images(); !slices.Equal(got, want) {
			t.Errorf("came back:\n%v\ninstead of\n%v", got, want)
		}
		wr.Abort()
		if _, err := Rebuild(ctx, w.config(), RebuildOptions{}, restoreImage); err == nil {
			t.Error("a second rebuild over a full database")
		}
		w.Depot = nil
		w.open(Config{})
		if err := w.ReadOnly(); err != nil {
			t.Fatal(err)
		}
		for ref, p := range contents {
			w.mustRead(ref, p)
		}
		w.mustVerify()
		if o := w.put("p", a); o.Fresh > 9<<20/100 {
			t.Errorf("a copy stored %d bytes anew: no hooks", o.Fresh)
		}
		for range 3 {
			w.mustCollect(CollectOptions{Audit: true})
		}
		if got := w.live(); !slices.Equal(got, want) {
			t.Errorf("after the collector:\n%v\ninstead of\n%v", got, want)
		}
		for ref, p := range contents {
			w.mustRead(ref, p)
		}
		w.mustVerify()
		if n, limit := w.blobs("pack/").Bytes, int64(len(a)+len(b)*2)+1<<18; n > limit {
			t.Errorf("%d bytes in the store, %d wanted", n, limit)
		}
	})
}

// TestRebuildNamesTheKey: a wrapping key that is not there is an error that
// names it; one that nothing needs is not missed.
func TestRebuildNamesTheKey(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	w.mustPutImage("p", "a", randomBytes(1000, 1))
	unused, err := w.keys.Create(ctx)
	if err != nil {
		t.Fatal(err)
	}
	k := keyBlob{Realm: 77, Kind: realmProject, Project: "p", KeyID: 1, WrapNo: 1, WrappingKey: unused}
	if k.Wrapped, err = w.keys.Wrap(ctx, unused, make([]byte, 64), k.bound()); err != nil {
		t.Fatal(err)
	}
	putJSON(t, w.store, keyKey(77, 1, 1), &k) // of the node that lost the race for the realm
	if err := w.keys.Destroy(ctx, unused); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	w.db = catalogtest.SQLite(t)
	if _, err := Rebuild(ctx, w.config(), RebuildOptions{}, restoreImage); err != nil {
		t.Fatalf("an unused realm's key is missed: %v", err)
	}
	var used string
	if err := w.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT wrapping_key FROM realm WHERE project = 'p'`).Scan(&used)
	}); err != nil || used == unused {
		t.Fatalf("realm with key %s, %v", used, err)
	}
	if err := w.keys.Destroy(ctx, used); err != nil {
		t.Fatal(err)
	}
	w.db = catalogtest.SQLite(t)
	_, err = Rebuild(ctx, w.config(), RebuildOptions{}, restoreImage)
	if !errors.Is(err, ErrKeyGone) || !strings.Contains(err.Error(), used) {
		t.Errorf("without the key: %v", err)
	}
}

// TestRebuildReportsDamage: what is damaged or missing is reported, all else
// comes back.
func TestRebuildReportsDamage(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	ts := &tamperStore{Store: w.store}
	w.store = ts
	w.open(Config{})
	id, ref := w.mustPutImage("p", "a", randomBytes(1000, 1))
	other, _ := w.mustPutImage("p", "b", randomBytes(1000, 2))
	for _, c := range []struct {
		what    string
		tamper  func()
		missing []string
		damaged int
		images  int64
	}{
		{"nothing", func() {}, nil, 0, 2},
		{"card", func() { ts.flip(cardKey(id, 1), 60, 1) }, nil, 1, 1},
		{"root", func() { ts.flip(recipeKeyOf(t, w, ref), 60, 1) }, []string{id}, 1, 2},
	} {
		c.tamper()
		w.db = catalogtest.SQLite(t)
		rep, err := Rebuild(ctx, w.config(), RebuildOptions{}, restoreImage)
		if err != nil || !slices.Equal(rep.Missing, c.missing) || len(rep.Damaged) != c.damaged || rep.Images != c.images {
			t.Errorf("%s: %+v, %v", c.what, rep, err)
		}
		if !slices.ContainsFunc(w.live(), func(s imageState) bool { return s.id == other && s.object != 0 }) {
			t.Errorf("%s: the other image did not come back", c.what)
		}
		ts.clear()
	}
}

func recipeKeyOf(t *testing.T, w *world, ref int64) string {
	t.Helper()
	for info, err := range w.store.List(context.Background(), "recipe/") {
		if err != nil {
			t.Fatal(err)
		}
		if _, o, _, ok := parseRecipeKey(info.Key); ok && o == ref {
			return info.Key
		}
	}
	t.Fatal("no recipe")
	return ""
}

// TestDatabaseRolledBack is S-265: an older copy of the database was restored
// while the store moved on. The depot opens read-only, the collector refuses,
// and a merge brings everything acknowledged back.
func TestDatabaseRolledBack(t *testing.T) {
	ctx, w := context.Background(), newFileWorld(t)
	a, b := randomBytes(12<<20, 1), randomBytes(2<<20, 2)
	idA, _ := w.mustPutImage("p", "a", a)
	_, refKeep := w.mustPutImage("p", "keep", a[:1<<20])
	idLater, refLater := w.mustPutImage("p", "later", randomBytes(100_000, 6))
	w.mustCollect(CollectOptions{})
	w.backup("db")
	_, refB := w.mustPutImage("p", "b", append(append([]byte{}, a[:1<<20]...), b...))
	_, refQ := w.mustPutImage("q", "in a realm made since", b)
	w.rename(idLater, "renamed")
	w.mustDelete(idA)
	for range 3 { // a's packs go, keep gets a new generation, its old root goes
		w.mustCollect(CollectOptions{Compact: true})
	}
	want := w.live()
	w.restore("db")
	w.open(Config{})
	if err := w.ReadOnly(); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("an older database was opened: %v", err)
	}
	before := w.blobs("")
	if _, err := w.Collect(ctx, CollectOptions{Audit: true}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("collect: %v", err)
	}
	if _, err := w.tryPut("p", b); !errors.Is(err, ErrReadOnly) {
		t.Errorf("write: %v", err)
	}
	if err := w.PutCard(ctx, testCard("x", "p", "x", 0, 1, false)); !errors.Is(err, ErrReadOnly) {
		t.Errorf("card: %v", err)
	}
	if now := w.blobs(""); now != before {
		t.Errorf("the store changed: %v, %v", before, now)
	}
	w.mustRead(refLater, randomBytes(100_000, 6))
	_ = w.Close()
	w.Depot = nil
	rep, err := Rebuild(ctx, w.config(), RebuildOptions{Merge: true}, restoreImage)
	if err != nil || len(rep.Missing)+len(rep.Damaged) != 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	w.open(Config{})
	if err := w.ReadOnly(); err != nil {
		t.Fatal(err)
	}
	if got := w.live(); !slices.Equal(got, want) {
		t.Errorf("merged:\n%v\ninstead of\n%v\n%+v", got, want, rep)
	}
	check := func() {
		t.Helper()
		w.mustRead(refKeep, a[:1<<20])
		w.mustRead(refB, append(append([]byte{}, a[:1<<20]...), b...))
		w.mustRead(refQ, b)
		w.mustRead(refLater, randomBytes(100_000, 6))
		w.mustVerify()
	}
	check()
	for range 4 {
		w.mustCollect(CollectOptions{Audit: true, Compact: true})
	}
	check()
	if n := w.blobs("pack/").Bytes; n > 6<<20 {
		t.Errorf("%d bytes in the store", n)
	}
	// The same copy once more is found out again.
	w.restore("db")
	w.open(Config{})
	if err := w.ReadOnly(); !errors.Is(err, ErrReadOnly) {
		t.Errorf("the copy from before the merge was opened: %v", err)
	}
}

// TestRollbackWithinOneCycle: no epoch tells, the cards do (step 3).
func TestRollbackWithinOneCycle(t *testing.T) {
	ctx, w := context.Background(), newFileWorld(t)
	p := randomBytes(2<<20, 1)
	idA, _ := w.mustPutImage("p", "a", p)
	w.mustCollect(CollectOptions{})
	w.backup("db")
	_, refB := w.mustPutImage("p", "b", p) // shares a's packs
	w.mustDelete(idA)
	w.restore("db")
	w.open(Config{})
	if err := w.ReadOnly(); err != nil {
		t.Fatalf("this rollback leaves no trace in the epochs: %v", err)
	}
	if _, err := w.Collect(ctx, CollectOptions{}); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("collect over forgotten images: %v", err)
	}
	_ = w.Close()
	w.Depot = nil
	if rep, err := Rebuild(ctx, w.config(), RebuildOptions{Merge: true}, restoreImage); err != nil || rep.Images != 1 || rep.Deleted != 1 {
		t.Fatalf("%+v, %v", rep, err)
	}
	w.open(Config{})
	for range 3 {
		w.mustCollect(CollectOptions{Audit: true})
	}
	w.mustRead(refB, p)
	w.mustVerify()
}

// TestDeleteIsRememberedByTheStore: the database forgot a delete whose cards
// and blobs are gone altogether.
func TestDeleteIsRememberedByTheStore(t *testing.T) {
	ctx, w := context.Background(), newFileWorld(t)
	id, _ := w.mustPutImage("p", "a", randomBytes(100_000, 1))
	queued := "33333333-queued"
	if err := w.db.Update(ctx, func(tx *catalog.Tx) error { return insertImage(ctx, tx, queued, "p", "queued", 0, 1, 0, 0) }); err != nil {
		t.Fatal(err)
	}
	w.backup("db")
	w.mustDelete(id)
	for range 4 {
		w.mustCollect(CollectOptions{})
	}
	if n := w.blobs("card/").Count; n != 0 {
		t.Fatalf("%d cards left", n)
	}
	w.restore("db")
	rep, err := Rebuild(ctx, w.config(), RebuildOptions{Merge: true}, restoreImage)
	if err != nil || !slices.Equal(rep.Vanished, []string{id}) {
		t.Fatalf("%+v, %v", rep, err)
	}
	w.open(Config{})
	if got := w.live(); len(got) != 1 || got[0].id != queued {
		t.Errorf("live: %v", got)
	}
	for range 3 {
		w.mustCollect(CollectOptions{Audit: true})
	}
	w.mustVerify()
}

// TestStoreRolledBack is the reverse: an older copy of the store came back.
func TestStoreRolledBack(t *testing.T) {
	ctx, w := context.Background(), newFileWorld(t)
	p := randomBytes(1<<20, 1)
	_, refA := w.mustPutImage("p", "a", p)
	w.mustCollect(CollectOptions{})
	w.backup("store")
	lost, refB := w.mustPutImage("p", "b", randomBytes(1<<20, 2))
	for range epochsMissing {
		w.mustCollect(CollectOptions{})
	}
	w.restore("store")
	w.open(Config{})
	if err := w.ReadOnly(); !errors.Is(err, ErrReadOnly) {
		t.Fatalf("an older store was opened: %v", err)
	}
	if _, err := w.Collect(ctx, CollectOptions{}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("collect: %v", err)
	}
	w.mustRead(refA, p)
	_ = w.Close()
	w.Depot = nil
	rep, err := Rebuild(ctx, w.config(), RebuildOptions{Merge: true}, restoreImage)
	if err != nil || !slices.Equal(rep.Missing, []string{lost}) || len(rep.Vanished) != 0 {
		t.Fatalf("%+v, %v", rep, err)
	}
	w.open(Config{})
	if err := w.ReadOnly(); err != nil {
		t.Fatal(err)
	}
	w.mustRead(refA, p)
	if err := w.readsBack(refB, nil); err == nil {
		t.Error("the lost image reads")
	}
	w.mustCollect(CollectOptions{Audit: true})
	w.mustRead(refA, p)
}

// TestRebuildCrash: a rebuild that died is run again.
func TestRebuildCrash(t *testing.T) {
	for _, point := range []string{"rebuild.realms", "rebuild.objects", "rebuild.images"} {
		ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
		_, ref := w.mustPutImage("p", "a", []byte("content"))
		want := w.live()
		w.db = catalogtest.SQLite(t)
		cfg := w.config()
		cfg.Failpoint = func(p string) error {
			if p == point {
				return errPulled
			}
			return nil
		}
		if _, err := Rebuild(ctx, cfg, RebuildOptions{}, restoreImage); !errors.Is(err, errPulled) {
			t.Fatalf("%s: %v", point, err)
		}
		if _, err := Open(ctx, w.config()); err == nil {
			t.Fatalf("%s: half a rebuild was opened", point)
		}
		if _, err := Rebuild(ctx, w.config(), RebuildOptions{}, restoreImage); err != nil {
			t.Fatalf("%s: %v", point, err)
		}
		w.open(Config{})
		if got := w.live(); !slices.Equal(got, want) {
			t.Errorf("%s: %v instead of %v", point, got, want)
		}
		w.mustRead(ref, []byte("content"))
		w.mustVerify()
	}
}

// BenchmarkRebuild gives images a minute; R-11 asks for 50,000 of small ones.
func BenchmarkRebuild(b *testing.B) {
	ctx, w := context.Background(), newWorld(b, catalogtest.SQLite(b))
	const images = 2000
	for i := range images {
		w.mustPutImage("p", fmt.Sprint(i), fmt.Appendf(nil, "content %d", i))
	}
	start, n := time.Now(), 0
	for b.Loop() {
		w.db = catalogtest.SQLite(b)
		rep, err := Rebuild(ctx, w.config(), RebuildOptions{}, restoreImage)
		if err != nil || rep.Images != images {
			b.Fatalf("%+v, %v", rep, err)
		}
		n += images
	}
	b.ReportMetric(float64(n)/time.Since(start).Minutes(), "images/min")
}

func putJSON(t *testing.T, s blob.Store, key string, k *keyBlob) {
	t.Helper()
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	if err := blob.Put(context.Background(), s, key, b); err != nil {
		t.Fatal(err)
	}
}
