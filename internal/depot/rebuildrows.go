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

// insertImages calls Restore for every card that tells more than the row that
// is there, then looks at rows that the store knows nothing of.
func (r *rebuilder) insertImages(ctx context.Context, cards []Card) error {
	if err := r.readImages(ctx); err != nil {
		return err
	}
	for part := range slices.Chunk(cards, rowsATime) {
		var images, deleted int64
		var missing []string
		err := r.d.db.Update(ctx, func(tx *catalog.Tx) error {
			images, deleted, missing = 0, 0, nil
			for _, c := range part {
				version, known := r.ledger[c.Image]
				if c.Deleted && !known {
					continue
				}
				var obj *ObjectInfo
				if ch := r.chosen[c.Object]; ch != nil {
					obj = &ObjectInfo{Ref: c.Object, Size: ch.root.Size, Stored: ch.root.Stored}
				} else if c.Object != 0 && !c.Deleted && version <= c.Version {
					missing = append(missing, c.Image)
				}
				if known && version >= c.Version {
					continue
				}
				if err := r.restore(ctx, tx, c, obj); err != nil {
					return fmt.Errorf("image %s: %w", c.Image, err)
				}
				if c.Deleted {
					deleted++
				} else {
					images++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.rep.Images, r.rep.Deleted = r.rep.Images+images, r.rep.Deleted+deleted
		r.rep.Missing = append(r.rep.Missing, missing...)
	}
	return r.withoutCard(ctx, cards)
}

// readImages reads which images the database has.
func (r *rebuilder) readImages(ctx context.Context) error {
	return r.d.db.View(ctx, func(tx *catalog.Tx) error {
		r.ledger, r.orphans = map[string]int64{}, map[string]bool{}
		rows, err := tx.Query(ctx, `SELECT id, version, card_version, deleted_at FROM image`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var version, card, deleted int64
			if err := rows.Scan(&id, &version, &card, &deleted); err != nil {
				return err
			}
			r.ledger[id] = version
			if card > 0 && deleted == 0 {
				r.orphans[id] = true
			}
		}
		return rows.Err()
	})
}

// withoutCard looks at live images whose card was durable once and is not in
// the store. If the database is the older one, the last of an image's cards
// has gone because the image was deleted and its content collected: so it is
// deleted here, too. If the store is the older one, the content is lost.
func (r *rebuilder) withoutCard(ctx context.Context, cards []Card) error {
	for _, c := range cards {
		delete(r.orphans, c.Image)
	}
	for image := range r.unread {
		delete(r.orphans, image)
	}
	ids := make([]string, 0, len(r.orphans))
	for id := range r.orphans {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		vanished, lost := false, false
		err := r.d.db.Update(ctx, func(tx *catalog.Tx) error {
			vanished, lost = false, false
			var version, object int64
			var owner string
			if err := tx.QueryRow(ctx, `SELECT version, object, realm FROM image WHERE id = $1`, id).Scan(&version, &object, &owner); err != nil {
				return err
			}
			_, whole := r.chosen[object]
			switch {
			case whole:
				// The card comes again: the row says that it has none.
				_, err := tx.Exec(ctx, `UPDATE image SET card_version = 0 WHERE id = $1`, id)
				return err
			case r.behind:
				vanished = true
				return r.restore(ctx, tx, Card{Image: id, Project: owner, Version: version + 1, Deleted: true, Object: object, At: r.d.cfg.Now().UnixMicro()}, nil)
			}
			lost = object != 0
			return nil
		})
		if err != nil {
			return fmt.Errorf("image %s: %w", id, err)
		}
		if vanished {
			r.rep.Vanished = append(r.rep.Vanished, id)
		}
		if lost {
			r.rep.Missing = append(r.rep.Missing, id)
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
