package depot

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kuva/chunk"
	"kuva/internal/blob"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// scrub runs all passes but that over the database's pages.
func (w *world) scrub() (found []Finding, rep VerifyReport) {
	w.tb.Helper()
	w.segments = newSegmentCache(128)
	v := newVerifier(w.Depot, VerifyOptions{Card: compareName}, func(f Finding) { found = append(found, f) })
	if err := v.run(context.Background()); err != nil {
		w.tb.Fatal(err)
	}
	return found, *v.rep
}

// TestEveryFlipIsFound is R-08: one flipped bit anywhere in packs, recipes,
// cards and keys is found by a scrub, which blames the right blob and lists
// the images, and no read ever returns wrong bytes.
func TestEveryFlipIsFound(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	ts := &tamperStore{Store: w.store}
	w.store = ts
	w.open(Config{})
	contents := map[int64][]byte{}
	images := map[int64]string{}
	for i, p := range [][]byte{textBytes(300_000, 1), textBytes(300_000, 1)[:270_000], randomBytes(9_000, 2), nil} {
		id, ref := w.mustPutImage([]string{"p", "q"}[i/2], "x", p)
		contents[ref], images[ref] = p, id
	}
	type place struct {
		key  string
		size int64
	}
	var places []place
	total := int64(0)
	for info, err := range ts.List(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if info.Size > 0 {
			places = append(places, place{info.Key, info.Size})
			total += info.Size
		}
	}
	if found, _ := w.scrub(); len(found) != 0 {
		t.Fatalf("before any flip: %v", found)
	}
	flips := 2000
	if testing.Short() {
		flips = 200
	}
	r := rand.New(rand.NewPCG(26, 8))
	kinds := map[string]int{}
	for range flips {
		// Half by place in the store, half by blob: small blobs count, too.
		p := places[r.IntN(len(places))]
		if at := r.Int64N(total); r.IntN(2) == 0 {
			for _, p = range places {
				if at -= p.size; at < 0 {
					break
				}
			}
		}
		at, mask := r.Int64N(p.size), byte(1)<<r.IntN(8)
		ts.flip(p.key, at, mask)
		found, rep := w.scrub()
		if !slices.ContainsFunc(found, func(f Finding) bool { return f.Key == p.key }) {
			t.Errorf("bit %x at %d of %s was not found; findings: %v", mask, at, p.key, found)
		}
		kinds[p.key[:strings.IndexAny(p.key+"/", "/")]]++
		for ref, want := range contents {
			w.segments = newSegmentCache(128)
			err := w.readsBack(ref, want)
			if (err != nil) && !isDamage(err) {
				t.Errorf("%s at %d: read: %v", p.key, at, err)
			}
			// What cannot be read is on the list.
			if err != nil && !slices.Contains(rep.Images, images[ref]) {
				t.Errorf("%s at %d: image %s is affected and not listed: %v", p.key, at, images[ref], err)
			}
		}
		ts.clear()
		if err := w.exec(`UPDATE pack SET suspect = $1`, false); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d flips, all found: %v", flips, kinds)
	if found, _ := w.scrub(); len(found) != 0 {
		t.Errorf("after the flips: %v", found)
	}
}

// TestWrongChunk is S-261: whoever holds the keys may seal other bytes under a
// chunk's name; a scrub compares content and name.
func TestWrongChunk(t *testing.T) {
	w, ts, loc, name, p := tampered(t)
	keys, err := w.keysOf(context.Background(), loc.Pack.Realm, loc.Pack.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(p[:loc.Plain])
	other[0] ^= 1
	forged, err := keys.seal(nil, name, other)
	if err != nil || len(forged) != int(loc.Sealed) {
		t.Fatalf("%d bytes, %v", len(forged), err)
	}
	ts.replace(loc.Pack.Key(), int64(loc.Offset), forged)
	found, rep := w.scrub()
	if len(found) == 0 || len(rep.Images) != 1 {
		t.Errorf("findings %v, images %v", found, rep.Images)
	}
}

// tampered is a world with one image of random bytes and the place of its
// first chunk.
func tampered(t *testing.T) (*world, *tamperStore, Loc, Name, []byte) {
	w := newWorld(t, catalogtest.SQLite(t))
	ts := &tamperStore{Store: w.store}
	w.store = ts
	w.open(Config{})
	p := randomBytes(2<<20, 1)
	_, ref := w.mustPutImage("p", "x", p)
	o, err := w.OpenObject(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := w.pieceAt(context.Background(), o.current(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return w, ts, pc.entry.Loc, pc.entry.Name, p
}

// TestTamperedPacks is S-262: chunks swapped inside a pack and between
// projects, packs cut short, replaced by others and by their former selves:
// reads fail, a scrub finds each.
func TestTamperedPacks(t *testing.T) {
	ctx := context.Background()
	w, ts, loc, name, p := tampered(t)
	key := loc.Pack.Key()
	whole, err := blob.Get(ctx, ts.Store, key, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	_, theirs := w.mustPutImage("q", "x", p)
	o, err := w.OpenObject(ctx, theirs)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := w.pieceAt(ctx, o.current(), 0)
	if err != nil {
		t.Fatal(err)
	}
	their := pc.entry.Loc
	other, err := blob.Get(ctx, ts.Store, their.Pack.Key(), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	// Segments compress to about the same size, not always to the same.
	other = append(other, make([]byte, max(0, len(whole)-len(other)))...)[:len(whole)]
	second := int(loc.Offset + loc.Sealed)
	for what, tamper := range map[string]func(){
		"chunks swapped inside the pack": func() { ts.replace(key, int64(loc.Offset), whole[second:second+int(loc.Sealed)]) },
		"the same plain chunk of another project": func() {
			ts.replace(key, int64(loc.Offset), other[their.Offset:their.Offset+their.Sealed])
		},
		"another project's pack": func() { ts.replace(key, 0, other) },
		"cut short":              func() { cutShort(ts, key, int64(len(whole))-1) },
		"cut inside the chunks":  func() { cutShort(ts, key, int64(loc.Offset)+10) },
		"empty":                  func() { cutShort(ts, key, -1) },
	} {
		t.Run(what, func(t *testing.T) {
			tamper()
			defer ts.clear()
			found, rep := w.scrub()
			if !slices.ContainsFunc(found, func(f Finding) bool { return f.Key == key }) || len(rep.Lost) != 1 {
				t.Errorf("findings %v", found)
			}
			if _, err := w.openChunk(ctx, name, loc, nil, nil); what != "cut short" && !isDamage(err) {
				t.Errorf("read: %v", err)
			}
		})
	}
	// The same realm's key seals records, too: a root cannot stand at another
	// place, neither of another object nor of another generation.
	root, err := blob.Get(ctx, ts.Store, recipeOf(t, w, theirs), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	q := recipeOf(t, w, theirs)
	if _, err := w.loadRoot(ctx, q); err != nil {
		t.Fatal(err)
	}
	moved := strings.TrimSuffix(q, "1") + "2"
	if err := blob.Put(ctx, ts.Store, moved, root); err != nil {
		t.Fatal(err)
	}
	if _, err := w.loadRoot(ctx, moved); !errors.Is(err, ErrDamaged) {
		t.Errorf("a root at another generation's place: %v", err)
	}
}

func cutShort(ts *tamperStore, key string, n int64) { ts.key, ts.size = key, n }

func recipeOf(t *testing.T, w *world, ref int64) (key string) {
	t.Helper()
	err := w.db.View(context.Background(), func(tx *catalog.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT r.key FROM object o JOIN recipe r ON r.id = o.recipe WHERE o.ref = $1`, ref).Scan(&key)
	})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestNamesTellNothing is S-264: neither keys nor unsealed bytes of the store
// hold a plain hash, nor names that two projects have in common.
func TestNamesTellNothing(t *testing.T) {
	ctx, w := context.Background(), newWorld(t, catalogtest.SQLite(t))
	p := randomBytes(chunk.Size, 1)
	w.mustPutImage("p", "secret-name", p)
	w.mustPutImage("q", "secret-name", p)
	h := chunk.Sum(p)
	var names []map[Name]bool
	for info, err := range w.store.List(ctx, "") {
		if err != nil {
			t.Fatal(err)
		}
		b, err := blob.Get(ctx, w.store, info.Key, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, h[:8]) || strings.Contains(info.Key, hex.EncodeToString(h[:8])) || bytes.Contains(b, []byte("secret-name")) {
			t.Errorf("%s tells what it holds", info.Key)
		}
		if ref, ok := parsePackKey(info.Key); ok {
			ref.KeyID = 1
			entries, err := w.readPackIndex(ctx, ref)
			if err != nil {
				t.Fatal(err)
			}
			set := map[Name]bool{}
			for _, e := range entries {
				set[e.Name] = true
			}
			names = append(names, set)
		}
	}
	if len(names) != 2 {
		t.Fatalf("%d packs", len(names))
	}
	for n := range names[0] {
		if names[1][n] {
			t.Errorf("two projects name a chunk alike: %x", n)
		}
	}
}

// TestVerifyComparesRows: what changed in the database's rows alone is found
// by the cards and the roots.
func TestVerifyComparesRows(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	id, ref := w.mustPutImage("p", "name", randomBytes(1000, 1))
	id2, _ := w.mustPutImage("p", "other", randomBytes(1000, 2))
	for what, query := range map[string][2]string{
		"name":         {`UPDATE image SET name = 'nbme' WHERE id = $1`, `UPDATE image SET name = 'name' WHERE id = $1`},
		"object":       {`UPDATE image SET object = object + 1 WHERE id = $1`, `UPDATE image SET object = object - 1 WHERE id = $1`},
		"deleted":      {`UPDATE image SET deleted_at = 5 WHERE id = $1`, `UPDATE image SET deleted_at = 0 WHERE id = $1`},
		"version":      {`UPDATE image SET version = 0 WHERE id = $1`, `UPDATE image SET version = 1 WHERE id = $1`},
		"id":           {`UPDATE image SET id = 'gone' WHERE id = $1`, `UPDATE image SET id = $1 WHERE id = 'gone'`},
		"card_version": {`UPDATE image SET card_version = 2, version = 2 WHERE id = $1`, `UPDATE image SET card_version = 1, version = 1 WHERE id = $1`},
	} {
		if err := w.exec(query[0], id); err != nil {
			t.Fatal(err)
		}
		if found, _ := w.scrub(); len(found) == 0 || !slices.ContainsFunc(found, func(f Finding) bool { return slices.Contains(f.Images, id) || f.Key == "image "+id }) {
			t.Errorf("%s changed: findings %v", what, found)
		}
		if err := w.exec(query[1], id); err != nil {
			t.Fatal(err)
		}
	}
	for what, query := range map[string][2]string{
		"size":  {`UPDATE object SET size = size + 1 WHERE ref = $1`, `UPDATE object SET size = size - 1 WHERE ref = $1`},
		"edges": {`UPDATE recipe_pack SET pack = pack + 1 WHERE recipe = (SELECT recipe FROM object WHERE ref = $1)`, `UPDATE recipe_pack SET pack = pack - 1 WHERE recipe = (SELECT recipe FROM object WHERE ref = $1)`},
		"gen":   {`UPDATE recipe SET gen = 2 WHERE object = $1`, `UPDATE recipe SET gen = 1 WHERE object = $1`},
		"state": {`UPDATE recipe SET state = 'condemned' WHERE object = $1`, `UPDATE recipe SET state = 'current' WHERE object = $1`},
	} {
		if err := w.exec(query[0], ref); err != nil {
			t.Fatal(err)
		}
		if found, rep := w.scrub(); !slices.Equal(rep.Lost, []int64{ref}) || !slices.Equal(rep.Images, []string{id}) {
			t.Errorf("%s changed: lost %v of images %v (not %s), findings %v", what, rep.Lost, rep.Images, id2, found)
		}
		if err := w.exec(query[1], ref); err != nil {
			t.Fatal(err)
		}
	}
	w.mustVerify()
}

// TestVerifyListsExactlyWhoIsAffected: images that share the damaged chunk,
// and none that only share its pack.
func TestVerifyListsExactlyWhoIsAffected(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	ts := &tamperStore{Store: w.store}
	w.store = ts
	w.open(Config{})
	a := randomBytes(3<<20, 1)
	id1, ref := w.mustPutImage("p", "a", a)
	id2, _ := w.mustPutImage("p", "front", a[:1<<20])
	w.mustPutImage("p", "back", a[1<<20:])
	o, err := w.OpenObject(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	pc, err := w.pieceAt(context.Background(), o.current(), 300_000)
	if err != nil {
		t.Fatal(err)
	}
	ts.flip(pc.entry.Loc.Pack.Key(), int64(pc.entry.Loc.Offset)+50, 1)
	want := []string{id1, id2}
	slices.Sort(want)
	if _, rep := w.scrub(); !slices.Equal(rep.Images, want) {
		t.Errorf("affected %v instead of %v", rep.Images, want)
	}
}

func TestVerifyReadsEveryByteOnce(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	w.mustPutImage("p", "a", randomBytes(5<<20, 1))
	rep := w.mustVerify()
	packs := w.blobs("pack/")
	if rep.Packs != packs.Count || rep.Bytes < packs.Bytes*99/100 || rep.Objects != 1 || rep.Segments != 1 || rep.Cards != 1 || rep.Keys != 2 {
		t.Errorf("%+v of %v", rep, packs)
	}
	// A limited rate can be given up at once.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.Verify(ctx, VerifyOptions{Rate: 1}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
