package job

import (
	"context"
	"errors"
	"time"

	"kuva/internal/catalog"
)

// patience is how many beats a node may miss.
const patience = 5

// standing is a beat that this node saw, and since when, on its own monotonic
// clock.
type standing struct {
	beat  int64
	since time.Time
}

// watch takes over the jobs of nodes whose beat stands still.
func (q *Queue) watch(ctx context.Context) {
	seen := map[string]standing{}
	for sleep(ctx, q.cfg.Beat) {
		beats, err := q.beats(ctx)
		if err != nil {
			q.trouble(ctx, "look for dead nodes", err)
			continue
		}
		for node := range seen {
			if _, busy := beats[node]; !busy {
				delete(seen, node)
			}
		}
		for node, beat := range beats {
			s, known := seen[node]
			if !known || s.beat != beat {
				seen[node] = standing{beat, time.Now()}
				continue
			}
			if time.Since(s.since) < patience*q.cfg.Beat {
				continue
			}
			n, err := q.takeOver(ctx, node, beat)
			q.trouble(ctx, "take over from "+node, err)
			if n > 0 {
				q.log.Warn("took over the jobs of a node that stopped beating", "from", node, "jobs", n)
			}
			delete(seen, node)
		}
	}
}

// beats reads the beats of the other nodes that run jobs.
func (q *Queue) beats(ctx context.Context) (map[string]int64, error) {
	beats := map[string]int64{}
	err := q.db.View(ctx, func(tx *catalog.Tx) error {
		clear(beats)
		rows, err := tx.Query(ctx, `SELECT busy.node, COALESCE(job_node.beat, -1)
			FROM (SELECT DISTINCT node FROM job WHERE state = 'running' AND node <> $1) AS busy
			LEFT JOIN job_node ON job_node.node = busy.node`, q.cfg.Node)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var node string
			var beat int64
			if err := rows.Scan(&node, &beat); err != nil {
				return err
			}
			beats[node] = beat
		}
		return rows.Err()
	})
	return beats, err
}

var errBeats = errors.New("node beats again")

// takeOver puts back the jobs of a node if its beat is still the one that was
// seen. The beat is raised first: of two watchers, or of a watcher and the
// node waking up, one wins the row.
func (q *Queue) takeOver(ctx context.Context, node string, beat int64) (n int64, err error) {
	err = q.db.Update(ctx, func(tx *catalog.Tx) error {
		changed, err := tx.Exec(ctx, "UPDATE job_node SET beat = beat + 1 WHERE node = $1 AND beat = $2", node, beat)
		if err != nil {
			return err
		}
		if changed == 0 && beat >= 0 {
			return errBeats
		}
		n, err = q.putBack(ctx, tx, node)
		return err
	})
	if errors.Is(err, errBeats) {
		return 0, nil
	}
	return n, err
}
