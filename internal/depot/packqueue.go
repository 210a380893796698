package depot

import (
	"cmp"
	"errors"
	"slices"
)

// packQueue is a writer's packs: one open, up to two being made durable, and
// the ids announced for the next.
type packQueue struct {
	w         *Writer
	announced []PackRef
	batch     int
	open      *packWriter
	closing   []chan error
}

// add appends a sealed chunk to the open pack, or to a new one.
func (q *packQueue) add(name Name, sealed []byte, plain int, segment bool) (Loc, error) {
	if q.open == nil {
		if err := q.begin(); err != nil {
			return Loc{}, err
		}
	}
	loc, err := q.open.add(name, sealed, uint32(plain), segment)
	if err != nil {
		return Loc{}, err
	}
	if q.open.size >= q.w.d.cfg.PackSize {
		err = q.finish()
	}
	return loc, err
}

// begin opens a pack. Its row is there first; a small object announces one, a
// long one ever more at a time.
func (q *packQueue) begin() error {
	w := q.w
	if len(q.announced) == 0 {
		q.batch = min(max(1, 2*q.batch), 16)
		refs, err := w.d.announce(w.ctx, w.lease, w.keys, q.batch)
		if err != nil {
			return err
		}
		q.announced = refs
		for _, p := range refs {
			w.leased[p.ID] = true
		}
	}
	if err := w.d.at("pack.announced"); err != nil {
		return err
	}
	ref := q.announced[0]
	q.announced = q.announced[1:]
	p, err := newPackWriter(w.ctx, w.d, ref, w.keys)
	if err != nil {
		return err
	}
	q.open = p
	return nil
}

// finish makes the open pack durable behind the writer's back.
func (q *packQueue) finish() error {
	p, w, done := q.open, q.w, make(chan error, 1)
	q.open = nil
	go func() {
		defer p.abort()
		size, chunks, err := p.finish(w.ctx, w.d.store)
		if err == nil {
			err = w.d.at("pack.put")
		}
		if err == nil {
			err = w.d.sealPack(w.ctx, w.lease, p.ref, size, chunks)
		}
		done <- err
	}()
	q.closing = append(q.closing, done)
	if len(q.closing) > 2 {
		return q.wait()
	}
	return nil
}

// wait waits for the oldest pack on its way.
func (q *packQueue) wait() error {
	err := <-q.closing[0]
	q.closing = q.closing[1:]
	return err
}

// close makes all packs durable.
func (q *packQueue) close() error {
	var err error
	if q.open != nil {
		err = q.finish()
	}
	for len(q.closing) > 0 {
		err = errors.Join(err, q.wait())
	}
	return err
}

// abort gives the open pack up and waits for those on their way.
func (q *packQueue) abort() {
	if q.open != nil {
		q.open.abort()
		q.open = nil
	}
	for len(q.closing) > 0 {
		_ = q.wait()
	}
}

// sortedPacks lists packs in the order of their ids, as rows are locked.
func sortedPacks(live map[PackRef]int64) []rootPack {
	packs := make([]rootPack, 0, len(live))
	for ref, n := range live {
		packs = append(packs, rootPack{ref, n})
	}
	slices.SortFunc(packs, func(a, b rootPack) int { return cmp.Compare(a.Ref.ID, b.Ref.ID) })
	return packs
}
