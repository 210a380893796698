package depot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"kuva/chunk"
	"kuva/internal/catalog"
)

// Compacted says what a compaction did.
type Compacted struct {
	Victims Tally // packs that no object refers to any more by its doing
	Packs   Tally // packs written instead
	Objects int64 // that got a new generation
	Damaged int64 // packs found damaged on the way, marked and left
}

func (t *Compacted) add(o Compacted) {
	t.Victims = Tally{t.Victims.Count + o.Victims.Count, t.Victims.Bytes + o.Victims.Bytes}
	t.Packs = Tally{t.Packs.Count + o.Packs.Count, t.Packs.Bytes + o.Packs.Bytes}
	t.Objects += o.Objects
	t.Damaged += o.Damaged
}

// Compact rewrites packs of which less than half lives, and tiny ones. Sealed
// bytes are copied as they are after their tag was checked; objects get a new
// generation. Victims are never condemned here: a writer that leased one
// before may commit later, and the collector sees that (DEPOT-PROTOCOL).
func (d *Depot) Compact(ctx context.Context) (Compacted, error) {
	var rep Compacted
	tried := map[int64]bool{}
	for {
		if err := d.ReadOnly(); err != nil {
			return rep, err
		}
		victims, err := d.pickVictims(ctx, tried)
		if err != nil || len(victims) == 0 {
			return rep, err
		}
		for _, v := range victims {
			tried[v.ref.ID] = true
		}
		if victims, err = d.dropFull(ctx, victims); err != nil {
			return rep, fmt.Errorf("compact: %w", err)
		}
		if len(victims) == 0 {
			continue
		}
		if err := d.compactRound(ctx, victims, tried, &rep); err != nil {
			return rep, fmt.Errorf("compact: %w", err)
		}
	}
}

// dropFull reads what lives of the packs whose edges do not tell, and drops
// those of which more than half does.
func (d *Depot) dropFull(ctx context.Context, victims []victim) ([]victim, error) {
	if !slices.ContainsFunc(victims, func(v victim) bool { return v.maybe }) {
		return victims, nil
	}
	s := newSurvey(d, victims)
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	live := map[int64]int64{}
	for loc := range s.live {
		live[loc.Pack.ID] += int64(loc.Sealed)
	}
	return slices.DeleteFunc(victims, func(v victim) bool {
		full := v.maybe && 2*live[v.ref.ID] >= v.bytes
		if full {
			d.noteFull(v)
		}
		return full
	}), nil
}

// compactor is one round: one lease, some victims.
type compactor struct {
	d       *Depot
	rep     *Compacted
	lease   int64
	victims []victim
	tried   map[int64]bool // packs that this compaction is not to choose again
	survey  *survey
	moved   map[Loc]Loc    // of chunks, and of segments that stay as they are
	anew    map[Loc]segRef // segments written anew, by their old place
	outs    map[outID]*packOut
}

func (d *Depot) compactRound(ctx context.Context, victims []victim, tried map[int64]bool, rep *Compacted) error {
	c := &compactor{
		d: d, rep: rep, lease: catalog.NewID(), victims: victims, tried: tried,
		moved: map[Loc]Loc{}, anew: map[Loc]segRef{}, outs: map[outID]*packOut{},
	}
	err := d.db.Update(ctx, func(tx *catalog.Tx) error { return d.insertLease(ctx, tx, c.lease, leaseCompaction) })
	if err != nil {
		return err
	}
	d.writers.Add(1) // the heart beats for us
	defer d.writers.Add(-1)
	err = c.run(ctx)
	state := "committed"
	if err != nil {
		state = "aborted"
		for _, o := range c.outs {
			o.abort()
		}
	}
	// If this fails the collector expires the lease in time.
	ctx = context.WithoutCancel(ctx)
	endErr := d.db.Update(ctx, func(tx *catalog.Tx) error {
		_, err := endLease(ctx, tx, c.lease, state)
		return err
	})
	return errors.Join(err, endErr)
}

