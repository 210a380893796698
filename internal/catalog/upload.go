package catalog

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kuva"
)

// ErrNoUpload means that there is no such upload.
var ErrNoUpload = errors.New("no such upload")

// UploadState is how far an upload is.
type UploadState string

// The states of uploads. Parts come while it is open; a job makes the image
// while it is finishing.
const (
	UploadOpen      UploadState = "open"
	UploadFinishing UploadState = "finishing"
	UploadDone      UploadState = "done"
	UploadFailed    UploadState = "failed"
)

// Upload is content on its way, in parts.
type Upload struct {
	ID        string
	Protocol  string // tus, ask or fetch
	Project   string
	Principal kuva.Principal // who began it
	Image     string         // "" while it has none
	Made      bool           // it made the image
	Name      string
	Size      int64 // bytes, -1 while unknown
	Received  int64 // bytes in parts
	Parts     int64 // how many
	State     UploadState
	Concat    string // "", "partial" or "final"
	Writer    int64  // token of who writes the next part, 0 is nobody
	Options   UploadOptions
	Metadata  map[string]string // as its sender gave it
	Job       string            // that finishes it, "" before
	Failure   *kuva.Failure     // why it failed, or did not finish yet
	CreatedAt time.Time
	UpdatedAt time.Time
	ExpiresAt time.Time
}

// UploadOptions say what is to become of the content.
type UploadOptions struct {
	DiskFormat      string `json:"disk_format,omitempty"` // of the file; "" is told by its bytes
	ContainerFormat string `json:"container_format,omitempty"`
	// Exact keeps the bytes as they were sent even where they are a disk's.
	Exact bool `json:"exact,omitempty"`
	// Native is the format that the image shows of a disk: qcow2 or raw.
	Native string `json:"native,omitempty"`
	// Disk says that the parts are the bytes that a guest sees, with holes
	// where there are none, and not a file; of an Exact upload, that they are a
	// file with holes.
	Disk bool `json:"disk,omitempty"`
	// Terms are the site's that its sender accepted, with who and when.
	Terms string `json:"terms,omitempty"`
	// Digests of the bytes as sent, in hexadecimal, by algorithm.
	Digests map[string]string `json:"digests,omitempty"`
	// Partials are the uploads that a final one was joined from, in order.
	Partials []string `json:"partials,omitempty"`
	// Final is the upload that took the parts of a partial one.
	Final string `json:"final,omitempty"`
}

// UploadPart is a stretch of an upload that is durable.
type UploadPart struct {
	Off    int64
	Size   int64 // above 0
	Object int64 // pinned by UploadHolder
}

// UploadHolder is who pins the parts of an upload.
func UploadHolder(id string) string { return "upload " + id }

const uploadColumns = `id, protocol, project, principal, image, made, name, size, received, parts, state, concat, writer, options, metadata, job, failure, created_at, updated_at, expires_at`

// InsertUpload adds an upload.
func InsertUpload(ctx context.Context, tx *Tx, u *Upload) error {
	v, err := uploadValues(u)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO upload (`+uploadColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)`, v...)
	return err
}

