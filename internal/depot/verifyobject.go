package depot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"kuva/internal/catalog"
)

// objectRow is a live object as the ledger knows it.
type objectRow struct {
	ref, size, recipe, gen int64
	kind, key              string
}

// verifyObjects reads the root of every live object and each segment once.
func (v *verifier) verifyObjects(ctx context.Context) error {
	for after := int64(0); ; {
		var part []objectRow
		err := v.d.db.View(ctx, func(tx *catalog.Tx) error {
			part = part[:0]
			rows, err := tx.Query(ctx, `SELECT o.ref, o.size, o.kind, o.recipe, COALESCE(r.gen, 0), COALESCE(r.key, '')
				FROM object o LEFT JOIN recipe r ON r.id = o.recipe AND r.state = 'current'
				WHERE o.state = 'live' AND o.ref > $1 ORDER BY o.ref LIMIT 256`, after)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var o objectRow
				if err := rows.Scan(&o.ref, &o.size, &o.kind, &o.recipe, &o.gen, &o.key); err != nil {
					return err
				}
				part = append(part, o)
			}
			return rows.Err()
		})
		if err != nil || len(part) == 0 {
			return err
		}
		after = part[len(part)-1].ref
		for _, o := range part {
			if err := v.verifyObject(ctx, o); err != nil {
				return err
			}
		}
	}
}

// verifyObject tries again where the object got another generation meanwhile.
func (v *verifier) verifyObject(ctx context.Context, o objectRow) error {
	for {
		cause := v.checkObject(ctx, o)
		if cause == nil {
			v.rep.Objects++
			return nil
		}
		if !isDamage(cause) {
			return fmt.Errorf("object %016x: %w", o.ref, cause)
		}
		now, live, err := v.current(ctx, o)
		if err != nil {
			return err
		}
		if !live {
			return nil // died meanwhile
		}
		if now.recipe == o.recipe {
			key := o.key
			if key == "" {
				key = fmt.Sprintf("object %016x", o.ref)
			}
			return v.lost(ctx, o.ref, key, cause)
		}
		o = now
	}
}

// current reads the object's row once more.
func (v *verifier) current(ctx context.Context, o objectRow) (now objectRow, live bool, err error) {
	now = o
	err = v.d.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT o.recipe, COALESCE(r.gen, 0), COALESCE(r.key, '') FROM object o LEFT JOIN recipe r ON r.id = o.recipe
			WHERE o.ref = $1 AND o.state = 'live'`, o.ref).Scan(&now.recipe, &now.gen, &now.key)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return now, false, nil
	}
	return now, true, err
}

func (v *verifier) checkObject(ctx context.Context, o objectRow) error {
	if o.key == "" {
		return fmt.Errorf("%w: no current recipe", ErrDamaged)
	}
	r, err := v.d.loadRoot(ctx, o.key)
	if err != nil {
		return err
	}
	if r.Object != o.ref || r.Gen != o.gen || r.Size != o.size || string(r.Kind) != o.kind {
		return fmt.Errorf("%w: the root is of object %016x, generation %d, %d bytes, %s", ErrDamaged, r.Object, r.Gen, r.Size, r.Kind)
	}
	packs := make(map[int64]bool, len(r.Packs))
	for _, p := range r.Packs {
		packs[p.Ref.ID] = true
	}
	var edges []int64
	err = v.d.db.View(ctx, func(tx *catalog.Tx) error {
		var err error
		edges, err = queryIDs(ctx, tx, `SELECT pack FROM recipe_pack WHERE recipe = $1`, o.recipe)
		return err
	})
	if err != nil {
		return err
	}
	if len(edges) != len(packs) {
		return fmt.Errorf("%w: %d edges for %d packs", ErrDamaged, len(edges), len(packs))
	}
	for _, p := range edges {
		if !packs[p] {
			return fmt.Errorf("%w: an edge to pack %016x that the root does not name", ErrDamaged, p)
		}
	}
	for i, s := range r.Segments {
		end := r.Size
		if i+1 < len(r.Segments) {
			end = r.Segments[i+1].First
		}
		c, err := v.segment(ctx, s)
		if err != nil {
			return fmt.Errorf("segment %d: %w", i, err)
		}
		if c.length != end-s.First {
			return fmt.Errorf("segment %d: %w: %d bytes instead of %d", i, ErrDamaged, c.length, end-s.First)
		}
		for _, p := range c.packs {
			if !packs[p] {
				return fmt.Errorf("segment %d: %w: a chunk in pack %016x that the root does not name", i, ErrDamaged, p)
			}
		}
	}
	if len(r.Segments) == 0 && r.Size > 0 {
		return fmt.Errorf("%w: no segments", ErrDamaged)
	}
	return nil
}

// checkedSegment is what verifying a segment told. Objects share segments, so
// each is looked at once.
type checkedSegment struct {
	length int64
	packs  []int64
}

func (v *verifier) segment(ctx context.Context, ref segRef) (*checkedSegment, error) {
	if c := v.checked[ref.Loc]; c != nil {
		return c, nil
	}
	if err := v.chunkIs(ctx, ref.Name, ref.Loc); err != nil {
		return nil, err
	}
	seg, err := v.d.loadSegment(ctx, ref)
	if err != nil {
		return nil, err
	}
	c := &checkedSegment{length: seg.length, packs: []int64{ref.Loc.Pack.ID}}
	seen := map[int64]bool{ref.Loc.Pack.ID: true}
	for _, e := range seg.entries {
		if e.Hole > 0 {
			continue
		}
		if err := v.chunkIs(ctx, e.Name, e.Loc); err != nil {
			return nil, err
		}
		if !seen[e.Loc.Pack.ID] {
			seen[e.Loc.Pack.ID] = true
			c.packs = append(c.packs, e.Loc.Pack.ID)
		}
	}
	if len(v.checked) > 1<<18 {
		clear(v.checked)
	}
	v.checked[ref.Loc] = c
	v.rep.Segments++
	return c, nil
}

// chunkIs compares a place with the index of its pack.
func (v *verifier) chunkIs(ctx context.Context, name Name, loc Loc) error {
	if v.isBad(loc) {
		return fmt.Errorf("chunk %x in %s at %d: %w", name[:8], loc.Pack.Key(), loc.Offset, ErrDamaged)
	}
	index := v.indexes[loc.Pack.ID]
	if index == nil {
		entries, err := v.d.readPackIndex(ctx, loc.Pack)
		if err != nil {
			return err
		}
		index = make(map[uint32]packEntry, len(entries))
		for _, e := range entries {
			index[e.Offset] = e
		}
		if len(v.indexes) >= 256 {
			clear(v.indexes)
		}
		v.indexes[loc.Pack.ID] = index
	}
	e, ok := index[loc.Offset]
	if !ok || e.Name != name || e.Sealed != loc.Sealed || e.Plain != loc.Plain {
		return fmt.Errorf("chunk %x: %w: %s has another one at %d", name[:8], ErrDamaged, loc.Pack.Key(), loc.Offset)
	}
	return nil
}

// healed takes the mark off a pack that is whole: the fault was in reading.
func (v *verifier) healed(ctx context.Context, p packRow) error {
	if v.d.ReadOnly() != nil {
		return nil
	}
	err := v.d.db.Update(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE pack SET suspect = $2, stamp = stamp + 1 WHERE id = $1`, p.ref.ID, false)
		return err
	})
	if err == nil {
		v.mu.Lock()
		v.rep.Healed++
		v.mu.Unlock()
	}
	return err
}
