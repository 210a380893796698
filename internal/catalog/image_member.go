package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"kuva"
)

// ErrNoMember: the image is not shared with this project.
var ErrNoMember = errors.New("no such image member")

const memberColumns = `image, project, status, created_at, updated_at`

func scanMember(row scanner) (*kuva.Member, error) {
	var m kuva.Member
	var created, updated int64
	if err := row.Scan(&m.Image, &m.Project, &m.Status, &created, &updated); err != nil {
		return nil, err
	}
	m.CreatedAt, m.UpdatedAt = fromMicro(created), fromMicro(updated)
	return &m, nil
}

// GetMember returns one member of an image, ErrNoMember if there is none.
func GetMember(ctx context.Context, tx *Tx, image, project string) (*kuva.Member, error) {
	m, err := scanMember(tx.QueryRow(ctx, `SELECT `+memberColumns+` FROM image_member WHERE image = $1 AND project = $2`, image, project))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("image %s, project %s: %w", image, project, ErrNoMember)
	}
	return m, classify(err)
}

// ListMembers returns the members of an image in the order of their projects.
func ListMembers(ctx context.Context, tx *Tx, image string) ([]kuva.Member, error) {
	rows, err := tx.Query(ctx, `SELECT `+memberColumns+` FROM image_member WHERE image = $1 ORDER BY project`, image)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []kuva.Member
	for rows.Next() {
		m, err := scanMember(rows)
		if err != nil {
			return nil, classify(err)
		}
		out = append(out, *m)
	}
	return out, classify(rows.Err())
}

// PutMember makes a member of a locked image or writes its status and time of
// change.
func PutMember(ctx context.Context, tx *Tx, img *Image, m *kuva.Member) error {
	_, err := tx.Exec(ctx, `INSERT INTO image_member (image, project, status, created_at, updated_at, image_created_at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (image, project) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at`,
		img.ID, m.Project, string(m.Status), toMicro(m.CreatedAt), toMicro(m.UpdatedAt), toMicro(img.CreatedAt))
	return err
}

// DeleteMember removes a member. It reports false where there was none.
func DeleteMember(ctx context.Context, tx *Tx, image, project string) (bool, error) {
	n, err := tx.Exec(ctx, `DELETE FROM image_member WHERE image = $1 AND project = $2`, image, project)
	return n == 1, err
}

// DeleteMembers removes all members of an image.
func DeleteMembers(ctx context.Context, tx *Tx, image string) error {
	_, err := tx.Exec(ctx, `DELETE FROM image_member WHERE image = $1`, image)
	return err
}
