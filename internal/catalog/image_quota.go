package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"kuva"
)

// QuotaUse is what a project holds now.
type QuotaUse struct {
	Images   int64 // image records
	Bytes    int64 // bytes as shown, of images with content
	Reserved int64 // bytes that uploads under way hold
	Uploads  int64 // uploads under way
}

// quotaFields are the limits by name, in the order of kuva.Quota.
func quotaFields(q *kuva.Quota) map[string]*int64 {
	return map[string]*int64{
		"images": &q.Images, "bytes": &q.Bytes, "image_size": &q.ImageSize, "virtual_size": &q.VirtualSize,
		"members": &q.Members, "tags": &q.Tags, "properties": &q.Properties, "uploads": &q.Uploads,
	}
}

// IsQuotaName reports whether a limit of this name exists.
func IsQuotaName(name string) bool { return quotaFields(new(kuva.Quota))[name] != nil }

// GetQuota returns a project's limits: the site's where the operator set no
// other.
func GetQuota(ctx context.Context, tx *Tx, project string, site kuva.Quota) (kuva.Quota, error) {
	rows, err := tx.Query(ctx, `SELECT name, value FROM quota WHERE project = $1`, project)
	if err != nil {
		return site, err
	}
	defer rows.Close()
	fields := quotaFields(&site)
	for rows.Next() {
		var name string
		var value int64
		if err := rows.Scan(&name, &value); err != nil {
			return site, classify(err)
		}
		if f := fields[name]; f != nil {
			*f = value
		}
	}
	return site, classify(rows.Err())
}

// SetQuota sets one limit of a project; nil takes it back to the site's.
func SetQuota(ctx context.Context, tx *Tx, project, name string, value *int64) error {
	var err error
	if value == nil {
		_, err = tx.Exec(ctx, `DELETE FROM quota WHERE project = $1 AND name = $2`, project, name)
	} else {
		_, err = tx.Exec(ctx, `INSERT INTO quota (project, name, value) VALUES ($1, $2, $3)
			ON CONFLICT (project, name) DO UPDATE SET value = excluded.value`, project, name, *value)
	}
	return err
}

// GetUse returns what a project holds, without holding it still.
func GetUse(ctx context.Context, tx *Tx, project string) (QuotaUse, error) {
	return scanUse(tx.QueryRow(ctx, `SELECT images, bytes, reserved, uploads FROM quota_use WHERE project = $1`, project))
}

// LockUse returns what a project holds; nobody else takes or gives before the
// transaction ends. Where a transaction changes an image as well, it locks
// the image first.
func LockUse(ctx context.Context, tx *Tx, project string) (QuotaUse, error) {
	_, err := tx.Exec(ctx, `INSERT INTO quota_use (project, images, bytes, reserved, uploads) VALUES ($1, 0, 0, 0, 0)
		ON CONFLICT (project) DO NOTHING`, project)
	if err != nil {
		return QuotaUse{}, err
	}
	return scanUse(tx.QueryRow(ctx, `SELECT images, bytes, reserved, uploads FROM quota_use WHERE project = $1`+tx.Dialect().ForUpdate(), project))
}

func scanUse(row *sql.Row) (u QuotaUse, err error) {
	err = row.Scan(&u.Images, &u.Bytes, &u.Reserved, &u.Uploads)
	if errors.Is(err, sql.ErrNoRows) {
		return QuotaUse{}, nil
	}
	return u, classify(err)
}

// AddUse adds d, whose members may be negative, to what a project holds.
func AddUse(ctx context.Context, tx *Tx, project string, d QuotaUse) error {
	_, err := tx.Exec(ctx, `INSERT INTO quota_use (project, images, bytes, reserved, uploads) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (project) DO UPDATE SET images = quota_use.images + excluded.images, bytes = quota_use.bytes + excluded.bytes,
		reserved = quota_use.reserved + excluded.reserved, uploads = quota_use.uploads + excluded.uploads`,
		project, d.Images, d.Bytes, d.Reserved, d.Uploads)
	return err
}

// WaitingLease is the lease of a reservation for content that comes in parts,
// over days perhaps: it holds bytes, and does not count as an upload under way.
const WaitingLease = int64(-1)

// underWay is how many uploads a reservation counts for.
func underWay(lease int64) int64 {
	if lease == WaitingLease {
		return 0
	}
	return 1
}

