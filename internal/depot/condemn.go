package depot

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"kuva/internal/catalog"
)

// batch is how many rows one transaction of the collector decides on. Each
// row is decided by itself; a batch only saves commits.
const batch = 64

// expireLeases is the first half of step 4: leases whose beat stood still for
// LeaseAfter of our own monotonic time. No clock decides: the beat is compared
// again in the UPDATE, and a writer that was only asleep fails at its fence.
// Leases of uploads are ended by whoever keeps the upload.
func (c *collector) expireLeases(ctx context.Context) error {
	d := c.d
	type lease struct{ id, beat int64 }
	var live []lease
	err := c.view(ctx, func(tx *catalog.Tx) error {
		live = live[:0]
		rows, err := tx.Query(ctx, `SELECT id, beat FROM lease WHERE state = 'live' AND kind <> 'upload' ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l lease
			if err := rows.Scan(&l.id, &l.beat); err != nil {
				return err
			}
			live = append(live, l)
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	now := d.cfg.Mono()
	var dead []lease
	d.keep.mu.Lock()
	seen := make(map[int64]beatSeen, len(live))
	for _, l := range live {
		was, ok := d.keep.beats[l.id]
		if !ok || was.beat != l.beat {
			was = beatSeen{l.beat, now}
		} else if now-was.since >= d.cfg.LeaseAfter {
			dead = append(dead, l)
		}
		seen[l.id] = was
	}
	if !c.opt.DryRun {
		d.keep.beats = seen
	}
	d.keep.mu.Unlock()

	for _, l := range dead {
		expired := false
		err := c.update(ctx, func(tx *catalog.Tx) error {
			n, err := tx.Exec(ctx, `UPDATE lease SET state = 'expired' WHERE id = $1 AND state = 'live' AND beat = $2`, l.id, l.beat)
			expired = n == 1
			if err != nil || n == 0 {
				return err
			}
			return dropLeasePacks(ctx, tx, l.id)
		})
		if err != nil {
			return err
		}
		if expired {
			c.rep.Leases++
			c.rep.plan("expire lease %016x", l.id)
		}
	}
	return nil
}

// dropObjects is the second half of step 4: objects that no image and no pin
// refers to die, by the stamp rule, one transaction each.
func (c *collector) dropObjects(ctx context.Context) error {
	var refs []int64
	err := c.view(ctx, func(tx *catalog.Tx) error {
		var err error
		refs, err = queryIDs(ctx, tx, `SELECT o.ref FROM object o WHERE o.state = 'live'
			AND NOT EXISTS (SELECT 1 FROM image i WHERE i.object = o.ref AND i.object <> 0)
			AND NOT EXISTS (SELECT 1 FROM pin p WHERE p.object = o.ref) ORDER BY o.ref`)
		return err
	})
	if err != nil {
		return err
	}
	for _, ref := range refs {
		var died bool
		var stored int64
		err := c.update(ctx, func(tx *catalog.Tx) error {
			var err error
			died, stored, err = dropObject(ctx, tx, ref, c.epoch)
			return err
		})
		if err != nil {
			return err
		}
		if died {
			c.rep.Objects.add(stored)
			c.rep.Recipes.add(0)
			c.rep.plan("drop object %016x, %s", ref, byteSize(stored))
		}
		if err := c.d.at("gc.object"); err != nil {
			return err
		}
	}
	return nil
}

// dropObject lets an object die unless something refers to it. The stamp is
// read first, in a statement of its own: a reference added after the look at
// images and pins has raised it.
func dropObject(ctx context.Context, tx *catalog.Tx, ref, epoch int64) (bool, int64, error) {
	var stamp, recipe, stored int64
	err := tx.QueryRow(ctx, `SELECT stamp, recipe, stored FROM object WHERE ref = $1 AND state = 'live'`, ref).Scan(&stamp, &recipe, &stored)
	if errors.Is(err, sql.ErrNoRows) {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	var used int64
	err = tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM image WHERE object = $1) + (SELECT COUNT(*) FROM pin WHERE object = $1)`, ref).Scan(&used)
	if err != nil || used > 0 {
		return false, 0, err
	}
	n, err := tx.Exec(ctx, `UPDATE object SET state = 'dead', stamp = stamp + 1 WHERE ref = $1 AND state = 'live' AND stamp = $2`, ref, stamp)
	if err != nil || n == 0 {
		return false, 0, err
	}
	if err := dropEdges(ctx, tx, recipe); err != nil {
		return false, 0, err
	}
	if _, err := tx.Exec(ctx, `UPDATE recipe SET state = 'condemned', condemned_epoch = $2 WHERE id = $1 AND state = 'current'`, recipe, epoch); err != nil {
		return false, 0, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM hook WHERE object = $1`, ref)
	return true, stored, err
}

// dropEdges takes a recipe's edges out and puts its packs before the
// collector.
func dropEdges(ctx context.Context, tx *catalog.Tx, recipe int64) error {
	// DO UPDATE, not DO NOTHING: see condemnPack.
	_, err := tx.Exec(ctx, `INSERT INTO pack_check (pack) SELECT pack FROM recipe_pack WHERE recipe = $1
		ON CONFLICT (pack) DO UPDATE SET pack = excluded.pack`, recipe)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM recipe_pack WHERE recipe = $1`, recipe)
	return err
}

// condemnRecipes is the first half of step 5: recipes that were announced by
// a lease that ended otherwise, or superseded by a newer generation.
func (c *collector) condemnRecipes(ctx context.Context) error {
	var ids []int64
	err := c.view(ctx, func(tx *catalog.Tx) error {
		var err error
		ids, err = queryIDs(ctx, tx, `SELECT r.id FROM recipe r WHERE r.state IN ('announced', 'superseded')
			AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.id = r.lease AND l.state = 'live') ORDER BY r.id`)
		return err
	})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, batch) {
		var done Tally
		err := c.update(ctx, func(tx *catalog.Tx) error {
			done = Tally{}
			for _, id := range part {
				// A lease that has ended never lives again, and the commit that
				// made the recipe current would have changed its state.
				n, err := tx.Exec(ctx, `UPDATE recipe SET state = 'condemned', condemned_epoch = $2
					WHERE id = $1 AND state IN ('announced', 'superseded')`, id, c.epoch)
				if err != nil {
					return err
				}
				done.Count += n
			}
			return nil
		})
		if err != nil {
			return err
		}
		c.rep.Recipes.Count += done.Count
		for _, id := range part {
			c.rep.plan("condemn recipe %016x", id)
		}
	}
	return nil
}

// condemnPacks is the second half of step 5: packs that lost an edge or a
// lease, and have none left.
func (c *collector) condemnPacks(ctx context.Context) error {
	for after := int64(0); ; {
		var ids []int64
		err := c.view(ctx, func(tx *catalog.Tx) error {
			var err error
			ids, err = queryIDs(ctx, tx, `SELECT pack FROM pack_check WHERE pack > $1 ORDER BY pack LIMIT $2`, after, batch)
			return err
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		var gone []rowKey
		err = c.update(ctx, func(tx *catalog.Tx) error {
			gone = gone[:0]
			for _, id := range ids { // in id order, as everybody locks packs
				k, ok, err := condemnPack(ctx, tx, id, c.epoch)
				if err != nil {
					return err
				}
				if ok {
					gone = append(gone, k)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, k := range gone {
			c.rep.Condemned.add(k.bytes)
			c.rep.plan("condemn %s, %s", k.key, byteSize(k.bytes))
		}
		if err := c.d.at("gc.pack"); err != nil {
			return err
		}
	}
}

// rowKey is a row of pack or recipe with its blob.
type rowKey struct {
	id    int64
	key   string
	bytes int64
}

// condemnPack is the guard rule: the stamp is read, then no edge and no lease
// is seen, then the UPDATE tests the stamp.
//
// The row of pack_check goes first. Whoever drops an edge locks that row with
// his INSERT ... DO UPDATE until he commits, so either this DELETE waits for
// him and the look at the edges sees his, or his INSERT waits for this
// transaction and puts the row back. With DO NOTHING both could pass, and the
// pack would stay for ever.
func condemnPack(ctx context.Context, tx *catalog.Tx, id, epoch int64) (rowKey, bool, error) {
	k := rowKey{id: id}
	if _, err := tx.Exec(ctx, `DELETE FROM pack_check WHERE pack = $1`, id); err != nil {
		return k, false, err
	}
	var stamp, used int64
	err := tx.QueryRow(ctx, `SELECT stamp, key, bytes FROM pack WHERE id = $1 AND state IN ('open', 'sealed', 'draining')`, id).Scan(&stamp, &k.key, &k.bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return k, false, nil
	}
	if err != nil {
		return k, false, err
	}
	err = tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM recipe_pack WHERE pack = $1) + (SELECT COUNT(*) FROM lease_pack WHERE pack = $1)`, id).Scan(&used)
	if err != nil || used > 0 {
		return k, false, err
	}
	n, err := tx.Exec(ctx, `UPDATE pack SET state = 'condemned', condemned_epoch = $2, stamp = stamp + 1
		WHERE id = $1 AND stamp = $3 AND state IN ('open', 'sealed', 'draining')`, id, epoch, stamp)
	return k, n == 1, err
}
