package catalog_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// The guard rule of the depot's protocol: whoever leases a pack and whoever
// condemns it look at facts in two tables. This file runs the ways to write
// that down against each other on PostgreSQL and holds the table that says
// which of them lose a leased pack. P and L stand for the test's own tables.

type step func(ctx context.Context, tx *sql.Tx, p, l string) error

// errSkip ends an actor's statements without an error: it saw that it must
// not go on.
var errSkip = errors.New("sees that it must not")

func statement(query string) step {
	return func(ctx context.Context, tx *sql.Tx, p, l string) error {
		_, err := tx.ExecContext(ctx, fmt.Sprintf(query, p, l))
		return err
	}
}

var writers = map[string][]step{
	"foreign key only": {statement("INSERT INTO %[2]s (pack) VALUES (1)")},
	"FOR SHARE + state": {func(ctx context.Context, tx *sql.Tx, p, l string) error {
		var state string
		if err := tx.QueryRowContext(ctx, "SELECT state FROM "+p+" WHERE id = 1 FOR SHARE").Scan(&state); err != nil {
			return err
		}
		if state != "sealed" {
			return errSkip
		}
		return nil
	}, statement("INSERT INTO %[2]s (pack) VALUES (1)")},
	"stamp UPDATE": {func(ctx context.Context, tx *sql.Tx, p, l string) error {
		res, err := tx.ExecContext(ctx, "UPDATE "+p+" SET stamp = stamp + 1 WHERE id = 1 AND state = 'sealed'")
		if err != nil {
			return err
		}
		if n, _ := res.RowsAffected(); n == 0 {
			return errSkip
		}
		return nil
	}, statement("INSERT INTO %[2]s (pack) VALUES (1)")},
}

const condemn = "UPDATE %[1]s SET state = 'condemned', stamp = stamp + 1 WHERE id = 1 AND state = 'sealed'"

// collectors makes fresh steps: the last one keeps what it has read.
func collectors(name string) []step {
	switch name {
	case "one UPDATE":
		return []step{statement(condemn + " AND NOT EXISTS (SELECT 1 FROM %[2]s WHERE pack = 1)")}
	case "FOR UPDATE, then UPDATE":
		return []step{
			statement("SELECT 1 FROM %[1]s WHERE id = 1 FOR UPDATE"),
			statement(condemn + " AND NOT EXISTS (SELECT 1 FROM %[2]s WHERE pack = 1)"),
		}
	}
	var seen int64
	return []step{
		func(ctx context.Context, tx *sql.Tx, p, l string) error {
			if err := tx.QueryRowContext(ctx, "SELECT stamp FROM "+p+" WHERE id = 1").Scan(&seen); err != nil {
				return err
			}
			var leases int
			err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+l+" WHERE pack = 1").Scan(&leases)
			if err == nil && leases > 0 {
				return errSkip
			}
			return err
		},
		func(ctx context.Context, tx *sql.Tx, p, l string) error {
			_, err := tx.ExecContext(ctx, fmt.Sprintf(condemn+" AND stamp = $1", p), seen)
			return err
		},
	}
}

// actor runs the steps that it is sent, in one transaction.
type actor struct {
	steps chan func()
	tx    *sql.Tx
	pid   int
	err   error
	idle  sync.WaitGroup
}

func newActor(t *testing.T, pool *sql.DB, level sql.IsolationLevel) *actor {
	t.Helper()
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a := &actor{steps: make(chan func(), 10)}
	if err := conn.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&a.pid); err != nil {
		t.Fatal(err)
	}
	if a.tx, err = conn.BeginTx(t.Context(), &sql.TxOptions{Isolation: level}); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer conn.Close()
		for f := range a.steps {
			f()
			a.idle.Done()
		}
	}()
	return a
}

