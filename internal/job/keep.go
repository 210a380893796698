package job

import (
	"context"
	"maps"
	"slices"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/message"
)

// keep looks after the jobs that this node runs: it beats, writes progress,
// and ends the contexts of those that were cancelled or lost. With nothing
// running it does nothing.
func (q *Queue) keep(ctx context.Context) {
	var lastBeat, lastProgress time.Time // monotonic
	tick := time.NewTicker(q.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			q.lastBeats()
			return
		case <-tick.C:
		case <-q.look:
		}
		runs := q.runs()
		if len(runs) == 0 {
			continue
		}
		q.trouble(ctx, "look for cancellations", q.inspect(ctx, runs))
		beat := time.Since(lastBeat) >= q.cfg.Beat
		if beat || time.Since(lastProgress) >= 2*q.cfg.Poll-q.cfg.Poll/4 {
			err := q.beat(ctx, runs, beat)
			q.trouble(ctx, "beat", err)
			if err == nil {
				lastProgress = time.Now()
				if beat {
					lastBeat = lastProgress
				}
			}
		}
	}
}

// lastBeats goes on while handlers that were told to stop are still busy, so
// that nobody takes their jobs over in the meantime.
func (q *Queue) lastBeats() {
	for {
		runs := q.runs()
		if len(runs) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), q.cfg.Beat)
		q.trouble(ctx, "beat", q.beat(ctx, runs, true))
		cancel()
		for start := time.Now(); time.Since(start) < q.cfg.Beat && len(q.runs()) > 0; {
			time.Sleep(q.cfg.Beat / 100)
		}
	}
}

func (q *Queue) runs() []*Run {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Collect(maps.Keys(q.running))
}

// inspect compares the rows with what runs here. runs was taken before the
// rows are read, so every row of it was claimed already.
func (q *Queue) inspect(ctx context.Context, runs []*Run) error {
	type mine struct {
		attempt int64
		cancel  bool
	}
	rowsOf := map[string]mine{}
	err := q.db.View(ctx, func(tx *catalog.Tx) error {
		clear(rowsOf)
		rows, err := tx.Query(ctx, "SELECT id, attempt, cancel FROM job WHERE state = 'running' AND node = $1", q.cfg.Node)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var m mine
			if err := rows.Scan(&id, &m.attempt, &m.cancel); err != nil {
				return err
			}
			rowsOf[id] = m
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	for _, r := range runs {
		switch m, ok := rowsOf[r.ID]; {
		case !ok || m.attempt != r.Attempt:
			r.cancel(ErrLost) // or just finished, and then this is nothing to it
		case m.cancel:
			r.cancel(ErrCancelled)
		}
	}
	return nil
}

// beat writes the progress that changed and, if it is time, that this node
// lives.
func (q *Queue) beat(ctx context.Context, runs []*Run, alive bool) error {
	type change struct {
		r *Run
		p progress
	}
	var changes []change
	for _, r := range runs {
		if p, changed := r.news(); changed {
			changes = append(changes, change{r, p})
		}
	}
	if !alive && len(changes) == 0 {
		return nil
	}
	return q.db.Update(ctx, func(tx *catalog.Tx) error {
		if alive {
			if err := bump(ctx, tx, q.cfg.Node); err != nil {
				return err
			}
		}
		for _, c := range changes {
			if _, err := tx.Exec(ctx, `UPDATE job SET done = $3, total = $4, unit = $5, message = $6, rate = $7
				WHERE id = $1 AND attempt = $2 AND state = 'running'`,
				c.r.ID, c.r.Attempt, c.p.done, c.p.total, c.p.unit, c.p.message, c.p.rate.tell); err != nil {
				return err
			}
		}
		tx.OnCommit(func() { signal(q.stir) })
		return nil
	})
}

func bump(ctx context.Context, tx *catalog.Tx, node string) error {
	_, err := tx.Exec(ctx, `INSERT INTO job_node (node, beat) VALUES ($1, 1) ON CONFLICT (node) DO UPDATE SET beat = job_node.beat + 1`, node)
	return err
}

// adopt puts back what an earlier life of this node was running.
func (q *Queue) adopt(ctx context.Context) error {
	return q.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := bump(ctx, tx, q.cfg.Node); err != nil {
			return err
		}
		_, err := q.putBack(ctx, tx, q.cfg.Node)
		return err
	})
}

// maxLost ends a job that outlived so many failures and nodes: it may well be
// what kills them.
const maxLost = 10

// putBack takes every running job from a node. Cancelled ones end here.
func (q *Queue) putBack(ctx context.Context, tx *catalog.Tx, node string) (int64, error) {
	n, err := tx.Exec(ctx, `UPDATE job SET
			state = CASE WHEN cancel THEN 'cancelled' WHEN failures >= $2 THEN 'failed' ELSE 'pending' END,
			finished_at = CASE WHEN cancel OR failures >= $2 THEN $3 ELSE finished_at END,
			code = CASE WHEN cancel THEN $4 WHEN failures >= $2 THEN $5 ELSE code END,
			sentence = CASE WHEN cancel THEN $6 WHEN failures >= $2 THEN $7 ELSE sentence END,
			node = CASE WHEN cancel OR failures >= $2 THEN node ELSE '' END,
			failures = failures + 1, retry_at = 0
		WHERE state = 'running' AND node = $1`, node, maxLost, q.now(),
		string(kuva.CodeCancelled), string(kuva.CodeInternal),
		message.New("job.cancelled").In(message.English), message.New("job.lost_often").In(message.English))
	if n > 0 {
		tx.OnCommit(q.poke)
	}
	return n, err
}
