package depot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// rowsATime is how many objects or images one transaction brings back.
const rowsATime = 500

// listGone reads which packs the ledger has deleted. One that is listed all
// the same may go at any moment, so it counts as not there.
func (r *rebuilder) listGone(ctx context.Context) error {
	return r.d.db.View(ctx, func(tx *catalog.Tx) error {
		ids, err := queryIDs(ctx, tx, `SELECT id FROM pack WHERE state = 'deleted'`)
		for _, id := range ids {
			r.gone[id] = true
		}
		return err
	})
}

// expireAll ends all leases: uploads that were open when the older copy of the
// database was made do not go on.
func (r *rebuilder) expireAll(ctx context.Context) error {
	return r.d.db.Update(ctx, func(tx *catalog.Tx) error {
		ids, err := queryIDs(ctx, tx, `SELECT id FROM lease WHERE state = 'live' ORDER BY id`)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if _, err := endLease(ctx, tx, id, "expired"); err != nil {
				return err
			}
		}
		return nil
	})
}

// insertObjects makes rows of objects, recipes, packs and edges.
func (r *rebuilder) insertObjects(ctx context.Context) error {
	refs := make([]int64, 0, len(r.chosen))
	for ref := range r.chosen {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	for part := range slices.Chunk(refs, rowsATime) {
		var objects, packs, revived int64
		err := r.d.db.Update(ctx, func(tx *catalog.Tx) error {
			objects, packs, revived = 0, 0, 0
			for _, ref := range part {
				done, err := r.adoptObject(ctx, tx, r.chosen[ref], &packs, &revived)
				if err != nil {
					return fmt.Errorf("object %016x: %w", ref, err)
				}
				if done {
					objects++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.rep.Objects, r.rep.Packs, r.rep.Revived = r.rep.Objects+objects, r.rep.Packs+packs, r.rep.Revived+revived
	}
	return nil
}

// adoptObject makes a root the current recipe of its object. An object that
// the ledger says is dead stays dead: objects never come back to life. One
// whose recipe and packs are as chosen stays as it is.
func (r *rebuilder) adoptObject(ctx context.Context, tx *catalog.Tx, c *chosenRoot, packs, revived *int64) (bool, error) {
	ref := c.root.Object
	var state string
	var recipe, gen int64
	err := tx.QueryRow(ctx, `SELECT o.state, o.recipe, COALESCE(r.gen, 0) FROM object o LEFT JOIN recipe r ON r.id = o.recipe WHERE o.ref = $1`, ref).Scan(&state, &recipe, &gen)
	fresh := errors.Is(err, sql.ErrNoRows)
	if err != nil && !fresh {
		return false, err
	}
	if !fresh && state != "live" {
		return false, nil
	}
	for _, p := range c.root.Packs {
		if err := r.adoptPack(ctx, tx, p.Ref, packs, revived); err != nil {
			return false, err
		}
	}
	if !fresh && gen == c.root.Gen {
		return false, nil
	}
	id := catalog.NewID()
	key := recipeKey(c.realm, ref, c.root.Gen)
	// The ledger may know this generation as announced or superseded.
	_, err = tx.Exec(ctx, `INSERT INTO recipe (id, object, gen, key, state, lease, condemned_epoch, bytes) VALUES ($1, $2, $3, $4, 'current', 0, 0, $5)
		ON CONFLICT (key) DO UPDATE SET state = 'current', lease = 0, condemned_epoch = 0, bytes = excluded.bytes`, id, ref, c.root.Gen, key, c.bytes)
	if err != nil {
		return false, err
	}
	if err := tx.QueryRow(ctx, `SELECT id FROM recipe WHERE key = $1`, key).Scan(&id); err != nil {
		return false, err
	}
	if !fresh {
		if err := dropEdges(ctx, tx, recipe); err != nil {
			return false, err
		}
		if _, err := tx.Exec(ctx, `UPDATE recipe SET state = 'superseded' WHERE id = $1 AND state = 'current'`, recipe); err != nil {
			return false, err
		}
	}
	for _, p := range c.root.Packs {
		_, err := tx.Exec(ctx, `INSERT INTO recipe_pack (recipe, pack, bytes) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, id, p.Ref.ID, p.Bytes)
		if err != nil {
			return false, err
		}
	}
	if !fresh {
		_, err = tx.Exec(ctx, `UPDATE object SET recipe = $2, stored = $3, stamp = stamp + 1 WHERE ref = $1`, ref, id, c.root.Stored)
		return err == nil, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO object (ref, realm, kind, size, state, stamp, recipe, stored) VALUES ($1, $2, $3, $4, 'live', 0, $5, $6)`,
		ref, c.realm, string(c.root.Kind), c.root.Size, id, c.root.Stored)
	return err == nil, err
}

// adoptPack makes the row of a pack that is in the store, or gives one that was
// open or condemned back to those who need it. Only here may a condemned pack
// be revived: collector and writers are off.
func (r *rebuilder) adoptPack(ctx context.Context, tx *catalog.Tx, p PackRef, packs, revived *int64) error {
	size := r.packs[p.ID].bytes
	n, err := tx.Exec(ctx, `INSERT INTO pack (id, key, realm, key_id, state, stamp, epoch, condemned_epoch, bytes, chunks, lease, suspect)
		VALUES ($1, $2, $3, $4, 'sealed', 0, $5, 0, $6, 0, 0, $7) ON CONFLICT DO NOTHING`, p.ID, p.Key(), p.Realm, p.KeyID, p.Epoch, size, false)
	if err != nil || n == 1 {
		*packs += n
		return err
	}
	n, err = tx.Exec(ctx, `UPDATE pack SET state = 'sealed', stamp = stamp + 1, condemned_epoch = 0, bytes = $2
		WHERE id = $1 AND state IN ('open', 'condemned')`, p.ID, size)
	*revived += n
	return err
}

// settle takes what the store has not out of the older ledger: objects that no
// image needs die, packs that nothing needs are condemned. Packs that are
// missed become suspect, so that no writer finds its chunks in them.
func (r *rebuilder) settle(ctx context.Context, epoch int64) error {
	var objects []int64
	var packs []PackRef
	err := r.d.db.View(ctx, func(tx *catalog.Tx) error {
		var err error
		if objects, err = queryIDs(ctx, tx, `SELECT ref FROM object WHERE state = 'live' ORDER BY ref`); err != nil {
			return err
		}
		packs = nil
		rows, err := tx.Query(ctx, `SELECT id, realm, key_id, epoch FROM pack WHERE state IN ('open', 'sealed', 'draining') ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var p PackRef
			if err := rows.Scan(&p.ID, &p.Realm, &p.KeyID, &p.Epoch); err != nil {
				return err
			}
			if _, ok := r.packs[p.ID]; !ok {
				packs = append(packs, p)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, ref := range objects {
		if r.chosen[ref] != nil {
			continue
		}
		err := r.d.db.Update(ctx, func(tx *catalog.Tx) error {
			_, _, err := dropObject(ctx, tx, ref, epoch)
			return err
		})
		if err != nil {
			return err
		}
	}
	for _, p := range packs {
		if _, err := r.d.store.Stat(ctx, p.Key()); !isNotFound(err) {
			if err != nil {
				return err
			}
			continue
		}
		err := r.d.db.Update(ctx, func(tx *catalog.Tx) error {
			_, gone, err := condemnPack(ctx, tx, p.ID, epoch)
			if err == nil && !gone {
				_, err = tx.Exec(ctx, `UPDATE pack SET suspect = $2, stamp = stamp + 1 WHERE id = $1`, p.ID, true)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// insertHooks reads the segments of objects that have no hooks, so that new
// uploads find their chunks. A segment that cannot be read has none.
func (r *rebuilder) insertHooks(ctx context.Context) error {
	refs := make([]int64, 0, len(r.chosen))
	for ref := range r.chosen {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	for part := range slices.Chunk(refs, rowsATime) {
		hooks := make([][]hookRow, len(part))
		err := each(ctx, len(part), func(ctx context.Context, i int) error {
			c := r.chosen[part[i]]
			for k, s := range c.root.Segments {
				seg, err := r.d.loadSegment(ctx, s)
				if err != nil {
					if ctx.Err() != nil {
						return ctx.Err()
					}
					continue
				}
				fresh := make([]bool, len(seg.entries))
				for j := range fresh {
					fresh[j] = true
				}
				for _, name := range hooksOf(seg.entries, fresh, r.d.cfg.HookBits) {
					hooks[i] = append(hooks[i], hookRow{name, k})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		n := 0
		err = r.d.db.Update(ctx, func(tx *catalog.Tx) error {
			n = 0
			for i, ref := range part {
				if err := r.d.insertHooks(ctx, tx, r.chosen[ref].realm, ref, hooks[i]); err != nil {
					return err
				}
				n += len(hooks[i])
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.rep.Hooks += int64(n)
	}
	return nil
}

// finish makes the ledger the newest there is: its epoch passes every one that
// the store has seen. The blobs come first, without a gap, so that a copy of
// the database from before the rebuild is found out at its start, too. The
// store's row comes last: until then the rebuild is not done.
func (r *rebuilder) finish(ctx context.Context, storeID string, highest int64) error {
	r.rep.Epoch = highest + 2
	for n := highest; n <= r.rep.Epoch; n++ {
		if n < 2 {
			continue
		}
		if err := blob.Put(ctx, r.d.store, epochKey(n), nil); err != nil && !errors.Is(err, blob.ErrExists) {
			return fmt.Errorf("epoch %d: %w", n, err)
		}
	}
	return r.d.db.Update(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO store (id, store_id, epoch, cycle_token) VALUES (1, $1, $2, $3)
			ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, cycle_token = excluded.cycle_token`, storeID, r.rep.Epoch, catalog.NewID())
		return err
	})
}