// UpdateUpload writes all of an upload that may change: not who began it, how
// and when.
func UpdateUpload(ctx context.Context, tx *Tx, u *Upload) error {
	v, err := uploadValues(u)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE upload SET image = $2, made = $3, name = $4, size = $5, received = $6, parts = $7, state = $8, concat = $9, writer = $10,
		options = $11, metadata = $12, job = $13, failure = $14, updated_at = $15, expires_at = $16 WHERE id = $1`,
		append([]any{v[0]}, append(v[4:17:17], v[18], v[19])...)...)
	if err == nil && n != 1 {
		err = ErrNoUpload
	}
	return err
}

func uploadValues(u *Upload) ([]any, error) {
	var texts [4]string
	for i, x := range []any{u.Principal, u.Options, u.Metadata, u.Failure} {
		if i == 3 && u.Failure == nil {
			continue
		}
		b, err := json.Marshal(x)
		if err != nil {
			return nil, err
		}
		texts[i] = string(b)
	}
	return []any{
		u.ID, u.Protocol, u.Project, texts[0], u.Image, u.Made, u.Name, u.Size, u.Received, u.Parts, string(u.State), u.Concat, u.Writer,
		texts[1], texts[2], u.Job, texts[3], toMicro(u.CreatedAt), toMicro(u.UpdatedAt), toMicro(u.ExpiresAt),
	}, nil
}

// GetUpload reads an upload; ErrNoUpload.
func GetUpload(ctx context.Context, tx *Tx, id string) (*Upload, error) {
	return oneUpload(ctx, tx, `SELECT `+uploadColumns+` FROM upload WHERE id = $1`, id)
}

// LockUpload reads an upload that no other transaction changes until this one
// ends; ErrNoUpload.
func LockUpload(ctx context.Context, tx *Tx, id string) (*Upload, error) {
	if _, err := tx.Exec(ctx, `UPDATE upload SET id = id WHERE id = $1`, id); err != nil {
		return nil, err
	}
	return GetUpload(ctx, tx, id)
}

// UploadOfImage finds the newest upload that an image is filled by; ErrNoUpload.
func UploadOfImage(ctx context.Context, tx *Tx, image string) (*Upload, error) {
	return oneUpload(ctx, tx, `SELECT `+uploadColumns+` FROM upload WHERE image = $1 ORDER BY created_at DESC, id LIMIT 1`, image)
}

// ListUploads lists uploads of a project, or of all for "", in a state, or in
// any for "", from the newest on, at most limit behind the marker (an upload's
// id, "" at the beginning).
func ListUploads(ctx context.Context, tx *Tx, project string, state UploadState, marker string, limit int) ([]*Upload, error) {
	return manyUploads(ctx, tx, `SELECT `+uploadColumns+` FROM upload u WHERE ($1 = '' OR project = $1) AND ($2 = '' OR state = $2)
		AND ($3 = '' OR EXISTS (SELECT 1 FROM upload m WHERE m.id = $3 AND (u.created_at < m.created_at OR u.created_at = m.created_at AND u.id < m.id)))
		ORDER BY created_at DESC, id DESC LIMIT $4`, project, string(state), marker, limit)
}

// CountUploads counts the uploads of a project that are open or finishing.
func CountUploads(ctx context.Context, tx *Tx, project string) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM upload WHERE project = $1 AND state IN ('open', 'finishing')`, project).Scan(&n)
	return n, classify(err)
}

// ExpiredUploads lists at most limit uploads that are not finishing and whose
// time has come.
func ExpiredUploads(ctx context.Context, tx *Tx, now time.Time, limit int) ([]*Upload, error) {
	return manyUploads(ctx, tx, `SELECT `+uploadColumns+` FROM upload WHERE expires_at <= $1 AND state <> 'finishing' ORDER BY expires_at, id LIMIT $2`, toMicro(now), limit)
}

// OpenUploads lists at most limit uploads that are open or finishing, those that
// changed last first.
func OpenUploads(ctx context.Context, tx *Tx, limit int) ([]*Upload, error) {
	return manyUploads(ctx, tx, `SELECT `+uploadColumns+` FROM upload WHERE state IN ('open', 'finishing') ORDER BY updated_at DESC, id LIMIT $1`, limit)
}

// EndedUploads lists at most limit uploads that ended and still have parts.
func EndedUploads(ctx context.Context, tx *Tx, limit int) (ids []string, err error) {
	return imageIDs(ctx, tx, `SELECT id FROM upload u WHERE state IN ('done', 'failed')
		AND EXISTS (SELECT 1 FROM upload_part p WHERE p.upload = u.id) LIMIT $1`, limit)
}

// EndUpload notes that an upload that is open or finishing failed, and when its
// row may go. Whoever writes it is fenced off. It reports false where it has
// ended already.
func EndUpload(ctx context.Context, tx *Tx, id string, why *kuva.Failure, until time.Time) (bool, error) {
	b, err := json.Marshal(why)
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(ctx, `UPDATE upload SET state = 'failed', writer = $2, failure = $3, updated_at = $4, expires_at = $5
		WHERE id = $1 AND state IN ('open', 'finishing')`, id, NewID(), string(b), toMicro(why.At), toMicro(until))
	return n > 0, err
}

// DeleteUpload forgets an upload whose parts are gone.
func DeleteUpload(ctx context.Context, tx *Tx, id string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM upload_ask WHERE upload = $1`, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM upload WHERE id = $1`, id)
	return err
}

