package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Offer is an image that its owner wants to give to another project.
type Offer struct {
	Image     string
	Owner     string // that offered it
	Project   string // that it is offered to
	CreatedAt time.Time
}

// PutOffer makes an offer, in the place of one that was made before.
func PutOffer(ctx context.Context, tx *Tx, o Offer) error {
	_, err := tx.Exec(ctx, `INSERT INTO image_offer (image, owner, project, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (image) DO UPDATE SET owner = excluded.owner, project = excluded.project, created_at = excluded.created_at`,
		o.Image, o.Owner, o.Project, toMicro(o.CreatedAt))
	return err
}

// GetOffer returns an image's offer; ok is false where there is none.
func GetOffer(ctx context.Context, tx *Tx, image string) (o Offer, ok bool, err error) {
	var at int64
	err = tx.QueryRow(ctx, `SELECT image, owner, project, created_at FROM image_offer WHERE image = $1`, image).Scan(&o.Image, &o.Owner, &o.Project, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return o, false, nil
	}
	o.CreatedAt = fromMicro(at)
	return o, err == nil, classify(err)
}

// DropOffer ends an image's offer; it is no error if there is none.
func DropOffer(ctx context.Context, tx *Tx, image string) error {
	_, err := tx.Exec(ctx, `DELETE FROM image_offer WHERE image = $1`, image)
	return err
}

// ListOffers returns at most limit offers by and to a project ("" is all),
// by image, after the one given.
func ListOffers(ctx context.Context, tx *Tx, project, after string, limit int) ([]Offer, error) {
	rows, err := tx.Query(ctx, `SELECT image, owner, project, created_at FROM image_offer
		WHERE image > $2 AND ($1 = '' OR project = $1 OR owner = $1) ORDER BY image LIMIT $3`, project, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Offer
	for rows.Next() {
		var o Offer
		var at int64
		if err := rows.Scan(&o.Image, &o.Owner, &o.Project, &at); err != nil {
			return nil, classify(err)
		}
		o.CreatedAt = fromMicro(at)
		out = append(out, o)
	}
	return out, classify(rows.Err())
}