func (c *compactor) run(ctx context.Context) error {
	if err := c.drain(ctx); err != nil {
		return err
	}
	if err := c.d.at("compact.draining"); err != nil {
		return err
	}
	c.survey = newSurvey(c.d, c.victims)
	if err := c.survey.run(ctx); err != nil {
		return err
	}
	c.leave(c.survey.blocked)
	if err := c.copyChunks(ctx); err != nil {
		return err
	}
	for _, o := range c.survey.objects {
		if o.kept == nil {
			continue
		}
		if err := c.rewriteSegments(ctx, o); err != nil {
			return err
		}
	}
	for _, o := range c.outs {
		if err := o.close(ctx); err != nil {
			return err
		}
	}
	if err := c.d.at("compact.sealed"); err != nil {
		return err
	}
	for _, o := range c.survey.objects {
		if err := c.swap(ctx, o); err != nil {
			return fmt.Errorf("object %016x: %w", o.ref, err)
		}
	}
	for _, v := range c.victims {
		c.rep.Victims.add(v.bytes)
	}
	return c.d.at("compact.end")
}

// drain stops new leases on the victims; what refers to them stays. A victim
// that was condemned or became suspect meanwhile is left.
func (c *compactor) drain(ctx context.Context) error {
	slices.SortFunc(c.victims, func(a, b victim) int { return cmp.Compare(a.ref.ID, b.ref.ID) })
	var got []victim
	err := c.d.db.Update(ctx, func(tx *catalog.Tx) error {
		got = nil
		if err := fence(ctx, tx, c.lease); err != nil {
			return err
		}
		for _, v := range c.victims {
			n, err := tx.Exec(ctx, `UPDATE pack SET state = 'draining', stamp = stamp + 1
				WHERE id = $1 AND state IN ('sealed', 'draining') AND NOT suspect`, v.ref.ID)
			if err != nil {
				return err
			}
			if n == 1 {
				got = append(got, v)
			}
		}
		return nil
	})
	c.victims = got
	return err
}

// copyChunks copies what lives of the victims, in the order in which it lies.
// A victim with damage is left whole: nothing of it moves.
func (c *compactor) copyChunks(ctx context.Context) error {
	places := make([]Loc, 0, len(c.survey.live))
	for loc := range c.survey.live {
		places = append(places, loc)
	}
	slices.SortFunc(places, func(a, b Loc) int {
		return cmp.Or(cmp.Compare(a.Pack.Epoch, b.Pack.Epoch), cmp.Compare(a.Pack.ID, b.Pack.ID), cmp.Compare(a.Offset, b.Offset))
	})
	left := c.survey.blocked
	var sealed, scratch, plain []byte
	for _, loc := range places {
		if left[loc.Pack.ID] {
			continue
		}
		ch := c.survey.live[loc]
		if ch.segment && c.survey.touched[loc] {
			continue // written anew below
		}
		keys, err := c.d.keysOf(ctx, loc.Pack.Realm, loc.Pack.KeyID)
		if err != nil {
			return err
		}
		sealed, err = c.d.readSealed(ctx, loc, sealed)
		if err == nil {
			scratch = append(scratch[:0], sealed...) // open overwrites
			plain, err = keys.open(plain[:0], ch.name, scratch, int(loc.Plain))
		}
		if errors.Is(err, ErrDamaged) || isNotFound(err) {
			left[loc.Pack.ID] = true
			c.d.markSuspect(ctx, loc.Pack, err)
			continue
		}
		if err != nil {
			return err
		}
		to, err := c.out(keys, ch.segment).add(ctx, ch.name, sealed, loc.Plain)
		if err != nil {
			return err
		}
		c.moved[loc] = to
	}
	for loc := range c.moved {
		if left[loc.Pack.ID] {
			delete(c.moved, loc)
		}
	}
	c.leave(left)
	return nil
}

