package depot

import (
	"context"
	"errors"

	"kuva/internal/catalog"
)

// errSwapped: the object died or has another generation.
var errSwapped = errors.New("object has changed meanwhile")

// swap gives an object its next generation: announced, root, then one
// transaction with the fence and the old generation as its guards.
func (c *compactor) swap(ctx context.Context, o *surveyed) error {
	if o.kept == nil {
		return nil // it could not be read whole
	}
	r, err := c.nextRoot(ctx, o)
	if err != nil || r == nil {
		return err
	}
	recipe := catalog.NewID()
	err = c.d.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := fence(ctx, tx, c.lease); err != nil {
			return err
		}
		// This locks the object, so that two compactions at once take two numbers.
		n, err := tx.Exec(ctx, `UPDATE object SET stamp = stamp + 1 WHERE ref = $1 AND recipe = $2 AND state = 'live'`, o.ref, o.recipe)
		if err != nil {
			return err
		}
		if n != 1 {
			return errSwapped
		}
		if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(gen), 0) + 1 FROM recipe WHERE object = $1`, o.ref).Scan(&r.Gen); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO recipe (id, object, gen, key, state, lease, condemned_epoch, bytes) VALUES ($1, $2, $3, $4, 'announced', $5, 0, 0)`,
			recipe, o.ref, r.Gen, recipeKey(o.realm, o.ref, r.Gen), c.lease)
		return err
	})
	if errors.Is(err, errSwapped) {
		return nil
	}
	if err != nil {
		return err
	}
	owner, err := c.d.realmByID(ctx, o.realm)
	if err != nil {
		return err
	}
	size, err := c.d.putRoot(ctx, owner.current, r)
	if err != nil {
		return err
	}
	if err := c.d.at("compact.root"); err != nil {
		return err
	}
	err = c.d.db.Update(ctx, func(tx *catalog.Tx) error { return c.swapTx(ctx, tx, o, r, recipe, size) })
	if errors.Is(err, errSwapped) {
		return nil // the collector takes the root that nobody needs
	}
	if err != nil {
		return err
	}
	c.rep.Objects++
	return c.d.at("compact.swapped")
}

func (c *compactor) swapTx(ctx context.Context, tx *catalog.Tx, o *surveyed, r *root, recipe, size int64) error {
	if err := fence(ctx, tx, c.lease); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE object SET recipe = $1, stored = $4 WHERE ref = $2 AND recipe = $3 AND state = 'live'`, recipe, o.ref, o.recipe, r.Stored)
	if err != nil {
		return err
	}
	if n != 1 {
		return errSwapped
	}
	n, err = tx.Exec(ctx, `UPDATE recipe SET state = 'current', lease = 0, bytes = $2 WHERE id = $1 AND state = 'announced'`, recipe, size)
	if err != nil {
		return err
	}
	if n != 1 {
		return ErrLeaseLost
	}
	if err := insertEdges(ctx, tx, recipe, r.Packs); err != nil {
		return err
	}
	if err := dropEdges(ctx, tx, o.recipe); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE recipe SET state = 'superseded' WHERE id = $1 AND state = 'current'`, o.recipe)
	return err
}

// nextRoot is the object's root with everything at its new place, nil where
// nothing moved or the old one is gone.
func (c *compactor) nextRoot(ctx context.Context, o *surveyed) (*root, error) {
	r, err := c.d.loadRoot(ctx, o.key)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	changed := false
	n := newNeeds()
	n.packs = o.kept
	for _, i := range o.touched {
		seg, err := c.d.loadSegment(ctx, r.Segments[i])
		if err != nil {
			return nil, err
		}
		for _, e := range seg.entries {
			if e.Hole > 0 || !c.survey.victim[e.Loc.Pack.ID] {
				continue
			}
			loc := e.Loc
			if to, ok := c.moved[loc]; ok {
				loc = to
			}
			n.count(loc)
		}
	}
	for i := range r.Segments {
		s := &r.Segments[i]
		if ref, ok := c.anew[s.Loc]; ok {
			s.Name, s.Loc, changed = ref.Name, ref.Loc, true
		} else if to, ok := c.moved[s.Loc]; ok {
			s.Loc, changed = to, true
		}
		n.count(s.Loc)
	}
	if !changed {
		return nil, nil
	}
	r.Packs, r.Stored = sortedPacks(n.packs), 0
	for _, p := range r.Packs {
		r.Stored += p.Bytes
	}
	return r, nil
}
