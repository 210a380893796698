package job

import (
	"context"
	"time"

	"kuva/internal/catalog"
)

// tend enqueues periodic jobs and removes old final ones.
func (q *Queue) tend(ctx context.Context) {
	type turn struct {
		every time.Duration
		next  time.Time // monotonic
		do    func(context.Context) error
	}
	start := time.Now()
	turns := []*turn{{every: time.Hour, next: start.Add(time.Minute), do: q.Trim}}
	for _, h := range q.handlers {
		if h.Every > 0 {
			turns = append(turns, &turn{every: h.Every, next: start, do: func(ctx context.Context) error { return q.periodic(ctx, h) }})
		}
	}
	for {
		next := turns[0].next
		for _, t := range turns {
			if !time.Now().Before(t.next) {
				q.trouble(ctx, "periodic work", t.do(ctx))
				t.next = time.Now().Add(t.every)
			}
			if t.next.Before(next) {
				next = t.next
			}
		}
		if !sleep(ctx, max(0, time.Until(next))+time.Millisecond) {
			return
		}
	}
}

// periodic enqueues a job unless one was, by any node, within its period. A
// job from the future (the clock was set back) does not hold the next one up.
func (q *Queue) periodic(ctx context.Context, h Handler) error {
	due := func(tx *catalog.Tx) (bool, error) {
		now := q.now()
		var recent int64
		err := tx.QueryRow(ctx, `SELECT count(*) FROM job WHERE unique_key = $1 AND created_at > $2 AND created_at <= $3`,
			uniqueKey(h.Kind, periodicKey), now-(h.Every-h.Every/10).Microseconds(), now).Scan(&recent)
		return recent == 0, err
	}
	var yes bool
	err := q.db.View(ctx, func(tx *catalog.Tx) (err error) {
		yes, err = due(tx)
		return err
	})
	if err != nil || !yes {
		return err
	}
	return q.db.Update(ctx, func(tx *catalog.Tx) error {
		if yes, err := due(tx); err != nil || !yes {
			return err
		}
		_, err := q.Enqueue(ctx, tx, New{Kind: h.Kind, UniqueKey: periodicKey})
		return err
	})
}

const periodicKey = "periodic"

// Trim removes all but the newest Keep final jobs, a thousand at a time. A
// started queue does it every hour. It counts and asks no clock.
func (q *Queue) Trim(ctx context.Context) error {
	for {
		var n int64
		err := q.db.Update(ctx, func(tx *catalog.Tx) (err error) {
			n, err = tx.Exec(ctx, `DELETE FROM job WHERE id IN
				(SELECT id FROM job WHERE finished_at > 0 ORDER BY finished_at DESC, id DESC LIMIT 1000 OFFSET $1)`, q.cfg.Keep)
			return err
		})
		if err != nil || n < 1000 {
			return err
		}
	}
}
