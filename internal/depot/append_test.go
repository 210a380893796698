package depot

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"kuva/chunk"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// composed writes an object by a program and returns what came of it.
func (w *world) composed(project string, program func(wr *Writer) error) (ObjectInfo, error) {
	wr, err := w.Create(context.Background(), CreateOptions{Project: project, Kind: KindDisk})
	if err != nil {
		return ObjectInfo{}, err
	}
	defer wr.Abort()
	if err := program(wr); err != nil {
		return ObjectInfo{}, err
	}
	return wr.Commit(Digests{}, nil)
}

func (w *world) mustCompose(project string, program func(wr *Writer) error) ObjectInfo {
	w.tb.Helper()
	o, err := w.composed(project, program)
	if err != nil {
		w.tb.Fatal(err)
	}
	return o
}

func (w *world) mustOpen(ref int64) *Object {
	w.tb.Helper()
	o, err := w.OpenObject(context.Background(), ref)
	if err != nil {
		w.tb.Fatal(err)
	}
	return o
}

func namesOf(p []byte) (names []Named) {
	c := chunk.Cutter{Emit: func(p chunk.Piece) error {
		if p.Data != nil {
			names = append(names, Named{chunk.Sum(p.Data), int(p.Len)})
		}
		return nil
	}}
	_, _ = c.Write(p)
	_ = c.Cut()
	return names
}

// TestAppendCostsNothing: whole objects, one behind the other, cost a recipe,
// and the segments of the first are referred to as they are.
func TestAppendCostsNothing(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		a, b := randomBytes(300*chunk.Size+777, 1), randomBytes(3*chunk.Size+1, 2)
		w.open(Config{PackSize: 4 << 20})
		first, second := w.put("p", a), w.put("p", b)
		got := w.mustCompose("p", func(wr *Writer) error {
			return errors.Join(
				wr.Append(w.mustOpen(first.Ref), 0, int64(len(a))),
				wr.Append(w.mustOpen(second.Ref), 0, int64(len(b))),
			)
		})
		w.mustRead(got.Ref, slices.Concat(a, b))
		if got.Fresh > 20_000 || got.Stored < first.Stored {
			t.Errorf("stored %d bytes anew, of %d", got.Fresh, got.Stored)
		}
		copied := w.mustCompose("p", func(wr *Writer) error { return wr.Append(w.mustOpen(first.Ref), 0, int64(len(a))) })
		if copied.Fresh != 0 || copied.Stored != first.Stored {
			t.Errorf("a copy stored %d bytes anew, has %d of %d", copied.Fresh, copied.Stored, first.Stored)
		}
	})
}