// BeginReservation is the start of an upload: one more for the project, with
// bytes reserved. The caller has locked the project's row.
func BeginReservation(ctx context.Context, tx *Tx, image, project string, lease, bytes int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO reservation (image, project, lease, bytes) VALUES ($1, $2, $3, $4)`, image, project, lease, bytes)
	if err != nil {
		return fmt.Errorf("reserve for image %s: %w", image, err)
	}
	return AddUse(ctx, tx, project, QuotaUse{Reserved: bytes, Uploads: underWay(lease)})
}

// GetReservation says which project an upload is charged to. It reports false
// where the lease holds nothing (any more).
func GetReservation(ctx context.Context, tx *Tx, image string, lease int64) (project string, ok bool, err error) {
	err = tx.QueryRow(ctx, `SELECT project FROM reservation WHERE image = $1 AND lease = $2`, image, lease).Scan(&project)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return project, err == nil, classify(err)
}

// GrowReservation adds to what an upload holds, in the row and in the
// project's sum. The caller has locked the project's row.
func GrowReservation(ctx context.Context, tx *Tx, image, project string, bytes int64) error {
	n, err := tx.Exec(ctx, `UPDATE reservation SET bytes = bytes + $3 WHERE image = $1 AND project = $2`, image, project, bytes)
	if err != nil || n == 0 {
		return err
	}
	return AddUse(ctx, tx, project, QuotaUse{Reserved: bytes})
}

// DropReservation gives back what an upload held. It reports false where it
// holds nothing (any more).
func DropReservation(ctx context.Context, tx *Tx, image string) (bool, error) {
	var project string
	var bytes, lease int64
	err := tx.QueryRow(ctx, `DELETE FROM reservation WHERE image = $1 RETURNING project, bytes, lease`, image).Scan(&project, &bytes, &lease)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reservation of image %s: %w", image, classify(err))
	}
	return true, AddUse(ctx, tx, project, QuotaUse{Reserved: -bytes, Uploads: -underWay(lease)})
}

// MoveReservation charges an upload under way to another project.
func MoveReservation(ctx context.Context, tx *Tx, image, project string) error {
	var was string
	var bytes, lease int64
	err := tx.QueryRow(ctx, `SELECT project, bytes, lease FROM reservation WHERE image = $1`, image).Scan(&was, &bytes, &lease)
	if errors.Is(err, sql.ErrNoRows) || err == nil && was == project {
		return nil
	}
	if err != nil {
		return classify(err)
	}
	if _, err := tx.Exec(ctx, `UPDATE reservation SET project = $2 WHERE image = $1`, image, project); err != nil {
		return err
	}
	if err := AddUse(ctx, tx, was, QuotaUse{Reserved: -bytes, Uploads: -underWay(lease)}); err != nil {
		return err
	}
	return AddUse(ctx, tx, project, QuotaUse{Reserved: bytes, Uploads: underWay(lease)})
}

// SumUse counts what a project holds from the images and reservations
// themselves, to compare with GetUse.
func SumUse(ctx context.Context, tx *Tx, project string) (u QuotaUse, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN object <> 0 THEN size ELSE 0 END), 0) AS BIGINT)
		FROM image WHERE owner = $1 AND deleted_at = 0`, project).Scan(&u.Images, &u.Bytes)
	if err != nil {
		return u, classify(err)
	}
	err = tx.QueryRow(ctx, `SELECT CAST(COALESCE(SUM(CASE WHEN lease <> $2 THEN 1 ELSE 0 END), 0) AS BIGINT), CAST(COALESCE(SUM(bytes), 0) AS BIGINT)
		FROM reservation WHERE project = $1`, project, WaitingLease).Scan(&u.Uploads, &u.Reserved)
	return u, classify(err)
}

// ProjectsWithUse lists the projects that have ever held something, after the
// one given, at most limit.
func ProjectsWithUse(ctx context.Context, tx *Tx, after string, limit int) ([]string, error) {
	return imageIDs(ctx, tx, `SELECT project FROM quota_use WHERE project > $1 ORDER BY project LIMIT $2`, after, limit)
}

// UsageDay is what a project kept on one day.
type UsageDay struct {
	Day    string // 2026-11-21, UTC
	Images int64  // image records
	Shown  int64  // bytes as shown
	Stored int64  // sealed bytes that its images refer to
	Unique int64  // sealed bytes that nobody else refers to
}

// PutUsageDay writes a project's day; a later call replaces it.
func PutUsageDay(ctx context.Context, tx *Tx, project string, d UsageDay) error {
	_, err := tx.Exec(ctx, `INSERT INTO usage_day (project, day, images, shown, stored, uniq) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (project, day) DO UPDATE SET images = excluded.images, shown = excluded.shown, stored = excluded.stored, uniq = excluded.uniq`,
		project, d.Day, d.Images, d.Shown, d.Stored, d.Unique)
	return err
}

// UsageDays returns a project's days from first to last, inclusive.
func UsageDays(ctx context.Context, tx *Tx, project, first, last string) ([]UsageDay, error) {
	rows, err := tx.Query(ctx, `SELECT day, images, shown, stored, uniq FROM usage_day
		WHERE project = $1 AND day >= $2 AND day <= $3 ORDER BY day`, project, first, last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []UsageDay
	for rows.Next() {
		var d UsageDay
		if err := rows.Scan(&d.Day, &d.Images, &d.Shown, &d.Stored, &d.Unique); err != nil {
			return nil, classify(err)
		}
		out = append(out, d)
	}
	return out, classify(rows.Err())
}
