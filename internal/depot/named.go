package depot

import (
	"context"
	"fmt"
	"slices"

	"kuva/chunk"
	"kuva/internal/catalog"
)

// Named is a chunk of which only hash and length are known.
type Named struct {
	Hash chunk.Hash // plain BLAKE3 of its bytes
	Len  int        // 1 to chunk.Size
}

const (
	// NamedMost is how many chunks Named and Lacks take at a time.
	NamedMost = 1 << 16
	// namesWindow is how many names are looked up together.
	namesWindow = 64
)

// Named adds chunks that the own realm or the platform's holds, in their order,
// each a chunk of its own. If it holds not all of them, nothing is added and
// missing tells which, in ascending order; then the writer goes on as if
// nothing had been asked. Looking is by hooks: a chunk that is held may be
// missed, never the other way round. What was found is leased, so it stays.
func (w *Writer) Named(chunks []Named) (missing []int, err error) {
	if missing, err = w.askFor(chunks, true); err != nil || len(missing) > 0 {
		return missing, err
	}
	total := int64(0)
	for _, c := range chunks {
		total += int64(c.Len)
	}
	return nil, w.cut.Pass(total)
}

// Look finds and leases chunks as Named does and adds nothing: later calls of
// Named find them, however few they ask for at a time. It forgets what the last
// Look found.
func (w *Writer) Look(chunks []Named) (missing []int, err error) { return w.askFor(chunks, false) }

// askFor has the pipeline look for chunks, and add them where it finds all.
func (w *Writer) askFor(chunks []Named, add bool) (missing []int, err error) {
	items, err := w.itemsOf(chunks)
	if err != nil {
		return nil, err
	}
	if err := w.cut.Cut(); err != nil {
		return nil, err
	}
	if err := w.send(); err != nil {
		return nil, err
	}
	answer := make(chan []int, 1)
	if err := w.hand(window{items: items, answer: answer, look: !add}); err != nil {
		return nil, err
	}
	select {
	case missing = <-answer:
	case <-w.idle:
		return nil, w.whyIdle()
	}
	return missing, nil
}

// itemsOf names the chunks as the realms do.
func (w *Writer) itemsOf(chunks []Named) ([]item, error) {
	if len(chunks) > NamedMost {
		return nil, fmt.Errorf("%d names at a time, at most %d", len(chunks), NamedMost)
	}
	items := make([]item, len(chunks))
	for i, c := range chunks {
		if c.Len <= 0 || c.Len > chunk.Size {
			return nil, fmt.Errorf("name %d is of a chunk of %d bytes", i, c.Len)
		}
		items[i].plain = c.Len
		w.label(&items[i], c.Hash)
	}
	return items, nil
}

// named answers and, where nothing is missing, adds. It belongs to the
// pipeline.
func (w *Writer) named(win window) error {
	missing, err := w.match.names(win.items)
	if err != nil {
		return err
	}
	if win.look {
		w.match.known = make(map[Name]Loc, len(win.items))
		for _, it := range win.items {
			if it.found {
				w.match.known[it.name] = it.loc
			}
		}
	} else if len(missing) == 0 {
		for _, it := range win.items {
			if err := w.add(it, false); err != nil {
				return err
			}
		}
	}
	win.answer <- missing
	return nil
}

// names finds chunks by their names and returns those that it did not find.
func (m *matcher) names(items []item) ([]int, error) {
	for i := range items {
		it := &items[i]
		if loc, ok := m.known[it.name]; ok && int(loc.Plain) == it.plain {
			it.loc, it.found = loc, true
		}
	}
	for part := range slices.Chunk(items, namesWindow) {
		if err := m.w.ctx.Err(); err != nil {
			return nil, err
		}
		if err := m.window(part); err != nil {
			return nil, err
		}
	}
	// What was loaded for later ones may hold earlier ones, and what a refused
	// pack held may lie in another.
	m.scan(items)
	if err := m.lease(items); err != nil {
		return nil, err
	}
	var missing []int
	for i := range items {
		it := &items[i]
		if loc, ok := m.own(it.name); !it.found && ok && int(loc.Plain) == it.plain {
			it.loc, it.found = loc, true
		}
		if !it.found {
			missing = append(missing, i)
		}
	}
	return missing, nil
}

// Lacks tells for each chunk whether a Writer of the project would have to be
// given its bytes. It looks where Named looks and changes nothing; what it
// finds may be gone when it is written. parent is as in CreateOptions. The cost
// is bounded: one query and at most four segments for each 64 names.
func (d *Depot) Lacks(ctx context.Context, project string, parent int64, chunks []Named) ([]bool, error) {
	own, err := d.realmOf(ctx, project)
	if err != nil {
		return nil, err
	}
	// A writer that never writes: it has no lease.
	w := &Writer{d: d, ctx: ctx, opt: CreateOptions{Project: project, Parent: parent}, keys: own.current, leased: map[int64]bool{}, refused: map[int64]bool{}}
	if own.kind != realmPlatform {
		platform, err := d.realmOf(ctx, "")
		if err != nil {
			return nil, err
		}
		w.common = platform.current
	}
	items, err := w.itemsOf(chunks)
	if err != nil {
		return nil, err
	}
	m := newMatcher(w)
	m.hold = func(packs []int64) (map[int64]bool, error) { return d.whole(ctx, packs) }
	missing, err := m.names(items)
	if err != nil {
		return nil, fmt.Errorf("look names up: %w", err)
	}
	lacks := make([]bool, len(chunks))
	for _, i := range missing {
		lacks[i] = true
	}
	return lacks, nil
}

// whole tells which packs the guard rule would let a writer lease now.
func (d *Depot) whole(ctx context.Context, packs []int64) (map[int64]bool, error) {
	got := make(map[int64]bool, len(packs))
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		for _, p := range packs {
			ids, err := queryIDs(ctx, tx, `SELECT id FROM pack WHERE id = $1 AND state = 'sealed' AND NOT suspect`, p)
			if err != nil {
				return err
			}
			got[p] = len(ids) == 1
		}
		return nil
	})
	return got, err
}
