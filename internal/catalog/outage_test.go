package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/testkit/loopfs"
)

// PostgreSQL is stopped, killed and started while transactions run: each
// either commits once, or says that its outcome is open.
func TestPostgresRestarts(t *testing.T) {
	srv := catalogtest.NewServer(t)
	dsn := srv.DSN(t)
	db, err := catalog.Open(t.Context(), catalog.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	type result struct{ committed, open, tried int }
	done := make(chan result)
	go func() {
		var r result
		for ; ctx.Err() == nil; r.tried++ {
			err := db.Update(context.WithoutCancel(ctx), func(tx *catalog.Tx) error {
				_, err := tx.Exec(t.Context(), "INSERT INTO thing (id, name, n, yes) VALUES ($1, 'a', 0, true)", r.tried)
				return err
			})
			switch {
			case err == nil:
				r.committed++
			case errors.Is(err, catalog.ErrOutcomeUnknown) && errors.Is(err, catalog.ErrUnavailable):
				r.open++
			default:
				t.Errorf("insert: %v", err)
			}
		}
		done <- r
	}()
	for _, end := range []func(testing.TB){srv.Stop, srv.Kill} {
		time.Sleep(200 * time.Millisecond)
		end(t)
		short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if err := db.Ping(short); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("ping of a server that is away: %v", err)
		}
		stop()
		srv.Start(t)
	}
	time.Sleep(200 * time.Millisecond)
	cancel()
	r := <-done
	n := count(t, db)
	if n < r.committed || n > r.committed+r.open || r.committed == 0 {
		t.Errorf("%d rows, %+v", n, r)
	}
	t.Logf("%+v, %d rows", r, n)

	srv.Stop(t)
	impatient, err := catalog.Open(t.Context(), catalog.Config{DSN: dsn, Patience: -1})
	if !errors.Is(err, catalog.ErrUnavailable) {
		t.Errorf("open: %v", err)
	}
	if impatient != nil {
		impatient.Close()
	}
}

// A role, a database or a server with synchronous_commit=off is refused, also
// when it is switched off later.
func TestSynchronousCommitOff(t *testing.T) {
	dsn := catalogtest.PostgresDSN(t)
	_, err := catalog.Open(t.Context(), catalog.Config{DSN: dsn + "&synchronous_commit=off"})
	if !errors.Is(err, catalog.ErrUnsafe) {
		t.Errorf("off in the DSN: %v", err)
	}
	db, err := catalog.Open(t.Context(), catalog.Config{DSN: dsn, Patience: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var name string
	if err := db.Raw(true).QueryRow("SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Raw(true).Exec(fmt.Sprintf("ALTER DATABASE %q SET synchronous_commit = off", name)); err != nil {
		t.Fatal(err)
	}
	db.Raw(true).SetMaxIdleConns(0) // the next transaction connects anew
	err = db.Update(t.Context(), func(*catalog.Tx) error { return nil })
	if !errors.Is(err, catalog.ErrUnsafe) {
		t.Errorf("off later: %v", err)
	}
}

// A conflict is run again until it fits, on a real serialization failure.
func TestConflictsAreRunAgain(t *testing.T) {
	db := catalogtest.Postgres(t)
	table(t, db)
	update(t, db, "INSERT INTO thing (id, name, n, yes) VALUES (1, 'a', 0, true), (2, 'b', 0, true)")
	ctx := t.Context()
	errs := make(chan error, 2)
	met := make(chan struct{}, 2)
	for _, order := range [][2]int{{1, 2}, {2, 1}} { // a deadlock
		go func() {
			first := true
			errs <- db.Update(ctx, func(tx *catalog.Tx) error {
				if _, err := tx.Exec(ctx, "UPDATE thing SET n = n + 1 WHERE id = $1", order[0]); err != nil {
					return err
				}
				if first {
					first = false
					met <- struct{}{}
					for len(met) < 2 {
						time.Sleep(time.Millisecond)
					}
				}
				_, err := tx.Exec(ctx, "UPDATE thing SET n = n + 1 WHERE id = $1", order[1])
				return err
			})
		}()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	var sum int
	if err := db.Raw(true).QueryRow("SELECT sum(n) FROM thing").Scan(&sum); err != nil || sum != 4 {
		t.Errorf("sum %d, %v", sum, err)
	}
}

// The disk under SQLite is full: writes say so at once, reads go on, and with
// room everything is as before.
func TestDiskFull(t *testing.T) {
	// Blocks of 4 KiB, as file systems that hold data have: with smaller ones
	// the pages of SQLite's shared memory are half holes, which cannot be filled
	// on a full disk, and reading fails too.
	dir := loopfs.Ext4(t, 12<<20, "-b", "4096")
	db, err := catalog.Open(t.Context(), catalog.Config{DSN: "sqlite:" + filepath.Join(dir, "catalog.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table(t, db)
	ballast := filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	f.Close()

	text := strings.Repeat("x", 2000)
	written := 0
	for ; written < 10000; written++ {
		begin := time.Now()
		err = db.Update(t.Context(), func(tx *catalog.Tx) error {
			_, err := tx.Exec(t.Context(), "INSERT INTO thing (id, name, n, yes) VALUES ($1, $2, 0, true)", written, text)
			return err
		})
		if err != nil {
			if took := time.Since(begin); took > time.Second {
				t.Errorf("took %v", took)
			}
			break
		}
	}
	if !errors.Is(err, catalog.ErrFull) || errors.Is(err, catalog.ErrOutcomeUnknown) {
		t.Fatalf("after %d rows: %v", written, err)
	}
	if n := count(t, db); n != written {
		t.Errorf("%d rows are read, %d were acknowledged", n, written)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	update(t, db, "INSERT INTO thing (id, name, n, yes) VALUES ($1, 'a', 0, true)", written)
	if n := count(t, db); n != written+1 {
		t.Errorf("%d rows", n)
	}
	if problems, err := db.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