// leave gives victims up. They stay draining, which keeps new references off,
// until what ails them is healed.
func (c *compactor) leave(left map[int64]bool) {
	before := len(c.victims)
	c.victims = slices.DeleteFunc(c.victims, func(v victim) bool { return left[v.ref.ID] })
	c.rep.Damaged += int64(before - len(c.victims))
}

// rewriteSegments writes those segments of an object anew whose chunks moved,
// each once, however many objects share it.
func (c *compactor) rewriteSegments(ctx context.Context, o *surveyed) error {
	r, err := c.d.loadRoot(ctx, o.key)
	if isNotFound(err) {
		return nil // dead, or swapped by somebody else: swap will see it
	}
	if err != nil {
		return err
	}
	for _, i := range o.touched {
		if i >= len(r.Segments) {
			return fmt.Errorf("%s: %w", o.key, ErrDamaged)
		}
		old := r.Segments[i]
		if _, done := c.anew[old.Loc]; done {
			continue
		}
		seg, err := c.d.loadSegment(ctx, old)
		if err != nil {
			return err
		}
		entries := slices.Clone(seg.entries)
		changed := false
		for j := range entries {
			if to, ok := c.moved[entries[j].Loc]; ok && entries[j].Hole == 0 {
				entries[j].Loc, changed = to, true
			}
		}
		_, mustMove := c.survey.live[old.Loc]
		if !changed && !mustMove {
			continue // all that it touched was left
		}
		b, err := encodeSegment(entries)
		if err != nil {
			return err
		}
		owner, err := c.d.realmByID(ctx, o.realm)
		if err != nil {
			return err
		}
		keys := owner.current
		ref := segRef{Name: keys.name(chunk.Sum(b))}
		sealed, err := keys.seal(nil, ref.Name, b)
		if err != nil {
			return err
		}
		if ref.Loc, err = c.out(keys, true).add(ctx, ref.Name, sealed, uint32(len(b))); err != nil {
			return err
		}
		c.anew[old.Loc] = ref
	}
	return nil
}

// outID: segments get packs of their own, apart from chunks. Moving chunks
// moves the segments that name them; if those lay among the chunks of a third
// pack, that would turn sparse by it and be next, and so on for ever.
type outID struct {
	realm, keyID int64
	segments     bool
}

func (c *compactor) out(keys *realmKeys, segment bool) *packOut {
	id := outID{keys.realm, keys.keyID, segment}
	if c.outs[id] == nil {
		c.outs[id] = &packOut{c: c, keys: keys, segments: segment}
	}
	return c.outs[id]
}

// packOut writes the packs of one kind, realm and key, one after the other.
type packOut struct {
	c        *compactor
	keys     *realmKeys
	segments bool
	open     *packWriter
}

func (o *packOut) add(ctx context.Context, name Name, sealed []byte, plain uint32) (Loc, error) {
	if o.open == nil {
		refs, err := o.c.d.announce(ctx, o.c.lease, o.keys, 1)
		if err != nil {
			return Loc{}, err
		}
		o.c.tried[refs[0].ID] = true
		if o.open, err = newPackWriter(ctx, o.c.d, refs[0], o.keys); err != nil {
			return Loc{}, err
		}
	}
	loc, err := o.open.add(name, sealed, plain, o.segments)
	if err == nil && o.open.size >= o.c.d.cfg.PackSize {
		err = o.close(ctx)
	}
	return loc, err
}

func (o *packOut) close(ctx context.Context) error {
	p := o.open
	if p == nil {
		return nil
	}
	o.open = nil
	defer p.abort()
	size, chunks, err := p.finish(ctx, o.c.d.store)
	if err != nil {
		return err
	}
	if err := o.c.d.at("compact.put"); err != nil {
		return err
	}
	o.c.rep.Packs.add(size)
	return o.c.d.sealPack(ctx, o.c.lease, p.ref, size, chunks)
}

func (o *packOut) abort() {
	if o.open != nil {
		o.open.abort()
		o.open = nil
	}
}