// TestAppendedIsFound: an object that was put together of parts has the hooks
// that it would have if it had been written, so it is found when they are gone.
func TestAppendedIsFound(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	p := randomBytes(400*chunk.Size, 1)
	half := w.put("p", p[:len(p)/2]).Ref
	rest := w.put("p", p[len(p)/2:]).Ref
	var whole ObjectInfo
	wr, err := w.Create(t.Context(), CreateOptions{Project: "p", Kind: KindDisk})
	if err != nil {
		t.Fatal(err)
	}
	defer wr.Abort()
	for _, ref := range []int64{half, rest} {
		if err := wr.Append(w.mustOpen(ref), 0, int64(len(p)/2)); err != nil {
			t.Fatal(err)
		}
	}
	if whole, err = wr.Commit(Digests{}, func(tx *catalog.Tx, o ObjectInfo) error { return w.Pin(t.Context(), tx, o.Ref, "me") }); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.mustCollect(CollectOptions{})
	}
	if _, err := w.OpenObject(t.Context(), half); err == nil {
		t.Fatal("the part is still there")
	}
	w.mustRead(whole.Ref, p)
	if again := w.put("p", p); again.Fresh > 20_000 {
		t.Errorf("stored %d bytes again", again.Fresh)
	}
	var hooks, want int
	o := w.mustOpen(whole.Ref).current()
	want = 8 * (len(o.Segments) - 1)
	if err := w.db.View(t.Context(), func(tx *catalog.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM hook WHERE object = $1`, whole.Ref).Scan(&hooks)
	}); err != nil || hooks < max(8, want) {
		t.Errorf("%d hooks for %d segments: %v", hooks, len(o.Segments), err)
	}
}

// TestAppendWhatMayNotBeReferredTo: chunks in suspect packs, of another
// project's realm, under an older key, are read and stored anew.
func TestAppendWhatMayNotBeReferredTo(t *testing.T) {
	p := randomBytes(40*chunk.Size+5, 1)
	cases := map[string]struct {
		project string
		spoil   func(w *world) string
	}{
		"suspect":         {"p", func(*world) string { return `UPDATE pack SET suspect = TRUE` }},
		"draining":        {"p", func(*world) string { return `UPDATE pack SET state = 'draining'` }},
		"another project": {"q", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, catalogtest.SQLite(t))
			o := w.put("p", p)
			if c.spoil != nil {
				if err := w.db.Update(t.Context(), func(tx *catalog.Tx) error {
					_, err := tx.Exec(t.Context(), c.spoil(w))
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			got := w.mustCompose(c.project, func(wr *Writer) error { return wr.Append(w.mustOpen(o.Ref), 0, int64(len(p))) })
			w.mustRead(got.Ref, p)
			if got.Fresh < int64(len(p)) {
				t.Errorf("stored %d bytes of %d", got.Fresh, len(p))
			}
			var of []int64
			if err := w.db.View(t.Context(), func(tx *catalog.Tx) error {
				var err error
				of, err = queryIDs(t.Context(), tx, `SELECT p.id FROM pack p JOIN recipe_pack e ON e.pack = p.id JOIN object o ON o.recipe = e.recipe
					WHERE o.ref = $1 AND (p.realm <> o.realm OR p.state <> 'sealed' OR p.suspect)`, got.Ref)
				return err
			}); err != nil || len(of) > 0 {
				t.Errorf("refers to packs %v: %v", of, err)
			}
		})
	}
	t.Run("platform", func(t *testing.T) {
		w := newWorld(t, catalogtest.SQLite(t))
		o := w.put("", p)
		got := w.mustCompose("p", func(wr *Writer) error { return wr.Append(w.mustOpen(o.Ref), 0, int64(len(p))) })
		w.mustRead(got.Ref, p)
		if got.Fresh > 20_000 {
			t.Errorf("stored %d bytes that the platform holds", got.Fresh)
		}
	})
	t.Run("out of range", func(t *testing.T) {
		w := newWorld(t, catalogtest.SQLite(t))
		o := w.put("p", []byte("hello"))
		for _, r := range [][2]int64{{0, 6}, {-1, 2}, {5, 1}, {2, -1}, {6, 0}, {1, 1<<63 - 1}} {
			if _, err := w.composed("p", func(wr *Writer) error { return wr.Append(w.mustOpen(o.Ref), r[0], r[1]) }); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v: %v", r, err)
			}
		}
	})
}

// TestAppendWritten puts what another writer wrote and did not commit into an
// object, and commits in both orders.
func TestAppendWritten(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	p := randomBytes(30*chunk.Size, 3)
	wr, err := w.Create(t.Context(), CreateOptions{Project: "p", Kind: KindExact})
	if err != nil {
		t.Fatal(err)
	}
	defer wr.Abort()
	if _, err := wr.Write(p); err != nil {
		t.Fatal(err)
	}
	o, err := wr.Written()
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.composed("p", func(wr *Writer) error { return wr.Append(o, 100, int64(len(p)-100)) })
	if err != nil {
		t.Fatal(err)
	}
	wr.Abort()
	if err := w.db.Update(t.Context(), func(tx *catalog.Tx) error { return w.Pin(t.Context(), tx, got.Ref, "me") }); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.mustCollect(CollectOptions{Compact: true})
	}
	w.mustRead(got.Ref, p[100:])
}

// TestNamed: what own realm and platform hold is added by name, all of it or
// nothing; Lacks says the same and changes nothing.
func TestNamed(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		w := newWorld(t, db)
		mine, common, theirs := randomBytes(70*chunk.Size+99, 1), randomBytes(5*chunk.Size, 2), randomBytes(5*chunk.Size, 3)
		w.put("p", mine)
		w.put("", common)
		w.put("q", theirs)
		before := w.leases()
		lacks, err := w.Lacks(t.Context(), "p", 0, slices.Concat(namesOf(mine), namesOf(common), namesOf(theirs)))
		if err != nil {
			t.Fatal(err)
		}
		if want := slices.Concat(make([]bool, 76), []bool{true, true, true, true, true}); !slices.Equal(lacks, want) {
			t.Fatalf("lacks %v", lacks)
		}
		if after := w.leases(); after != before {
			t.Fatalf("asking made leases: %d, then %d", before, after)
		}
		fresh := randomBytes(chunk.Size+5, 4)
		got := w.mustCompose("p", func(wr *Writer) error {
			if _, err := wr.Write(fresh); err != nil {
				return err
			}
			missing, err := wr.Named(slices.Concat(namesOf(common), namesOf(theirs[:2*chunk.Size]), namesOf(mine)))
			if err != nil || !slices.Equal(missing, []int{5, 6}) {
				t.Errorf("missing %v: %v", missing, err)
			}
			for _, p := range [][]byte{mine, common, fresh} { // fresh: this writer holds it
				if missing, err := wr.Named(namesOf(p)); err != nil || missing != nil {
					t.Errorf("missing %v: %v", missing, err)
				}
			}
			if wr.Size() != int64(2*len(fresh)+len(mine)+len(common)) {
				t.Errorf("size %d", wr.Size())
			}
			return wr.Skip(10)
		})
		w.mustRead(got.Ref, slices.Concat(fresh, mine, common, fresh, make([]byte, 10)))
		if got.Fresh > int64(len(fresh))+20_000 {
			t.Errorf("stored %d bytes", got.Fresh)
		}
		// One by one, after a Look, although hardly any of them is a hook.
		one := w.mustCompose("p", func(wr *Writer) error {
			if missing, err := wr.Look(slices.Concat(namesOf(mine), namesOf(theirs[:chunk.Size]))); err != nil || !slices.Equal(missing, []int{71}) {
				t.Errorf("missing %v: %v", missing, err)
			}
			for _, n := range slices.Backward(namesOf(mine)) {
				if missing, err := wr.Named([]Named{n}); err != nil || missing != nil {
					t.Errorf("missing %v: %v", missing, err)
				}
			}
			return nil
		})
		if one.Size != int64(len(mine)) || one.Fresh > 20_000 {
			t.Errorf("%+v", one)
		}
		// A length that is not the chunk's is not it.
		wrong := namesOf(common)
		wrong[1].Len--
		if lacks, err := w.Lacks(t.Context(), "p", 0, wrong); err != nil || !slices.Equal(lacks, []bool{false, true, false, false, false}) {
			t.Errorf("%v %v", lacks, err)
		}
		for _, bad := range [][]Named{{{Len: 0}}, {{Len: chunk.Size + 1}}, {{Len: -1}}, make([]Named, NamedMost+1)} {
			if _, err := w.Lacks(t.Context(), "p", 0, bad); err == nil {
				t.Errorf("%d names of %d bytes were taken", len(bad), bad[0].Len)
			}
		}
	})
}

func (w *world) leases() (n int) {
	w.tb.Helper()
	err := w.db.View(context.Background(), func(tx *catalog.Tx) error {
		return tx.QueryRow(context.Background(), `SELECT (SELECT COUNT(*) FROM lease) + (SELECT COUNT(*) FROM lease_pack) + (SELECT COALESCE(SUM(stamp), 0) FROM pack)`).Scan(&n)
	})
	if err != nil {
		w.tb.Fatal(err)
	}
	return n
}

// TestWriterPrograms plays random programs of Write, Skip, Cut, Append and Named
// and compares with plain bytes.
func TestWriterPrograms(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	w.open(Config{PackSize: 1 << 20})
	type kept struct {
		o *Object
		p []byte
	}
	var all []kept
	keep := func(info ObjectInfo, p []byte) {
		w.mustRead(info.Ref, p)
		all = append(all, kept{w.mustOpen(info.Ref), p})
	}
	for i, project := range []string{"p", "q", ""} {
		p := randomBytes(3*chunk.Size, uint64(i))
		clear(p[chunk.Size-100 : 2*chunk.Size+100])
		keep(w.mustCompose(project, func(wr *Writer) error {
			_, err := wr.Write(p)
			return err
		}), p)
	}
	for round := range 60 {
		r := rand.New(rand.NewPCG(uint64(round), 99))
		var want []byte
		project := []string{"p", "p", "q", ""}[r.IntN(4)]
		info := w.mustCompose(project, func(wr *Writer) error {
			for range 1 + r.IntN(12) {
				k := all[r.IntN(len(all))]
				switch r.IntN(7) {
				case 6:
					p := randomBytes(1+r.IntN(chunk.Size), r.Uint64()%20)
					if r.IntN(4) == 0 {
						clear(p)
					}
					want = append(want, p...)
					if err := wr.WriteChunk(p, chunk.Sum(p)); err != nil {
						return err
					}
				case 0:
					p := randomBytes(1+r.IntN(chunk.Size), r.Uint64())
					want = append(want, p...)
					if _, err := wr.Write(p); err != nil {
						return err
					}
				case 1:
					n := r.IntN(2 * chunk.Size)
					want = append(want, make([]byte, n)...)
					if err := wr.Skip(int64(n)); err != nil {
						return err
					}
				case 2:
					if err := wr.Cut(); err != nil {
						return err
					}
				case 3:
					names := namesOf(k.p)
					missing, err := wr.Named(names)
					if err != nil {
						return err
					}
					if len(missing) == 0 {
						c := chunk.Cutter{Emit: func(p chunk.Piece) error { want = append(want, p.Data...); return nil }}
						_, _ = c.Write(k.p)
						_ = c.Cut()
					}
				default:
					from := r.IntN(len(k.p) + 1)
					n := r.IntN(len(k.p) - from + 1)
					if r.IntN(2) == 0 {
						from, n = 0, len(k.p)
					}
					want = append(want, k.p[from:from+n]...)
					if err := wr.Append(k.o, int64(from), int64(n)); err != nil {
						return err
					}
				}
				if wr.Size() != int64(len(want)) {
					t.Fatalf("round %d: size %d of %d", round, wr.Size(), len(want))
				}
			}
			return nil
		})
		if len(want) > 3<<20 {
			w.mustRead(info.Ref, want)
			continue
		}
		keep(info, bytes.Clone(want))
	}
}
