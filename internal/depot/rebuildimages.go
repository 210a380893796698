package depot

import (
	"context"
	"fmt"
	"slices"

	"kuva/internal/catalog"
)

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
		rows, err := tx.Query(ctx, `SELECT id, version, card_version, object, deleted_at FROM image`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var version, card, object, deleted int64
			if err := rows.Scan(&id, &version, &card, &object, &deleted); err != nil {
				return err
			}
			r.ledger[id] = version
			// Content was durable before its row: so was the card, soon after,
			// even if the copy of the database is of the moment between.
			if (card > 0 || object != 0) && deleted == 0 {
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
