package job_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/job"
)

// An idle queue writes nothing, so it costs no fsync; neither does one with a
// subscriber.
func TestIdleWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	db := catalogtest.Open(t, "sqlite:"+path)
	h := job.Handler{Kind: "x", Every: time.Hour, Run: func(context.Context, *job.Run) error { return nil }}
	q := start(t, db, "a", nil, h)
	_, end := q.Subscribe()
	defer end()
	state := func() (n int64, at time.Time) {
		fi, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return fi.Size(), fi.ModTime()
	}
	id := enqueue(t, db, q, job.New{Kind: "x"})
	until(t, db, q, id, in(job.Succeeded))
	for deadline := time.Now().Add(10 * time.Second); ; { // the periodic one
		var jobs []job.Job
		err := db.View(t.Context(), func(tx *catalog.Tx) (err error) {
			jobs, err = q.List(t.Context(), tx, job.Filter{States: []job.State{job.Succeeded}})
			return err
		})
		if err != nil || time.Now().After(deadline) {
			t.Fatal(err, jobs)
		}
		if len(jobs) == 2 {
			break
		}
		time.Sleep(poll)
	}
	n, at := state()
	time.Sleep(50 * poll)
	if n2, at2 := state(); n2 != n || !at2.Equal(at) {
		t.Errorf("the log went from %d bytes at %v to %d at %v", n, at, n2, at2)
	}
}

// Only the newest final jobs are kept; others are not touched.
func TestTrim(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		q := open(t, db, "a", func(c *job.Config) { c.Keep = 3 })
		var ids []string
		for i := range 8 {
			id := enqueue(t, db, q, job.New{Kind: "x"})
			ids = append(ids, id)
			if i == 0 {
				continue // stays pending
			}
			err := db.Update(t.Context(), func(tx *catalog.Tx) error {
				_, err := tx.Exec(t.Context(), "UPDATE job SET state = 'succeeded', finished_at = $2 WHERE id = $1", id, i)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
		var left []string
		err := db.View(t.Context(), func(tx *catalog.Tx) error {
			jobs, err := q.List(t.Context(), tx, job.Filter{})
			left = nil
			for _, j := range jobs {
				left = append(left, j.ID)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{ids[0]: true, ids[5]: true, ids[6]: true, ids[7]: true}
		for _, id := range left {
			if !want[id] {
				t.Errorf("kept %s", id)
			}
		}
		if len(left) != len(want) {
			t.Errorf("%d kept", len(left))
		}
	})
}
