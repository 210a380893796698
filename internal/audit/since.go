package audit

import (
	"context"
	"fmt"

	"kuva/internal/catalog"
)

// Newest returns the id of the newest entry, 0 where there is none.
func Newest(ctx context.Context, tx *catalog.Tx) (id int64, err error) {
	err = tx.QueryRow(ctx, `SELECT COALESCE(MAX(id), 0) FROM audit`).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("newest audit entry: %w", err)
	}
	return id, nil
}

// Mark is one entry without its details.
type Mark struct {
	ID     int64
	Object string
}

// Since returns the oldest entries after an id, oldest first, at most limit
// (1 to MaxList). On PostgreSQL an entry may appear behind one with a greater
// id that committed first: whoever follows the table looks back a little.
func Since(ctx context.Context, tx *catalog.Tx, after int64, limit int) ([]Mark, error) {
	rows, err := tx.Query(ctx, `SELECT id, object FROM audit WHERE id > $1 ORDER BY id LIMIT $2`, after, min(max(limit, 1), MaxList))
	if err != nil {
		return nil, fmt.Errorf("follow audit entries: %w", err)
	}
	defer rows.Close()
	var out []Mark
	for rows.Next() {
		var m Mark
		if err := rows.Scan(&m.ID, &m.Object); err != nil {
			return nil, fmt.Errorf("follow audit entries: %w", err)
		}
		out = append(out, m)
	}
	return out, rows.Err()
}
