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

// ErrNoLink means that there is no such link, or none that is good any more.
var ErrNoLink = errors.New("no such link")

// Link is an address that is good for one image without a token.
type Link struct {
	ID      string
	Digest  string // SHA-256 of the secret, base64
	Image   string
	Project string // of Maker
	Maker   kuva.Principal
	Read    bool // good for downloads
	Write   bool // good for an upload
	Format  string
	Options LinkOptions
	// Most is how many uses it is good for, 0 is any number; Uses how many
	// there were.
	Most, Uses int64
	UsedAt     time.Time
	UsedFrom   string // address of the newest use
	CreatedAt  time.Time
	ExpiresAt  time.Time
}

// LinkOptions say more about the file that a link gives.
type LinkOptions struct {
	Compress bool              `json:"compress,omitempty"`
	Settings map[string]string `json:"settings,omitempty"`
}

const linkColumns = `id, digest, image, project, maker, reads, writes, format, options, most, uses, used_at, used_from, created_at, expires_at`

func scanLink(row scanner) (*Link, error) {
	var l Link
	var maker, options string
	var used, created, expires int64
	err := row.Scan(&l.ID, &l.Digest, &l.Image, &l.Project, &maker, &l.Read, &l.Write, &l.Format, &options, &l.Most, &l.Uses, &used, &l.UsedFrom, &created, &expires)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(json.Unmarshal([]byte(maker), &l.Maker), json.Unmarshal([]byte(options), &l.Options)); err != nil {
		return nil, fmt.Errorf("link %s: %w", l.ID, err)
	}
	l.UsedAt, l.CreatedAt, l.ExpiresAt = fromMicro(used), fromMicro(created), fromMicro(expires)
	return &l, nil
}

// AddLink writes a new link.
func AddLink(ctx context.Context, tx *Tx, l *Link) error {
	maker, err := json.Marshal(l.Maker)
	if err != nil {
		return err
	}
	options, err := json.Marshal(l.Options)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO link (`+linkColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		l.ID, l.Digest, l.Image, l.Project, string(maker), l.Read, l.Write, l.Format, string(options), l.Most, l.Uses,
		toMicro(l.UsedAt), l.UsedFrom, toMicro(l.CreatedAt), toMicro(l.ExpiresAt))
	return err
}

// LiveLink finds the link of a digest that is good now: not expired and not
// used up, or with a use of this address that may be gone on with. Every other
// is ErrNoLink, told apart by the database and by nobody else.
func LiveLink(ctx context.Context, tx *Tx, digest, address string, now time.Time) (*Link, error) {
	return oneLink(tx.QueryRow(ctx, `SELECT `+linkColumns+` FROM link WHERE digest = $1 AND (expires_at > $2 AND (most = 0 OR uses < most)
		OR EXISTS (SELECT 1 FROM link_use u WHERE u.link = link.id AND u.address = $3 AND u.until_at > $2))`, digest, toMicro(now), address))
}

// GetLink returns a link by its id, also one that is not good any more.
func GetLink(ctx context.Context, tx *Tx, id string) (*Link, error) {
	return oneLink(tx.QueryRow(ctx, `SELECT `+linkColumns+` FROM link WHERE id = $1`, id))
}

func oneLink(row *sql.Row) (*Link, error) {
	l, err := scanLink(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoLink
	}
	return l, classify(err)
}

// ListLinks returns at most limit links, newest first, older than the one
// named before ("" is from the newest on): those of an image, or made by a
// project. "" is any.
func ListLinks(ctx context.Context, tx *Tx, image, project, before string, limit int) ([]Link, error) {
	where, args := `WHERE ($1 = '' OR id < $1)`, []any{before, limit}
	if image != "" {
		args = append(args, image)
		where += fmt.Sprintf(` AND image = $%d`, len(args))
	}
	if project != "" {
		args = append(args, project)
		where += fmt.Sprintf(` AND project = $%d`, len(args))
	}
	rows, err := tx.Query(ctx, `SELECT `+linkColumns+` FROM link `+where+` ORDER BY id DESC LIMIT $2`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Link
	for rows.Next() {
		l, err := scanLink(rows)
		if err != nil {
			return nil, classify(err)
		}
		out = append(out, *l)
	}
	return out, classify(rows.Err())
}

// CountLinks counts the links that a project made and that have not expired.
func CountLinks(ctx context.Context, tx *Tx, project string, now time.Time) (n int64, err error) {
	err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM link WHERE project = $1 AND expires_at > $2`, project, toMicro(now)).Scan(&n)
	return n, classify(err)
}