// do sends f and waits until it is done or waits for a lock.
func (a *actor) do(t *testing.T, monitor *sql.DB, f func() error) {
	t.Helper()
	a.idle.Add(1)
	done := make(chan struct{})
	a.steps <- func() {
		if a.err == nil {
			a.err = f()
		}
		close(done)
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		select {
		case <-done:
			return
		case <-time.After(2 * time.Millisecond):
		}
		var waits bool
		if err := monitor.QueryRow("SELECT COALESCE(bool_or(wait_event_type = 'Lock'), false) FROM pg_stat_activity WHERE pid = $1", a.pid).Scan(&waits); err != nil {
			t.Error(err)
			return
		}
		if waits {
			return
		}
	}
	t.Error("a statement neither ends nor waits for a lock")
}

// duel runs one schedule ("wwccWC": steps in small letters, ends in capitals)
// and says what came of it.
func duel(t *testing.T, pool *sql.DB, level sql.IsolationLevel, writer, collector []step, schedule, tag string) string {
	t.Helper()
	p, l := "p"+tag, "l"+tag
	for _, q := range []string{
		"CREATE TABLE " + p + " (id BIGINT PRIMARY KEY, state TEXT NOT NULL, stamp BIGINT NOT NULL)",
		"CREATE TABLE " + l + " (pack BIGINT NOT NULL REFERENCES " + p + "(id))",
		"INSERT INTO " + p + " VALUES (1, 'sealed', 0)",
	} {
		if _, err := pool.Exec(q); err != nil {
			t.Error(err)
			return ""
		}
	}
	w, c := newActor(t, pool, level), newActor(t, pool, level)
	next := map[*actor][]step{w: writer, c: collector}
	for _, s := range schedule {
		a := w
		if s == 'c' || s == 'C' {
			a = c
		}
		if s == 'W' || s == 'C' {
			a.do(t, pool, func() error { return a.tx.Commit() })
			continue
		}
		f := next[a][0]
		next[a] = next[a][1:]
		a.do(t, pool, func() error { return f(t.Context(), a.tx, p, l) })
	}
	for _, a := range []*actor{w, c} {
		a.idle.Wait()
		close(a.steps)
		_ = a.tx.Rollback()
		var pe *pgconn.PgError
		switch {
		case errors.As(a.err, &pe):
			return pe.Code
		case a.err != nil && !errors.Is(a.err, errSkip):
			t.Error(a.err)
		}
	}
	var lost bool
	err := pool.QueryRow("SELECT EXISTS (SELECT 1 FROM " + l + ") AND (SELECT state FROM " + p + ") = 'condemned'").Scan(&lost)
	if err != nil {
		t.Error(err)
	}
	if lost {
		return "lost"
	}
	return "right"
}

func TestGuardTable(t *testing.T) {
	db := catalogtest.Postgres(t)
	pool := db.Raw(true)
	pool.SetMaxOpenConns(60)
	levels := []sql.IsolationLevel{sql.LevelReadCommitted, sql.LevelRepeatableRead, sql.LevelSerializable}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 12)
	for row, c := range []struct {
		writer, collector string
		schedules         []string
		want              [3]string // of the worst schedule, at each level
	}{
		{"foreign key only", "one UPDATE", []string{"wcWC", "cwCW"}, [3]string{"lost", "lost", "40001"}},
		{"foreign key only", "FOR UPDATE, then UPDATE", []string{"ccwCW"}, [3]string{"lost", "40001", "40001"}},
		{"FOR SHARE + state", "one UPDATE", []string{"wwcWC", "cwwCW"}, [3]string{"lost", "lost", "40001"}},
		{"FOR SHARE + state", "FOR UPDATE, then UPDATE", []string{"wwccWC", "ccwwCW", "cwwcCW"}, [3]string{"right", "lost", "40001"}},
		{"stamp UPDATE", "one UPDATE", []string{"wwcWC", "cwwCW"}, [3]string{"lost", "40001", "40001"}},
		{"stamp UPDATE", "stamp", []string{"wwccWC", "ccwwCW", "cwwWcC", "cwwcWC"}, [3]string{"right", "40001", "40001"}},
	} {
		for i, level := range levels {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				severity := map[string]int{"right": 0, "40001": 1, "lost": 2}
				worst, all := "right", map[string]string{}
				for n, s := range c.schedules {
					got := duel(t, pool, level, writers[c.writer], collectors(c.collector), s, fmt.Sprintf("_%d_%d_%d", row, i, n))
					all[s] = got
					if _, known := severity[got]; !known {
						t.Errorf("%s / %s at %v, %s: %q", c.writer, c.collector, level, s, got)
					}
					if severity[got] > severity[worst] {
						worst = got
					}
				}
				if worst != c.want[i] {
					t.Errorf("%s / %s at %v: %s, the table says %s (%v)", c.writer, c.collector, level, worst, c.want[i], all)
				}
			})
		}
	}
	wg.Wait()
}

