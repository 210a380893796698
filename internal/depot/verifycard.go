package depot

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"kuva/internal/blob"
	"kuva/internal/catalog"
)

// KeyChecker is a power of key services that can look at a wrapping key as it
// is kept now, past what they hold in memory.
type KeyChecker interface {
	// Check reads the named key; an error says what is wrong with it.
	Check(ctx context.Context, name string) error
}

// verifyKeys compares the store's id, its epochs and the wrapped keys with the
// ledger, byte for byte, and opens every key.
func (v *verifier) verifyKeys(ctx context.Context) error {
	d := v.d
	var id string
	var keys []keyBlob
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		keys = nil
		if err := tx.QueryRow(ctx, `SELECT store_id FROM store WHERE id = 1`).Scan(&id); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT r.id, r.kind, r.project, r.wrapping_key, k.key_id, k.wrapped, k.wrap_no
			FROM realm r JOIN realm_key k ON k.realm = r.id WHERE r.state <> 'shredded' ORDER BY r.id, k.key_id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var k keyBlob
			var wrapped string
			if err := rows.Scan(&k.Realm, &k.Kind, &k.Project, &k.WrappingKey, &k.KeyID, &wrapped, &k.WrapNo); err != nil {
				return err
			}
			if k.Wrapped, err = base64.StdEncoding.DecodeString(wrapped); err != nil {
				return fmt.Errorf("key %d of realm %016x: %w: %w", k.KeyID, k.Realm, ErrDamaged, err)
			}
			keys = append(keys, k)
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	if err := v.sameBlob(ctx, "store", []byte(storeBlob(id))); err != nil {
		return err
	}
	for _, k := range keys {
		v.rep.Keys++
		want, err := json.Marshal(&k)
		if err != nil {
			return err
		}
		key := keyKey(k.Realm, k.KeyID, k.WrapNo)
		if err := v.sameBlob(ctx, key, want); err != nil {
			return err
		}
		if c, ok := d.keys.(KeyChecker); ok {
			if err := c.Check(ctx, k.WrappingKey); err != nil {
				v.report(Finding{Key: key, Err: err})
				continue
			}
		}
		if _, err := d.unwrap(ctx, &k); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			v.report(Finding{Key: key, Err: err})
		}
	}
	for info, err := range d.store.List(ctx, "epoch/") {
		if err != nil {
			return err
		}
		if info.Size != 0 {
			v.report(Finding{Key: info.Key, Err: fmt.Errorf("%w: %d bytes instead of none", ErrDamaged, info.Size)})
		}
	}
	return nil
}

// sameBlob compares a small blob with what it must be.
func (v *verifier) sameBlob(ctx context.Context, key string, want []byte) error {
	got, err := blob.Get(ctx, v.d.store, key, 64<<10)
	if err == nil && !bytes.Equal(got, want) {
		err = ErrDamaged
	}
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		v.report(Finding{Key: key, Err: err})
	}
	return nil
}

// verifyCards opens every card and compares the newest of each image with the
// image's row. Rows are read after the cards, and a card never precedes its
// row.
func (v *verifier) verifyCards(ctx context.Context) error {
	newest := map[string]int64{}
	var part []imageCards
	flush := func() error {
		err := v.verifyCardBatch(ctx, part)
		part = part[:0]
		return err
	}
	for ic, err := range listCards(ctx, v.d.store) {
		if err != nil {
			return err
		}
		newest[ic.image] = ic.newest
		if part = append(part, ic); len(part) == 256 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return v.missingCards(ctx, newest)
}

func (v *verifier) verifyCardBatch(ctx context.Context, part []imageCards) error {
	if len(part) == 0 {
		return nil
	}
	cards := make([]*Card, len(part))
	for i, ic := range part {
		for _, version := range append(ic.older, ic.newest) {
			key := cardKey(ic.image, version)
			c, err := v.d.readCard(ctx, key)
			switch {
			case err == nil:
				v.rep.Cards++
				cards[i] = &c
			case isNotFound(err): // a newer one took its place
				cards[i] = nil
			case isDamage(err):
				cards[i] = nil
				v.report(Finding{Key: key, Images: []string{ic.image}, Err: err})
			default:
				return err
			}
		}
	}
	rows, err := v.d.imageRows(ctx, part)
	if err != nil {
		return err
	}
	for i, ic := range part {
		c := cards[i]
		if c == nil || c.Version != ic.newest {
			continue
		}
		row, ok := rows[ic.image]
		if err := v.compareCard(ctx, c, row, ok); err != nil {
			v.report(Finding{Key: "image " + ic.image, Images: []string{ic.image}, Err: err})
		}
	}
	return ctx.Err()
}

// compareCard holds a card against the image's row. A row that is newer than
// its card has a card to come.
func (v *verifier) compareCard(ctx context.Context, c *Card, row imageRow, ok bool) error {
	switch {
	case !ok && c.Deleted:
		return nil
	case !ok:
		return fmt.Errorf("card %d has no image: the database is an older copy, or lost the row", c.Version)
	case c.Version > row.version:
		return fmt.Errorf("card %d is newer than the image's version %d: the database is an older copy", c.Version, row.version)
	case c.Version < row.version:
		return nil
	case c.Deleted != row.deleted:
		return fmt.Errorf("%w: deleted is %t in the database and %t on card %d", ErrDamaged, row.deleted, c.Deleted, c.Version)
	case !c.Deleted && c.Object != row.object:
		return fmt.Errorf("%w: object %016x in the database and %016x on card %d", ErrDamaged, row.object, c.Object, c.Version)
	case c.Deleted || v.opt.Card == nil:
		return nil
	}
	err := v.d.db.View(ctx, func(tx *catalog.Tx) error {
		// The row may have changed since; then there is nothing to compare.
		var version int64
		err := tx.QueryRow(ctx, `SELECT version FROM image WHERE id = $1`, c.Image).Scan(&version)
		if err != nil || version != c.Version {
			return nil
		}
		return v.opt.Card(ctx, tx, *c)
	})
	return err
}

// missingCards finds rows that say that their card is durable where the store
// has none.
func (v *verifier) missingCards(ctx context.Context, newest map[string]int64) error {
	type gap struct {
		image   string
		version int64
	}
	var gaps []gap
	err := v.d.db.View(ctx, func(tx *catalog.Tx) error {
		gaps = nil
		rows, err := tx.Query(ctx, `SELECT id, card_version FROM image WHERE card_version > 0 AND deleted_at = 0`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var g gap
			if err := rows.Scan(&g.image, &g.version); err != nil {
				return err
			}
			if newest[g.image] < g.version {
				gaps = append(gaps, g)
			}
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, g := range gaps {
		// The listing is older than the row: ask for the very card, then
		// whether it is still the newest.
		_, err := v.d.store.Stat(ctx, cardKey(g.image, g.version))
		if err == nil {
			continue
		}
		if !isNotFound(err) {
			return err
		}
		rows, rowErr := v.d.imageRows(ctx, []imageCards{{image: g.image}})
		if rowErr != nil {
			return rowErr
		}
		if row, ok := rows[g.image]; !ok || row.deleted || row.card != g.version {
			continue
		}
		v.report(Finding{Key: cardKey(g.image, g.version), Images: []string{g.image}, Err: err})
	}
	return nil
}