// TakeLink counts a use, where the link is good for one more; of several at
// once no more succeed than it is good for.
func TakeLink(ctx context.Context, tx *Tx, id, address string, now time.Time) (taken bool, err error) {
	n, err := tx.Exec(ctx, `UPDATE link SET uses = uses + 1, used_at = $2, used_from = $3
		WHERE id = $1 AND expires_at > $2 AND (most = 0 OR uses < most)`, id, toMicro(now), address)
	return n == 1, err
}

// GiveBackLink takes a use that came to nothing off the count.
func GiveBackLink(ctx context.Context, tx *Tx, id string) error {
	_, err := tx.Exec(ctx, `UPDATE link SET uses = uses - 1 WHERE id = $1 AND uses > 0`, id)
	return err
}

// LinkUse is a use that may be gone on with.
type LinkUse struct {
	Link, Address, ETag string
	BeganAt, UntilAt    time.Time
}

// GetLinkUse returns a use that may be gone on with; ok is false where there
// is none, or its time is over.
func GetLinkUse(ctx context.Context, tx *Tx, link, address, etag string, now time.Time) (u LinkUse, ok bool, err error) {
	var began, until int64
	err = tx.QueryRow(ctx, `SELECT link, address, etag, began_at, until_at FROM link_use WHERE link = $1 AND address = $2 AND etag = $3 AND until_at > $4`,
		link, address, etag, toMicro(now)).Scan(&u.Link, &u.Address, &u.ETag, &began, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return u, false, nil
	}
	u.BeganAt, u.UntilAt = fromMicro(began), fromMicro(until)
	return u, err == nil, classify(err)
}

// PutLinkUse writes a use of a link that TakeLink has just counted, in the
// place of an older one of the same address and file.
func PutLinkUse(ctx context.Context, tx *Tx, u LinkUse) error {
	_, err := tx.Exec(ctx, `INSERT INTO link_use (link, address, etag, began_at, until_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (link, address, etag) DO UPDATE SET began_at = excluded.began_at, until_at = excluded.until_at`,
		u.Link, u.Address, u.ETag, toMicro(u.BeganAt), toMicro(u.UntilAt))
	return err
}

// ExtendLinkUse moves the end of a use; it is no error if the use is gone.
func ExtendLinkUse(ctx context.Context, tx *Tx, link, address, etag string, until time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE link_use SET until_at = $4 WHERE link = $1 AND address = $2 AND etag = $3`, link, address, etag, toMicro(until))
	return err
}

// DropLink ends a link at once; it is no error if there is none.
func DropLink(ctx context.Context, tx *Tx, id string) error {
	return dropLinks(ctx, tx, `id = $1`, id)
}

// DropLinksOf ends all links of an image at once.
func DropLinksOf(ctx context.Context, tx *Tx, image string) error {
	return dropLinks(ctx, tx, `image = $1`, image)
}

// PurgeLinks forgets links that expired before a time and whose uses are over.
func PurgeLinks(ctx context.Context, tx *Tx, before time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM link_use WHERE until_at < $1`, toMicro(before)); err != nil {
		return err
	}
	return dropLinks(ctx, tx, `expires_at < $1 AND NOT EXISTS (SELECT 1 FROM link_use u WHERE u.link = link.id)`, toMicro(before))
}

func dropLinks(ctx context.Context, tx *Tx, where string, arg any) error {
	if _, err := tx.Exec(ctx, `DELETE FROM link_use WHERE link IN (SELECT id FROM link WHERE `+where+`)`, arg); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM link WHERE `+where, arg)
	return err
}
