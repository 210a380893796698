package depot

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// audit is step 7: it lists packs and recipes and compares them with the
// ledger. A blob whose row says deleted has come back by a late Put. One that
// no row knows is deleted only if its epoch is below the current one; that the
// ledger is no older copy has been seen in step 3.
func (c *collector) audit(ctx context.Context) error {
	if err := c.d.at("gc.audit"); err != nil {
		return err
	}
	for _, prefix := range []string{"pack/", "recipe/"} {
		var part []blob.Info
		for info, err := range c.d.store.List(ctx, prefix) {
			if err != nil {
				return fmt.Errorf("list %s: %w", prefix, err)
			}
			if part = append(part, info); len(part) == 256 {
				if err := c.auditBatch(ctx, prefix, part); err != nil {
					return err
				}
				part = part[:0]
			}
		}
		if err := c.auditBatch(ctx, prefix, part); err != nil {
			return err
		}
	}
	if c.opt.DryRun {
		return nil
	}
	if err := c.recheckPacks(ctx); err != nil {
		return err
	}
	return c.dropTombstones(ctx)
}

func (c *collector) auditBatch(ctx context.Context, prefix string, part []blob.Info) error {
	if len(part) == 0 {
		return nil
	}
	args := make([]any, len(part))
	for i, info := range part {
		args[i] = info.Key
	}
	table := strings.TrimSuffix(prefix, "/")
	states := make(map[string]string, len(part))
	err := c.d.db.View(ctx, func(tx *catalog.Tx) error {
		clear(states)
		if !c.opt.DryRun {
			if err := c.leads(ctx)(tx); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, `SELECT key, state FROM `+table+` WHERE key IN (`+placeholders(1, len(args))+`)`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var key, state string
			if err := rows.Scan(&key, &state); err != nil {
				return err
			}
			states[key] = state
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	var back, unknown []rowKey
	for _, info := range part {
		k := rowKey{key: info.Key, bytes: info.Size}
		switch state, known := states[info.Key]; {
		case state == "deleted":
			back = append(back, k)
		case known:
		case c.forgotten(ctx, info.Key):
			unknown = append(unknown, k)
		}
	}
	back, err = c.deleteBlobs(ctx, back)
	if err != nil {
		return err
	}
	unknown, err = c.deleteBlobs(ctx, unknown)
	if err != nil {
		return err
	}
	c.rep.Returned += int64(len(back))
	for _, k := range back {
		c.rep.plan("delete %s once more, %s", k.key, byteSize(k.bytes))
	}
	for _, k := range unknown {
		c.rep.Unknown.add(k.bytes)
		c.rep.plan("delete unknown %s, %s", k.key, byteSize(k.bytes))
	}
	return nil
}

// forgotten reports whether a blob that no row knows is surely of a former
// epoch. A recipe's key tells no epoch; those of its packs do.
func (c *collector) forgotten(ctx context.Context, key string) bool {
	if p, ok := parsePackKey(key); ok {
		return p.Epoch < c.epoch
	}
	if _, _, _, ok := parseRecipeKey(key); !ok {
		c.rep.note("%s is no blob of this depot", key)
		return false
	}
	r, err := c.d.loadRoot(ctx, key)
	if isNotFound(err) {
		return false
	}
	if err != nil {
		c.rep.note("unknown recipe: %v", err)
		return false
	}
	for _, p := range r.Packs {
		if p.Ref.Epoch >= c.epoch {
			return false
		}
	}
	return true
}

// recheckPacks puts packs before the next cycle that nothing refers to and
// that no queue names: a net under pack_check.
func (c *collector) recheckPacks(ctx context.Context) error {
	return c.update(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO pack_check (pack) SELECT p.id FROM pack p WHERE p.state IN ('open', 'sealed', 'draining')
			AND NOT EXISTS (SELECT 1 FROM recipe_pack e WHERE e.pack = p.id)
			AND NOT EXISTS (SELECT 1 FROM lease_pack l WHERE l.pack = p.id)
			ON CONFLICT (pack) DO UPDATE SET pack = excluded.pack`)
		return err
	})
}

// dropTombstones forgets what was deleted two epochs ago or more. Recipes of
// objects that live keep their rows, because their generation numbers are
// never to be used again. Leases that ended go once the newest row is a week
// younger; whoever asks for one that is gone takes it for lost.
func (c *collector) dropTombstones(ctx context.Context) error {
	week := int64(7 * 24 * 3600 * 1e6)
	queries := []struct {
		text string
		arg  int64
	}{
		{`DELETE FROM pack WHERE state = 'deleted' AND condemned_epoch <= $1`, c.epoch - 3},
		{`DELETE FROM recipe WHERE state = 'deleted' AND condemned_epoch <= $1
			AND NOT EXISTS (SELECT 1 FROM object o WHERE o.ref = recipe.object AND o.state = 'live')`, c.epoch - 3},
		{`DELETE FROM object WHERE state = 'dead' AND ref > $1 AND NOT EXISTS (SELECT 1 FROM recipe r WHERE r.object = object.ref)`, 0},
		{`DELETE FROM lease WHERE state IN ('committed', 'aborted', 'expired') AND created < (SELECT MAX(l.created) FROM lease l) - $1`, week},
	}
	for _, q := range queries {
		var n int64
		err := c.update(ctx, func(tx *catalog.Tx) error {
			var err error
			n, err = tx.Exec(ctx, q.text, q.arg)
			return err
		})
		if err != nil {
			return err
		}
		c.rep.Dropped += n
	}
	return nil
}

// parsePackKey is the inverse of PackRef.Key, but for the key id, which the
// blob key does not tell.
func parsePackKey(key string) (PackRef, bool) {
	f := strings.Split(key, "/")
	if len(f) != 4 || f[0] != "pack" {
		return PackRef{}, false
	}
	realm, err1 := strconv.ParseInt(f[1], 16, 64)
	epoch, err2 := strconv.ParseInt(f[2], 10, 64)
	id, err3 := strconv.ParseInt(f[3], 16, 64)
	p := PackRef{Realm: realm, Epoch: epoch, ID: id}
	return p, err1 == nil && err2 == nil && err3 == nil && p.Key() == key
}

// parseRecipeKey is the inverse of recipeKey.
func parseRecipeKey(key string) (realm, object, gen int64, ok bool) {
	f := strings.Split(key, "/")
	if len(f) != 4 || f[0] != "recipe" {
		return 0, 0, 0, false
	}
	realm, err1 := strconv.ParseInt(f[1], 16, 64)
	object, err2 := strconv.ParseInt(f[2], 16, 64)
	gen, err3 := strconv.ParseInt(f[3], 10, 64)
	return realm, object, gen, err1 == nil && err2 == nil && err3 == nil && recipeKey(realm, object, gen) == key
}
