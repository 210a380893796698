package depot

import (
	"context"

	"kuva/internal/catalog"
)

// UseObject is the guard rule of objects: whoever adds a reference to one
// that exists (an image row that shares it, a copy) calls it in the same
// transaction, before the reference. ErrNotFound means that the object died.
func (d *Depot) UseObject(ctx context.Context, tx *catalog.Tx, ref int64) error {
	n, err := tx.Exec(ctx, `UPDATE object SET stamp = stamp + 1 WHERE ref = $1 AND state = 'live'`, ref)
	if err == nil && n != 1 {
		err = ErrNotFound
	}
	return err
}

// Pin keeps a live object while the holder (an instance, an export, an open
// NBD session) needs it, even when its image is deleted. To pin twice is to
// pin once. ErrNotFound if the object is dead.
func (d *Depot) Pin(ctx context.Context, tx *catalog.Tx, ref int64, holder string) error {
	if err := d.UseObject(ctx, tx, ref); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO pin (object, holder) VALUES ($1, $2) ON CONFLICT DO NOTHING`, ref, holder)
	return err
}

// Unpin gives a pin up; it is no error if there is none. The collector finds
// an object that lost its last reference.
func (d *Depot) Unpin(ctx context.Context, tx *catalog.Tx, ref int64, holder string) error {
	_, err := tx.Exec(ctx, `DELETE FROM pin WHERE object = $1 AND holder = $2`, ref, holder)
	return err
}
