package catalogtest

import (
	"testing"

	"kuva/internal/catalog"
)

// Big is the project that owns a quarter of the images that Fill makes.
const Big = "big"

// Fill makes count images with tags and properties, and a member for every
// tenth of them, as calls would have left them: in the database alone, so that
// a million takes minutes. Others than Big's belong to 1,000 projects p0 … p999.
// One in twenty is public, one in twenty community, eight in twenty shared,
// the rest private. Ten bear the same name, 1 in 50 the tag t0, five the tag
// u0, one in ten the property os_distro=d0, three the property serial=s0.
func Fill(tb testing.TB, db *catalog.DB, count int64) {
	tb.Helper()
	const rows = `WITH RECURSIVE r (i) AS (SELECT CAST($2 AS BIGINT) UNION ALL SELECT i + 1 FROM r WHERE i + 1 < $1),
		n AS (SELECT i, (i * 2654435761) % 1000003 AS h, '00000000-0000-4000-8000-' || (100000000000 + (i * 2654435761) % 100000000000) AS id,
		1700000000000000 + i * 1000000 AS at FROM r) `
	statements := []string{
		`INSERT INTO image (id, name, owner, status, visibility, disk_format, container_format, protected, hidden, min_disk, min_ram, size,
		virtual_size, md5, hash_algo, hash_value, object, realm, was_object, origin, base_image, instance_uuid, failure, tags, properties, lease,
		version, card_version, created_at, updated_at, deleted_at, read_at, reads, recovered) ` + rows + `
		SELECT id, 'name ' || (i / 10), CASE WHEN i % 4 = 0 THEN 'big' ELSE 'p' || (h % 1000) END,
		CASE WHEN h % 10 = 0 THEN 'queued' ELSE 'active' END,
		CASE (h / 7) % 20 WHEN 0 THEN 'public' WHEN 1 THEN 'community' WHEN 2 THEN 'shared' WHEN 3 THEN 'shared' WHEN 4 THEN 'shared'
		WHEN 5 THEN 'shared' WHEN 6 THEN 'shared' WHEN 7 THEN 'shared' WHEN 8 THEN 'shared' WHEN 9 THEN 'shared' ELSE 'private' END,
		CASE h % 5 WHEN 0 THEN 'raw' WHEN 1 THEN 'vmdk' WHEN 2 THEN 'iso' ELSE 'qcow2' END, 'bare', false, false, 0, 0, h * 1000, h * 1000,
		'md5-' || (i / 3), 'sha512', 'hash-' || (i / 3), 0, '', 0, '', '', '', '',
		'["t' || (i % 50) || '","u' || (i / 5) || '"]', '{"os_distro":"d' || (i % 10) || '","serial":"s' || (i / 3) || '"}',
		0, 1, 1, at, at + h, 0, 0, 0, false FROM n`,
		`INSERT INTO image_tag (tag, image) ` + rows + `SELECT 't' || (i % 50), id FROM n`,
		`INSERT INTO image_tag (tag, image) ` + rows + `SELECT 'u' || (i / 5), id FROM n`,
		`INSERT INTO image_property (image, name, value) ` + rows + `SELECT id, 'os_distro', 'd' || (i % 10) FROM n`,
		`INSERT INTO image_property (image, name, value) ` + rows + `SELECT id, 'serial', 's' || (i / 3) FROM n`,
		`INSERT INTO image_member (image, project, status, created_at, updated_at, image_created_at) ` + rows + `
		SELECT id, 'p' || ((h + 1) % 1000), CASE i % 30 WHEN 0 THEN 'pending' ELSE 'accepted' END, at, at, at FROM n WHERE i % 10 = 5`,
	}
	// A transaction has two minutes.
	const batch = 100_000
	for from := int64(0); from < count; from += batch {
		for _, text := range statements {
			err := db.Update(tb.Context(), func(tx *catalog.Tx) error {
				_, err := tx.Exec(tb.Context(), text, min(from+batch, count), from)
				return err
			})
			if err != nil {
				tb.Fatalf("fill: %v", err)
			}
		}
	}
	err := db.Update(tb.Context(), func(tx *catalog.Tx) error {
		if tx.Dialect() != catalog.PostgreSQL {
			return nil // kuva keeps no statistics of SQLite
		}
		_, err := tx.Exec(tb.Context(), "ANALYZE")
		return err
	})
	if err != nil {
		tb.Fatalf("fill: %v", err)
	}
}
