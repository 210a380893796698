package catalog

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Staged is content that waits for its image.
type Staged struct {
	Object    int64 // pinned
	Size      int64
	CreatedAt time.Time
}

// PutStaged notes what is staged for an image; there is at most one.
func PutStaged(ctx context.Context, tx *Tx, image string, s Staged) error {
	_, err := tx.Exec(ctx, `INSERT INTO image_staged (image, object, size, created_at) VALUES ($1, $2, $3, $4)`,
		image, s.Object, s.Size, toMicro(s.CreatedAt))
	return err
}

// GetStaged returns what is staged for an image; ok is false where nothing is.
func GetStaged(ctx context.Context, tx *Tx, image string) (s Staged, ok bool, err error) {
	var at int64
	err = tx.QueryRow(ctx, `SELECT object, size, created_at FROM image_staged WHERE image = $1`, image).Scan(&s.Object, &s.Size, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return s, false, nil
	}
	s.CreatedAt = fromMicro(at)
	return s, err == nil, classify(err)
}

// DropStaged forgets what is staged and returns the object, 0 where there was
// none. The caller unpins it.
func DropStaged(ctx context.Context, tx *Tx, image string) (object int64, err error) {
	return dropped(tx.QueryRow(ctx, `DELETE FROM image_staged WHERE image = $1 RETURNING object`, image))
}

func dropped(row *sql.Row) (object int64, err error) {
	err = row.Scan(&object)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return object, classify(err)
}

// SetImport names the job that brings an image's content; "" ends it.
func SetImport(ctx context.Context, tx *Tx, image, job string) error {
	if job == "" {
		_, err := tx.Exec(ctx, `DELETE FROM image_import WHERE image = $1`, image)
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO image_import (image, job) VALUES ($1, $2) ON CONFLICT (image) DO UPDATE SET job = excluded.job`, image, job)
	return err
}

// GetImport returns the job that brings an image's content, "" where none does.
func GetImport(ctx context.Context, tx *Tx, image string) (job string, err error) {
	err = tx.QueryRow(ctx, `SELECT job FROM image_import WHERE image = $1`, image).Scan(&job)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return job, classify(err)
}

// EndedImports lists ids of at most limit images whose job has ended, or is
// not known any more, without saying so.
func EndedImports(ctx context.Context, tx *Tx, limit int) ([]string, error) {
	return imageIDs(ctx, tx, `SELECT i.image FROM image_import i LEFT JOIN job j ON j.id = i.job
		WHERE j.id IS NULL OR j.state IN ('succeeded', 'failed', 'cancelled') ORDER BY i.image LIMIT $1`, limit)
}

// UnhashedImages lists ids, behind the one given, of at most limit images whose
// content's digests are not known.
func UnhashedImages(ctx context.Context, tx *Tx, after string, limit int) ([]string, error) {
	return imageIDs(ctx, tx, `SELECT id FROM image WHERE object <> 0 AND hash_value = '' AND deleted_at = 0 AND id > $1 ORDER BY id LIMIT $2`, after, limit)
}

// SetLocation notes where an image's content was fetched from; "" forgets it.
func SetLocation(ctx context.Context, tx *Tx, image, url string) error {
	if url == "" {
		_, err := tx.Exec(ctx, `DELETE FROM image_location WHERE image = $1`, image)
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO image_location (image, url) VALUES ($1, $2) ON CONFLICT (image) DO UPDATE SET url = excluded.url`, image, url)
	return err
}

// GetLocation returns where an image's content was fetched from, "" where
// nobody said.
func GetLocation(ctx context.Context, tx *Tx, image string) (url string, err error) {
	err = tx.QueryRow(ctx, `SELECT url FROM image_location WHERE image = $1`, image).Scan(&url)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return url, classify(err)
}

// PutOutgrown notes an object that an image does not refer to any more and
// that is pinned for its readers.
func PutOutgrown(ctx context.Context, tx *Tx, object int64, image string, at time.Time) error {
	_, err := tx.Exec(ctx, `INSERT INTO image_outgrown (object, image, at) VALUES ($1, $2, $3)
		ON CONFLICT (object) DO UPDATE SET image = excluded.image, at = excluded.at`, object, image, toMicro(at))
	return err
}

// DropOutgrown forgets one object that an image has outgrown and returns it,
// 0 where there is none. The caller unpins it.
func DropOutgrown(ctx context.Context, tx *Tx, image string) (object int64, err error) {
	return dropped(tx.QueryRow(ctx, `DELETE FROM image_outgrown WHERE object = (SELECT MIN(object) FROM image_outgrown WHERE image = $1) RETURNING object`, image))
}

// DropOutgrownBefore is DropOutgrown for those noted before a time, of any
// image.
func DropOutgrownBefore(ctx context.Context, tx *Tx, before time.Time) (object int64, err error) {
	return dropped(tx.QueryRow(ctx, `DELETE FROM image_outgrown WHERE object = (SELECT MIN(object) FROM image_outgrown WHERE at < $1) RETURNING object`, toMicro(before)))
}