// The rule itself, through Update, on both engines and in each order.
func TestGuardRule(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := t.Context()
		update(t, db, "CREATE TABLE p (id BIGINT PRIMARY KEY, state TEXT NOT NULL, stamp BIGINT NOT NULL)")
		update(t, db, "CREATE TABLE l (pack BIGINT NOT NULL)")
		lease := func(id int) (ok bool) {
			err := db.Update(ctx, func(tx *catalog.Tx) error {
				n, err := tx.Exec(ctx, "UPDATE p SET stamp = stamp + 1 WHERE id = $1 AND state = 'sealed'", id)
				if ok = n == 1; err == nil && ok {
					_, err = tx.Exec(ctx, "INSERT INTO l (pack) VALUES ($1)", id)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
			return ok
		}
		look := func(id int) (stamp int64, free bool) {
			err := db.View(ctx, func(tx *catalog.Tx) error {
				if err := tx.QueryRow(ctx, "SELECT stamp FROM p WHERE id = $1", id).Scan(&stamp); err != nil {
					return err
				}
				var n int
				err := tx.QueryRow(ctx, "SELECT count(*) FROM l WHERE pack = $1", id).Scan(&n)
				free = n == 0
				return err
			})
			if err != nil {
				t.Error(err)
			}
			return stamp, free
		}
		condemn := func(id int, stamp int64) (ok bool) {
			err := db.Update(ctx, func(tx *catalog.Tx) error {
				n, err := tx.Exec(ctx, "UPDATE p SET state = 'condemned', stamp = stamp + 1 WHERE id = $1 AND stamp = $2 AND state = 'sealed'", id, stamp)
				ok = n == 1
				return err
			})
			if err != nil {
				t.Error(err)
			}
			return ok
		}
		for id := range 3 {
			update(t, db, "INSERT INTO p (id, state, stamp) VALUES ($1, 'sealed', 0)", id)
		}
		if !lease(0) {
			t.Error("a sealed pack was refused")
		}
		if _, free := look(0); free {
			t.Error("the collector does not see a lease")
		}
		if stamp, free := look(1); !free || !condemn(1, stamp) || lease(1) {
			t.Error("a condemned pack was leased")
		}
		if stamp, free := look(2); !free || !lease(2) || condemn(2, stamp) {
			t.Error("a pack that was leased behind the collector's back was condemned")
		}

		const packs = 40
		for id := range packs {
			update(t, db, "INSERT INTO p (id, state, stamp) VALUES ($1, 'sealed', 0)", 100+id)
		}
		var wg sync.WaitGroup
		for id := range packs {
			wg.Go(func() {
				if stamp, free := look(100 + id); free {
					condemn(100+id, stamp)
				}
			})
			wg.Go(func() { lease(100 + id) })
		}
		wg.Wait()
		var lost int
		if err := db.Raw(false).QueryRow("SELECT count(*) FROM p JOIN l ON l.pack = p.id WHERE p.state = 'condemned'").Scan(&lost); err != nil || lost > 0 {
			t.Errorf("%d leased packs are condemned, %v", lost, err)
		}
	})
}
