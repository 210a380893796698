package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Report is what an inspection told of an image.
type Report struct {
	Image  string
	Hash   string // HashValue of the content that was looked into
	JSON   string
	MadeAt time.Time
}

// PutReport keeps a report, in the place of an older one.
func PutReport(ctx context.Context, tx *Tx, r Report) error {
	_, err := tx.Exec(ctx, `INSERT INTO image_report (image, hash, report, made_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (image) DO UPDATE SET hash = excluded.hash, report = excluded.report, made_at = excluded.made_at`,
		r.Image, r.Hash, r.JSON, toMicro(r.MadeAt))
	return err
}

// GetReport returns an image's report; ok is false where there is none.
func GetReport(ctx context.Context, tx *Tx, image string) (r Report, ok bool, err error) {
	var at int64
	err = tx.QueryRow(ctx, `SELECT image, hash, report, made_at FROM image_report WHERE image = $1`, image).Scan(&r.Image, &r.Hash, &r.JSON, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return r, false, nil
	}
	r.MadeAt = fromMicro(at)
	return r, err == nil, classify(err)
}

// DropReport forgets an image's report; it is no error if there is none.
func DropReport(ctx context.Context, tx *Tx, image string) error {
	_, err := tx.Exec(ctx, `DELETE FROM image_report WHERE image = $1`, image)
	return err
}
