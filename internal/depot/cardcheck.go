package depot

import (
	"context"
	"errors"
	"fmt"

	"kuva/internal/catalog"
)

// imageRow is what the depot reads of an image.
type imageRow struct {
	version int64
	card    int64 // newest version whose card is durable
	object  int64
	deleted bool
}

// compareCards is step 3: a live card without a row, or a card newer than its
// row, means that the ledger was rolled back to before the image was
// acknowledged. It lists the cards first and reads the rows afterwards, and a
// row is always there before its card, so images made meanwhile raise no
// alarm. A delete card without a row is harmless: rows of deleted images are
// purged some day.
//
// It returns the keys of cards that are not needed any more: older versions,
// and cards of deleted images whose roots went in an earlier cycle.
func (c *collector) compareCards(ctx context.Context) ([]string, error) {
	if err := c.d.at("gc.compare"); err != nil {
		return nil, err
	}
	var drop []string
	var images []imageCards
	flush := func() error {
		more, err := c.compareBatch(ctx, images)
		drop, images = append(drop, more...), images[:0]
		return err
	}
	for ic, err := range listCards(ctx, c.d.store) {
		if err != nil {
			return nil, err
		}
		if images = append(images, ic); len(images) == 256 {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return drop, flush()
}

func (c *collector) compareBatch(ctx context.Context, images []imageCards) ([]string, error) {
	if len(images) == 0 {
		return nil, nil
	}
	rows, err := c.d.imageRows(ctx, images)
	if err != nil {
		return nil, err
	}
	var drop []string
	for _, ic := range images {
		row, ok := rows[ic.image]
		key := cardKey(ic.image, ic.newest)
		if ok && ic.newest > row.version {
			return nil, c.rolledBack(fmt.Sprintf("card %s is newer than its image", key))
		}
		for _, v := range ic.older {
			drop = append(drop, cardKey(ic.image, v))
		}
		if ok && !row.deleted {
			continue
		}
		card, err := c.d.readCard(ctx, key)
		if isNotFound(err) {
			continue // a newer one took its place meanwhile
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		if err != nil {
			c.rep.note("%v", err)
			continue
		}
		if !ok && !card.Deleted {
			return nil, c.rolledBack(fmt.Sprintf("card %s is of an image that the database does not know", key))
		}
		// The delete card goes last of all: an older card that is still there
		// would bring the image back at a rebuild.
		if card.Deleted && len(ic.older) == 0 {
			gone, err := c.rootsGone(ctx, key, card.Object)
			if err != nil {
				return nil, err
			}
			if gone {
				drop = append(drop, key)
			}
		}
	}
	return drop, nil
}

// rootsGone reports whether the object of a delete card was deleted in an
// earlier cycle. An image that never had one keeps its card until a cycle after
// the one that saw it first: a ledger restored from a copy of this very epoch
// would go unnoticed, and only the card knows of the delete.
func (c *collector) rootsGone(ctx context.Context, key string, object int64) (bool, error) {
	if object == 0 {
		return c.seenBefore(key), nil
	}
	var left int64
	err := c.d.db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM object WHERE ref = $1 AND state = 'live')
			+ (SELECT COUNT(*) FROM recipe WHERE object = $1 AND (state <> 'deleted' OR condemned_epoch > $2))`, object, c.epoch-2).Scan(&left)
	})
	return left == 0, err
}

// seenBefore notes a delete card and reports whether an earlier cycle of this
// process did.
func (c *collector) seenBefore(key string) bool {
	k := &c.d.keep
	k.mu.Lock()
	defer k.mu.Unlock()
	first, ok := k.tombs[key]
	switch {
	case !ok && !c.opt.DryRun:
		if k.tombs == nil || len(k.tombs) >= tombsMost {
			k.tombs = map[string]int64{}
		}
		k.tombs[key] = c.epoch
	case ok && first < c.epoch:
		if !c.opt.DryRun {
			delete(k.tombs, key)
		}
		return true
	}
	return false
}

// tombsMost bounds what the collector remembers of delete cards; those
// forgotten wait for one cycle more.
const tombsMost = 1 << 16

func (c *collector) rolledBack(why string) error {
	c.d.setReadOnly(why + ": the database was restored from an older copy; run `kuva depot rebuild --merge`")
	return c.d.ReadOnly()
}

// imageRows reads the rows of images that have cards.
func (d *Depot) imageRows(ctx context.Context, images []imageCards) (map[string]imageRow, error) {
	args := make([]any, len(images))
	for i, ic := range images {
		args[i] = ic.image
	}
	found := make(map[string]imageRow, len(images))
	err := d.db.View(ctx, func(tx *catalog.Tx) error {
		clear(found)
		rows, err := tx.Query(ctx, `SELECT id, version, card_version, object, deleted_at FROM image WHERE id IN (`+placeholders(1, len(args))+`)`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var r imageRow
			var deleted int64
			if err := rows.Scan(&id, &r.version, &r.card, &r.object, &deleted); err != nil {
				return err
			}
			r.deleted = deleted != 0
			found[id] = r
		}
		return rows.Err()
	})
	return found, err
}

// dropCards removes the cards that compareCards found unneeded.
func (c *collector) dropCards(ctx context.Context, keys []string) error {
	doomed := make([]rowKey, len(keys))
	for i, k := range keys {
		doomed[i].key = k
	}
	gone, err := c.deleteBlobs(ctx, doomed)
	if err != nil {
		return err
	}
	c.rep.Cards += int64(len(gone))
	for _, k := range gone {
		c.rep.plan("delete %s", k.key)
	}
	return nil
}
