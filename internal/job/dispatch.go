package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"kuva/internal/catalog"
)

// claimLock is the key of the advisory lock that PostgreSQL's claims take one
// after the other. "No other job of this key runs" looks at other rows, and
// while an UPDATE waits for a row those are seen as they were before.
const claimLock = 0x6b757662

// longest is the longest pause before a retry. A retry_at that lies further
// ahead was written under another clock and does not hold the job back.
const longest = time.Hour

// dispatch claims jobs and starts them until ctx ends.
func (q *Queue) dispatch(ctx context.Context) {
	for ctx.Err() == nil {
		more, err := q.claim(ctx)
		if err == nil && more {
			continue
		}
		q.trouble(ctx, "claim", err)
		idle := time.NewTimer(q.cfg.Poll)
		select {
		case <-ctx.Done():
		case <-idle.C:
		case <-q.wake:
		}
		idle.Stop()
	}
}

type candidate struct{ id, kind string }

// claim starts as many jobs as there are free workers and reports whether it
// is worth looking again at once. Looking is a read: an idle queue does not
// ask for the writer.
func (q *Queue) claim(ctx context.Context) (more bool, err error) {
	if err := q.resolve(ctx); err != nil {
		return false, err
	}
	kinds, free := q.room()
	if free <= 0 || len(kinds) == 0 {
		return false, nil
	}
	var found []candidate
	err = q.db.View(ctx, func(tx *catalog.Tx) error {
		found, err = q.candidates(ctx, tx, kinds, free)
		return err
	})
	if err != nil || len(found) == 0 {
		return false, err
	}
	var got []Job
	err = q.db.Update(ctx, func(tx *catalog.Tx) error {
		got = got[:0]
		if tx.Dialect() == catalog.PostgreSQL {
			if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", claimLock); err != nil {
				return err
			}
		}
		left := map[string]int{}
		for _, c := range found {
			if _, seen := left[c.kind]; !seen {
				left[c.kind] = kinds[c.kind]
			}
			if left[c.kind] == 0 {
				continue
			}
			jobs, err := all(ctx, tx, `UPDATE job SET state = 'running', attempt = attempt + 1, node = $2, started_at = $3,
					done = 0, total = 0, message = ''
				WHERE id = $1 AND state = 'pending' AND NOT EXISTS
					(SELECT 1 FROM job AS twin WHERE twin.state = 'running' AND twin.unique_key <> '' AND twin.unique_key = job.unique_key)
				RETURNING `+columns, c.id, q.cfg.Node, q.now())
			if err != nil {
				return err
			}
			if len(jobs) == 1 {
				left[c.kind]--
				got = append(got, jobs[0])
			}
		}
		return nil
	})
	if errors.Is(err, catalog.ErrOutcomeUnknown) {
		for _, j := range got {
			q.doubt = append(q.doubt, j.ID)
		}
	}
	if err != nil {
		return false, err
	}
	for _, j := range got {
		q.begin(ctx, j)
	}
	return len(got) > 0, nil
}

// resolve puts back what a claim with an unknown outcome may have claimed;
// nobody runs it.
func (q *Queue) resolve(ctx context.Context) error {
	if len(q.doubt) == 0 {
		return nil
	}
	err := q.db.Update(ctx, func(tx *catalog.Tx) error {
		for _, id := range q.doubt {
			if _, err := tx.Exec(ctx, "UPDATE job SET state = 'pending', node = '' WHERE id = $1 AND state = 'running' AND node = $2",
				id, q.cfg.Node); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		q.doubt = nil
	}
	return err
}

// room says how many more jobs of each kind may start, and how many in all.
func (q *Queue) room() (kinds map[string]int, free int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	free = q.cfg.Workers - len(q.running)
	busy := map[string]int{}
	for r := range q.running {
		busy[r.Kind]++
	}
	kinds = map[string]int{}
	for kind, h := range q.handlers {
		n := free
		if h.Limit > 0 {
			n = min(n, h.Limit-busy[kind])
		}
		if n > 0 {
			kinds[kind] = n
		}
	}
	return kinds, free
}

func (q *Queue) candidates(ctx context.Context, tx *catalog.Tx, kinds map[string]int, limit int) ([]candidate, error) {
	now := q.now()
	args := []any{now, now + longest.Microseconds(), limit}
	var in []string
	for kind := range kinds {
		args = append(args, kind)
		in = append(in, fmt.Sprintf("$%d", len(args)))
	}
	rows, err := tx.Query(ctx, `SELECT id, kind FROM job
		WHERE state = 'pending' AND (retry_at <= $1 OR retry_at > $2) AND kind IN (`+strings.Join(in, ", ")+`) AND NOT EXISTS
			(SELECT 1 FROM job AS twin WHERE twin.state = 'running' AND twin.unique_key <> '' AND twin.unique_key = job.unique_key)
		ORDER BY created_at, id LIMIT $3`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []candidate
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.id, &c.kind); err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, rows.Err()
}
