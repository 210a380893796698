package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// Filter chooses jobs; its zero value chooses the newest of all.
type Filter struct {
	Kind      string
	Image     string
	Project   string
	RequestID string
	States    []State
	// Before continues a list: the jobs older than this one.
	Before *Job
	Limit  int // 0 is 100, at most 1000
}

// Get reads one job; kuva.CodeNotFound where there is none.
func (q *Queue) Get(ctx context.Context, tx *catalog.Tx, id string) (Job, error) {
	j, err := scan(tx.QueryRow(ctx, "SELECT "+columns+" FROM job WHERE id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		return Job{}, kuva.E(kuva.CodeNotFound, "job.not_found", "id", id)
	}
	return j, err
}

// List reads jobs, newest first. The order is that of creation as the nodes'
// clocks saw it.
func (q *Queue) List(ctx context.Context, tx *catalog.Tx, f Filter) ([]Job, error) {
	var where []string
	var args []any
	arg := func(v any) string { args = append(args, v); return fmt.Sprintf("$%d", len(args)) }
	for _, c := range []struct{ column, value string }{
		{"kind", f.Kind}, {"image", f.Image}, {"project", f.Project}, {"request_id", f.RequestID},
	} {
		if c.value != "" {
			where = append(where, c.column+" = "+arg(c.value))
		}
	}
	if f.Image != "" {
		where = append(where, "image <> ''") // lets SQLite use the partial index
	}
	if len(f.States) > 0 {
		var in []string
		for _, s := range f.States {
			in = append(in, arg(string(s)))
		}
		where = append(where, "state IN ("+strings.Join(in, ", ")+")")
	}
	if f.Before != nil {
		where = append(where, "(created_at, id) < ("+arg(f.Before.CreatedAt.UnixMicro())+", "+arg(f.Before.ID)+")")
	}
	query := "SELECT " + columns + " FROM job"
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	query += " ORDER BY created_at DESC, id DESC LIMIT " + arg(min(f.Limit, 1000))
	return all(ctx, tx, query, args...)
}

func all(ctx context.Context, tx *catalog.Tx, query string, args ...any) ([]Job, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var jobs []Job
	for rows.Next() {
		j, err := scan(rows)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	return jobs, rows.Err()
}

// Counts says how many jobs are pending and running, and for how long the
// oldest pending one that is due has waited, for metrics.
func (q *Queue) Counts(ctx context.Context, tx *catalog.Tx) (pending, running int64, oldest time.Duration, err error) {
	var first int64
	err = tx.QueryRow(ctx, `SELECT count(*), COALESCE(min(created_at), 0) FROM job WHERE state = 'pending'`).Scan(&pending, &first)
	if err == nil {
		err = tx.QueryRow(ctx, `SELECT count(*) FROM job WHERE state = 'running'`).Scan(&running)
	}
	if first > 0 {
		oldest = max(0, time.Duration(q.now()-first)*time.Microsecond)
	}
	return pending, running, oldest, err
}
