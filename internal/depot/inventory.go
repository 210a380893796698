package depot

import (
	"context"
	"fmt"

	"kuva/internal/catalog"
)

// Inventory is what a ledger knows of its store: what a copy of the ledger
// needs beside it to be whole.
type Inventory struct {
	StoreID string // content of the blob "store"
	Epoch   int64
	// Blobs are the packs that are sealed or draining, the current recipes and
	// the wrapped keys, with their sizes; -1 where the ledger does not say.
	Blobs map[string]int64
	// Images are the versions of all live images' rows. A card that is newer
	// than its row would look like a ledger that was rolled back.
	Images map[string]int64
	// Deleted are the versions of the rows of deleted images.
	Deleted map[string]int64
}

// TakeInventory reads a ledger, in one transaction. It holds some hundred
// bytes for each pack and image.
func TakeInventory(ctx context.Context, db *catalog.DB) (Inventory, error) {
	var inv Inventory
	err := db.View(ctx, func(tx *catalog.Tx) error {
		inv = Inventory{Blobs: map[string]int64{}, Images: map[string]int64{}, Deleted: map[string]int64{}}
		if err := tx.QueryRow(ctx, `SELECT store_id, epoch FROM store WHERE id = 1`).Scan(&inv.StoreID, &inv.Epoch); err != nil {
			return err
		}
		inv.StoreID = storeBlob(inv.StoreID)
		if err := inv.readBlobs(ctx, tx); err != nil {
			return err
		}
		if err := inv.readKeys(ctx, tx); err != nil {
			return err
		}
		return inv.readImages(ctx, tx)
	})
	if err != nil {
		err = fmt.Errorf("inventory of the ledger: %w", err)
	}
	return inv, err
}

func (inv *Inventory) readBlobs(ctx context.Context, tx *catalog.Tx) error {
	rows, err := tx.Query(ctx, `SELECT key, bytes FROM pack WHERE state IN ('sealed', 'draining')
		UNION ALL SELECT key, bytes FROM recipe WHERE state = 'current'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		var size int64
		if err := rows.Scan(&key, &size); err != nil {
			return err
		}
		inv.Blobs[key] = size
	}
	return rows.Err()
}

func (inv *Inventory) readKeys(ctx context.Context, tx *catalog.Tx) error {
	rows, err := tx.Query(ctx, `SELECT realm, key_id, wrap_no FROM realm_key`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var realm, id, wrap int64
		if err := rows.Scan(&realm, &id, &wrap); err != nil {
			return err
		}
		inv.Blobs[keyKey(realm, id, wrap)] = -1
	}
	return rows.Err()
}

func (inv *Inventory) readImages(ctx context.Context, tx *catalog.Tx) error {
	rows, err := tx.Query(ctx, `SELECT id, version, deleted_at FROM image`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var version, deleted int64
		if err := rows.Scan(&id, &version, &deleted); err != nil {
			return err
		}
		if deleted == 0 {
			inv.Images[id] = version
		} else {
			inv.Deleted[id] = version
		}
	}
	return rows.Err()
}

// Needs reports whether the ledger still needs a blob of an inventory taken
// before.
func Needs(ctx context.Context, db *catalog.DB, key string) (bool, error) {
	var n int64
	err := db.View(ctx, func(tx *catalog.Tx) error {
		return tx.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM pack WHERE key = $1 AND state IN ('sealed', 'draining'))
			+ (SELECT COUNT(*) FROM recipe WHERE key = $1 AND state = 'current')`, key).Scan(&n)
	})
	return n > 0, err
}

// ForgetCards makes a copy of a ledger say which card of an image is durable
// where another one than the original's was copied; 0 is none. A service that
// starts with the copy writes what is missing.
func ForgetCards(ctx context.Context, db *catalog.DB, durable map[string]int64) error {
	return db.Update(ctx, func(tx *catalog.Tx) error {
		for image, version := range durable {
			if _, err := tx.Exec(ctx, `UPDATE image SET card_version = $2 WHERE id = $1 AND card_version > $2`, image, version); err != nil {
				return err
			}
		}
		return nil
	})
}

// CardOf takes the key of a card apart.
func CardOf(key string) (image string, version int64, ok bool) { return parseCardKey(key) }

// EpochKey is the key of the blob that says that a cycle has begun.
func EpochKey(n int64) string { return epochKey(n) }