// InsertPart adds a part of an upload, whose object the caller pins.
func InsertPart(ctx context.Context, tx *Tx, upload string, p UploadPart) error {
	_, err := tx.Exec(ctx, `INSERT INTO upload_part (upload, off, size, object) VALUES ($1, $2, $3, $4)`, upload, p.Off, p.Size, p.Object)
	return err
}

// MoveParts gives the parts of an upload to another, behind the bytes that it
// has, with their pins.
func MoveParts(ctx context.Context, tx *Tx, from, to string, behind int64) error {
	_, err := tx.Exec(ctx, `UPDATE pin SET holder = $2 WHERE holder = $1 AND object IN (SELECT object FROM upload_part WHERE upload = $3)`,
		UploadHolder(from), UploadHolder(to), from)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE upload_part SET upload = $2, off = off + $3 WHERE upload = $1`, from, to, behind)
	return err
}

// UploadParts lists at most limit parts of an upload that begin at off or
// behind it, in order.
func UploadParts(ctx context.Context, tx *Tx, upload string, off int64, limit int) ([]UploadPart, error) {
	rows, err := tx.Query(ctx, `SELECT off, size, object FROM upload_part WHERE upload = $1 AND off >= $2 ORDER BY off LIMIT $3`, upload, off, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []UploadPart
	for rows.Next() {
		var p UploadPart
		if err := rows.Scan(&p.Off, &p.Size, &p.Object); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// DropParts forgets at most limit parts of an upload and returns their objects,
// which the caller unpins; none are left where it returns fewer than limit.
func DropParts(ctx context.Context, tx *Tx, upload string, limit int) (objects []int64, err error) {
	rows, err := tx.Query(ctx, `DELETE FROM upload_part WHERE upload = $1 AND off IN
		(SELECT off FROM upload_part WHERE upload = $1 ORDER BY off LIMIT $2) RETURNING object`, upload, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var o int64
		if err := rows.Scan(&o); err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, rows.Err()
}

func oneUpload(ctx context.Context, tx *Tx, query string, args ...any) (*Upload, error) {
	all, err := manyUploads(ctx, tx, query, args...)
	if err == nil && len(all) == 0 {
		err = ErrNoUpload
	}
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func manyUploads(ctx context.Context, tx *Tx, query string, args ...any) ([]*Upload, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*Upload
	for rows.Next() {
		u, err := scanUpload(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

func scanUpload(rows *sql.Rows) (*Upload, error) {
	var u Upload
	var state, principal, options, metadata, failure string
	var created, updated, expires int64
	err := rows.Scan(&u.ID, &u.Protocol, &u.Project, &principal, &u.Image, &u.Made, &u.Name, &u.Size, &u.Received, &u.Parts, &state, &u.Concat, &u.Writer,
		&options, &metadata, &u.Job, &failure, &created, &updated, &expires)
	if err != nil {
		return nil, err
	}
	u.State = UploadState(state)
	u.CreatedAt, u.UpdatedAt, u.ExpiresAt = fromMicro(created), fromMicro(updated), fromMicro(expires)
	for text, to := range map[*string]any{&principal: &u.Principal, &options: &u.Options, &metadata: &u.Metadata} {
		if err := json.Unmarshal([]byte(*text), to); err != nil {
			return nil, fmt.Errorf("upload %s: %w", u.ID, err)
		}
	}
	if failure != "" {
		u.Failure = &kuva.Failure{}
		if err := json.Unmarshal([]byte(failure), u.Failure); err != nil {
			return nil, fmt.Errorf("upload %s: %w", u.ID, err)
		}
	}
	return &u, nil
}

// HeldBytes says how much an upload, or the image that it fills, has reserved,
// and of whose quota. It reports false where it has nothing (any more).
func HeldBytes(ctx context.Context, tx *Tx, holder string) (project string, bytes int64, ok bool, err error) {
	err = tx.QueryRow(ctx, `SELECT project, bytes FROM reservation WHERE image = $1 AND lease = $2`, holder, WaitingLease).Scan(&project, &bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return "", 0, false, nil
	}
	return project, bytes, err == nil, classify(err)
}
