package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrNoExport means that there is no such export.
var ErrNoExport = errors.New("no such export")

// The states of an export.
const (
	ExportOpen      = "open"
	ExportDone      = "done"
	ExportFailed    = "failed"
	ExportCancelled = "cancelled"
)

// Export is one file that is written elsewhere. What its texts of JSON hold is
// internal/transfer/export's to know.
type Export struct {
	ID             string // and its job's
	Image, Project string
	User           string
	Object         int64 // pinned while State is ExportOpen
	Record         string
	Spec           string
	Secret         string
	State          string
	Code, Sentence string
	Upload         string
	PartSize       int64
	Size           int64 // -1 while unknown
	Sent           int64
	Result         string
	CreatedAt      time.Time
	EndedAt        time.Time
}

const exportColumns = `id, image, project, user_id, object, record, spec, secret, state, code, sentence, upload, part_size, size, sent, result,
	created_at, ended_at`

func scanExport(row scanner) (*Export, error) {
	var e Export
	var created, ended int64
	err := row.Scan(&e.ID, &e.Image, &e.Project, &e.User, &e.Object, &e.Record, &e.Spec, &e.Secret, &e.State, &e.Code, &e.Sentence,
		&e.Upload, &e.PartSize, &e.Size, &e.Sent, &e.Result, &created, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoExport
	}
	e.CreatedAt = fromMicro(created)
	if ended != 0 {
		e.EndedAt = fromMicro(ended)
	}
	return &e, classify(err)
}

// AddExport writes a new export.
func AddExport(ctx context.Context, tx *Tx, e *Export) error {
	_, err := tx.Exec(ctx, `INSERT INTO export (`+exportColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'open', '', '', '', $9, $10, 0, '', $11, 0)`,
		e.ID, e.Image, e.Project, e.User, e.Object, e.Record, e.Spec, e.Secret, e.PartSize, e.Size, toMicro(e.CreatedAt))
	return err
}

// GetExport reads one; ErrNoExport where there is none.
func GetExport(ctx context.Context, tx *Tx, id string) (*Export, error) {
	return scanExport(tx.QueryRow(ctx, `SELECT `+exportColumns+` FROM export WHERE id = $1`, id))
}

// ListExports reads at most limit exports, newest first, of an image and a
// project where these are not "", older than before where that is not nil.
func ListExports(ctx context.Context, tx *Tx, image, project string, before *Export, limit int) ([]*Export, error) {
	var where []string
	var args []any
	arg := func(v any) string { args = append(args, v); return fmt.Sprintf("$%d", len(args)) }
	if image != "" {
		where = append(where, "image = "+arg(image))
	}
	if project != "" {
		where = append(where, "project = "+arg(project))
	}
	if before != nil {
		where = append(where, "(created_at, id) < ("+arg(toMicro(before.CreatedAt))+", "+arg(before.ID)+")")
	}
	query := `SELECT ` + exportColumns + ` FROM export`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, " AND ")
	}
	return exports(ctx, tx, query+` ORDER BY created_at DESC, id DESC LIMIT `+arg(limit), args...)
}

func exports(ctx context.Context, tx *Tx, query string, args ...any) ([]*Export, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*Export
	for rows.Next() {
		e, err := scanExport(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// CountOpenExports counts those of a project.
func CountOpenExports(ctx context.Context, tx *Tx, project string) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM export WHERE project = $1 AND state = 'open'`, project).Scan(&n)
	return n, classify(err)
}

// LeftExports lists at most limit open exports whose job has ended, or is not
// known any more, without saying so.
func LeftExports(ctx context.Context, tx *Tx, limit int) ([]*Export, error) {
	return exports(ctx, tx, `SELECT `+exportColumns+` FROM export e WHERE state = 'open' AND NOT EXISTS
		(SELECT 1 FROM job j WHERE j.id = e.id AND j.state IN ('pending', 'running')) ORDER BY id LIMIT $1`, limit)
}

// SetExportUpload notes the upload that parts go to, and forgets those of the
// one before.
func SetExportUpload(ctx context.Context, tx *Tx, id, upload string, partSize int64) error {
	if _, err := tx.Exec(ctx, `DELETE FROM export_part WHERE export = $1`, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `UPDATE export SET upload = $2, part_size = $3 WHERE id = $1 AND state = 'open'`, id, upload, partSize)
	return err
}

// MarkExportUpload notes something else as the upload, and keeps its parts.
func MarkExportUpload(ctx context.Context, tx *Tx, id, upload string) error {
	_, err := tx.Exec(ctx, `UPDATE export SET upload = $2 WHERE id = $1 AND state = 'open'`, id, upload)
	return err
}

// SetExportSize notes how long the file is.
func SetExportSize(ctx context.Context, tx *Tx, id string, size int64) error {
	_, err := tx.Exec(ctx, `UPDATE export SET size = $2 WHERE id = $1`, id, size)
	return err
}

// AddExportSent counts bytes that went out.
func AddExportSent(ctx context.Context, tx *Tx, id string, n int64) error {
	_, err := tx.Exec(ctx, `UPDATE export SET sent = sent + $2 WHERE id = $1`, id, n)
	return err
}

// EndExport ends an export in a final state and forgets its secret and its
// parts. done is false where it had ended before.
func EndExport(ctx context.Context, tx *Tx, id, state, code, sentence, result string, at time.Time) (done bool, err error) {
	n, err := tx.Exec(ctx, `UPDATE export SET state = $2, code = $3, sentence = $4, result = $5, ended_at = $6, secret = '', upload = ''
		WHERE id = $1 AND state = 'open'`, id, state, code, sentence, result, toMicro(at))
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM export_part WHERE export = $1`, id)
	return true, err
}

// DropExports forgets those that ended before a time.
func DropExports(ctx context.Context, tx *Tx, before time.Time) error {
	_, err := tx.Exec(ctx, `DELETE FROM export WHERE state <> 'open' AND ended_at < $1`, toMicro(before))
	return err
}

// ExportPart is a part that the other side has acknowledged.
type ExportPart struct {
	N     int
	Size  int64
	Tag   string
	Sum   string // MD5, hex
	State string // of SHA-256 behind it, base64
}

// AddExportPart notes a part.
func AddExportPart(ctx context.Context, tx *Tx, export string, p ExportPart) error {
	_, err := tx.Exec(ctx, `INSERT INTO export_part (export, n, size, tag, sum, state) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (export, n) DO UPDATE SET size = excluded.size, tag = excluded.tag, sum = excluded.sum, state = excluded.state`,
		export, p.N, p.Size, p.Tag, p.Sum, p.State)
	return err
}

// ExportParts lists the parts in their order.
func ExportParts(ctx context.Context, tx *Tx, export string) ([]ExportPart, error) {
	rows, err := tx.Query(ctx, `SELECT n, size, tag, sum, state FROM export_part WHERE export = $1 ORDER BY n`, export)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []ExportPart
	for rows.Next() {
		var p ExportPart
		if err := rows.Scan(&p.N, &p.Size, &p.Tag, &p.Sum, &p.State); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}
