package job

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"kuva"
	"kuva/internal/catalog"
)

// Cancel ends a job as part of tx: a pending one is cancelled with the commit,
// a running one's context ends within 2 × Poll after it. What is final stays
// as it is (kuva.CodeConflict); what is not there is kuva.CodeNotFound.
func (q *Queue) Cancel(ctx context.Context, tx *catalog.Tx, id string) error {
	n, err := q.cancel(ctx, tx, "id = $2", id)
	if err != nil || n > 0 {
		return err
	}
	j, err := q.Get(ctx, tx, id)
	if err != nil {
		return err
	}
	return kuva.E(kuva.CodeConflict, "job.is_final", "id", id, "state", string(j.State))
}

// CancelImage ends every job of an image as part of tx, the way Cancel does,
// but those of kinds that outlive it, and returns how many there were.
func (q *Queue) CancelImage(ctx context.Context, tx *catalog.Tx, image string) (int64, error) {
	which, args := "image = $2 AND image <> ''", []any{image}
	for _, kind := range slices.Sorted(maps.Keys(q.handlers)) {
		if q.handlers[kind].Outlives {
			args = append(args, kind)
			which += fmt.Sprintf(" AND kind <> $%d", len(args)+1)
		}
	}
	return q.cancel(ctx, tx, which, args...)
}

// cancel does both cases in one statement, so that a job that is claimed or
// given back meanwhile is seen in one of them: an UPDATE that waited for a
// row looks at that row again.
func (q *Queue) cancel(ctx context.Context, tx *catalog.Tx, which string, args ...any) (int64, error) {
	n, err := tx.Exec(ctx, `UPDATE job SET cancel = true,
			finished_at = CASE WHEN state = 'pending' THEN $1 ELSE finished_at END,
			state = CASE WHEN state = 'pending' THEN 'cancelled' ELSE state END
		WHERE state IN ('pending', 'running') AND `+which, append([]any{q.now()}, args...)...)
	if n > 0 {
		tx.OnCommit(func() { signal(q.look); q.poke() })
	}
	return n, err
}
