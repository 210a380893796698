package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"kuva/internal/catalog"
)

// Enqueue puts a job into the queue as part of tx and returns its id. It
// starts when tx is committed, and never if it is not. With a UniqueKey that
// waits already it answers that job's id and changes nothing.
func (q *Queue) Enqueue(ctx context.Context, tx *catalog.Tx, n New) (id string, err error) {
	if _, known := q.handlers[n.Kind]; !known && len(q.handlers) > 0 {
		return "", fmt.Errorf("enqueue: no handler for job kind %q", n.Kind)
	}
	args := []byte("null")
	if n.Args != nil {
		if args, err = json.Marshal(n.Args); err != nil {
			return "", fmt.Errorf("enqueue %s: %w", n.Kind, err)
		}
	}
	if len(args) > MaxArgs {
		return "", fmt.Errorf("enqueue %s: %d bytes of arguments, %d are allowed", n.Kind, len(args), MaxArgs)
	}
	key := uniqueKey(n.Kind, n.UniqueKey)
	// The twin may be claimed between the two statements; then the row fits.
	for range 5 {
		id = uuid.NewString()
		rows, err := tx.Exec(ctx, `INSERT INTO job (id, kind, state, args, image, project, request_id, unique_key, attempt, failures,
				retry_at, node, cancel, done, total, unit, message, code, sentence, created_at, started_at, finished_at)
			VALUES ($1, $2, 'pending', $3, $4, $5, $6, $7, 0, 0, 0, '', false, 0, 0, '', '', '', '', $8, 0, 0)
			ON CONFLICT (unique_key) WHERE unique_key <> '' AND state = 'pending' AND attempt = 0 DO NOTHING`,
			id, n.Kind, string(args), n.Image, n.Project, n.RequestID, key, q.now())
		if err != nil {
			return "", fmt.Errorf("enqueue %s: %w", n.Kind, err)
		}
		if rows == 1 {
			tx.OnCommit(q.poke)
			return id, nil
		}
		err = tx.QueryRow(ctx, `SELECT id FROM job WHERE unique_key = $1 AND unique_key <> '' AND state = 'pending' AND attempt = 0`, key).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
	}
	return "", fmt.Errorf("enqueue %s: its unique key comes and goes", n.Kind)
}

// uniqueKey is what the column holds: keys belong to their kind.
func uniqueKey(kind, key string) string {
	if key == "" {
		return ""
	}
	return kind + " " + key
}
