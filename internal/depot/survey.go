package depot

import (
	"context"
	"errors"
	"fmt"

	"kuva/internal/catalog"
)

// survey reads which chunks of some packs live, and in which segments of
// which objects they are named.
type survey struct {
	d       *Depot
	victim  map[int64]bool
	live    map[Loc]liveChunk
	touched map[Loc]bool // segments that name a chunk of a victim, by their place
	objects []*surveyed
	blocked map[int64]bool // packs of objects that could not be read whole
}

type liveChunk struct {
	name    Name
	segment bool
}

// surveyed is an object with an edge to one of the packs.
type surveyed struct {
	ref, realm, recipe int64
	key                string
	touched            []int             // indexes of segments that name a chunk of a victim
	kept               map[PackRef]int64 // what the segments name outside the victims; nil if not read whole
}

func newSurvey(d *Depot, victims []victim) *survey {
	s := &survey{d: d, victim: map[int64]bool{}, live: map[Loc]liveChunk{}, touched: map[Loc]bool{}, blocked: map[int64]bool{}}
	for _, v := range victims {
		s.victim[v.ref.ID] = true
	}
	return s
}

func (s *survey) run(ctx context.Context) error {
	if err := s.list(ctx); err != nil {
		return err
	}
	for _, o := range s.objects {
		err := s.read(ctx, o)
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat) || isNotFound(err) {
			// Damaged, or gone meanwhile. What it needs is not known: its packs
			// stay as they are.
			err = s.block(ctx, o)
		}
		if err != nil {
			return fmt.Errorf("object %016x: %w", o.ref, err)
		}
	}
	return nil
}

// list finds the live objects with edges to the packs.
func (s *survey) list(ctx context.Context) error {
	args := make([]any, 0, len(s.victim))
	for id := range s.victim {
		args = append(args, id)
	}
	if len(args) == 0 {
		return nil
	}
	return s.d.db.View(ctx, func(tx *catalog.Tx) error {
		s.objects = nil
		rows, err := tx.Query(ctx, `SELECT o.ref, o.realm, r.id, r.key FROM object o JOIN recipe r ON r.id = o.recipe
			WHERE o.state = 'live' AND r.id IN (SELECT recipe FROM recipe_pack WHERE pack IN (`+placeholders(1, len(args))+`)) ORDER BY o.ref`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			o := &surveyed{}
			if err := rows.Scan(&o.ref, &o.realm, &o.recipe, &o.key); err != nil {
				return err
			}
			s.objects = append(s.objects, o)
		}
		return rows.Err()
	})
}

func (s *survey) read(ctx context.Context, o *surveyed) error {
	r, err := s.d.loadRoot(ctx, o.key)
	if err != nil {
		return err
	}
	n := newNeeds()
	for i, ref := range r.Segments {
		if s.victim[ref.Loc.Pack.ID] {
			s.live[ref.Loc] = liveChunk{ref.Name, true}
		}
		seg, err := s.d.loadSegment(ctx, ref)
		if err != nil {
			if errors.Is(err, ErrDamaged) {
				s.d.markSuspect(ctx, ref.Loc.Pack, err)
			}
			return err
		}
		touched := false
		for _, e := range seg.entries {
			switch {
			case e.Hole > 0:
			case s.victim[e.Loc.Pack.ID]:
				s.live[e.Loc] = liveChunk{name: e.Name}
				touched = true
			default:
				n.count(e.Loc)
			}
		}
		if touched {
			o.touched = append(o.touched, i)
			s.touched[ref.Loc] = true
		}
	}
	o.kept = n.packs
	return nil
}

func (s *survey) block(ctx context.Context, o *surveyed) error {
	o.kept = nil
	return s.d.db.View(ctx, func(tx *catalog.Tx) error {
		packs, err := queryIDs(ctx, tx, `SELECT pack FROM recipe_pack WHERE recipe = $1`, o.recipe)
		for _, p := range packs {
			s.blocked[p] = true
		}
		return err
	})
}

// needs counts the sealed bytes that an object refers to, by pack, each place
// once. Beyond countedMost places it begins anew, as Writer.count does.
type needs struct {
	packs   map[PackRef]int64
	counted map[Loc]struct{}
}

func newNeeds() *needs {
	return &needs{packs: map[PackRef]int64{}, counted: map[Loc]struct{}{}}
}

func (n *needs) count(loc Loc) {
	if _, ok := n.counted[loc]; ok {
		return
	}
	if len(n.counted) >= countedMost {
		clear(n.counted)
	}
	n.counted[loc] = struct{}{}
	n.packs[loc.Pack] += int64(loc.Sealed)
}

// markSuspect marks a pack that has damage, so that writers store its chunks
// anew and compaction leaves it.
func (d *Depot) markSuspect(ctx context.Context, p PackRef, cause error) {
	d.log.Error("pack is damaged", "pack", p.Key(), "error", cause)
	if d.ReadOnly() != nil {
		return
	}
	err := d.db.Update(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE pack SET suspect = $2, stamp = stamp + 1 WHERE id = $1 AND suspect <> $2`, p.ID, true)
		return err
	})
	if err != nil {
		d.log.Error("mark damaged pack", "pack", p.Key(), "error", err)
	}
}
