package catalog_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// table makes a table of the tests' own.
func table(t testing.TB, db *catalog.DB) {
	t.Helper()
	update(t, db, "CREATE TABLE thing (id BIGINT PRIMARY KEY, name TEXT NOT NULL, n BIGINT NOT NULL, yes BOOLEAN NOT NULL)")
}

func update(t testing.TB, db *catalog.DB, query string, args ...any) {
	t.Helper()
	err := db.Update(t.Context(), func(tx *catalog.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func count(t testing.TB, db *catalog.DB) (n int) {
	t.Helper()
	err := db.View(t.Context(), func(tx *catalog.Tx) error {
		return tx.QueryRow(t.Context(), "SELECT count(*) FROM thing").Scan(&n)
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTransactions(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := t.Context()
		table(t, db)
		id := catalog.NewID()
		if id <= 0 {
			t.Fatalf("NewID() = %d", id)
		}
		update(t, db, "INSERT INTO thing (id, name, n, yes) VALUES ($1, $2, $3, $4)", id, "a", 1, true)

		mine := errors.New("mine")
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			if _, err := tx.Exec(ctx, "DELETE FROM thing"); err != nil {
				return err
			}
			return mine
		})
		if err != mine {
			t.Fatalf("error of fn came back as %v", err)
		}
		if n := count(t, db); n != 1 {
			t.Fatalf("%d rows after a rolled-back DELETE", n)
		}

		// Numbers out of order and twice, RETURNING, ON CONFLICT, booleans.
		var name string
		var n int64
		var yes bool
		err = db.Update(ctx, func(tx *catalog.Tx) error {
			return tx.QueryRow(ctx, `INSERT INTO thing (id, name, n, yes) VALUES ($2, $1, 0, false)
				ON CONFLICT (id) DO UPDATE SET name = $1, n = thing.n + 1 RETURNING name, n, yes`, "b", id).Scan(&name, &n, &yes)
		})
		if err != nil || name != "b" || n != 2 || !yes {
			t.Fatalf("upsert: %q %d %v, %v", name, n, yes, err)
		}

		err = db.Update(ctx, func(tx *catalog.Tx) error {
			rows, err := tx.Exec(ctx, "UPDATE thing SET n = 7 WHERE id = $1", id+1)
			if rows != 0 {
				return fmt.Errorf("%d rows changed", rows)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}

		err = db.View(ctx, func(tx *catalog.Tx) error {
			_, err := tx.Exec(ctx, "DELETE FROM thing")
			return err
		})
		if err == nil || count(t, db) != 1 {
			t.Fatalf("a View could write: %v", err)
		}
		err = db.View(ctx, func(tx *catalog.Tx) error {
			return tx.QueryRow(ctx, "SELECT name FROM thing WHERE id = 0").Scan(&name)
		})
		if !errors.Is(err, sql.ErrNoRows) {
			t.Fatalf("no row: %v", err)
		}
	})
}

// A View sees one state of the database, whatever is committed meanwhile.
func TestViewIsASnapshot(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := t.Context()
		table(t, db)
		update(t, db, "INSERT INTO thing (id, name, n, yes) VALUES (1, 'a', 1, true)")
		err := db.View(ctx, func(tx *catalog.Tx) error {
			for range 2 {
				var n int64
				if err := tx.QueryRow(ctx, "SELECT n FROM thing WHERE id = 1").Scan(&n); err != nil {
					return err
				}
				if n != 1 {
					return fmt.Errorf("n = %d", n)
				}
				update(t, db, "UPDATE thing SET n = n + 1 WHERE id = 1")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// Parallel writers and readers: no lost update, no busy error.
func TestParallel(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := t.Context()
		table(t, db)
		update(t, db, "INSERT INTO thing (id, name, n, yes) VALUES (1, 'a', 0, true)")
		const workers, each = 8, 40
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range each {
					err := db.Update(ctx, func(tx *catalog.Tx) error {
						var n int64
						if err := tx.QueryRow(ctx, "SELECT n FROM thing WHERE id = 1"+tx.Dialect().ForUpdate()).Scan(&n); err != nil {
							return err
						}
						_, err := tx.Exec(ctx, "UPDATE thing SET n = $1 WHERE id = 1", n+1)
						return err
					})
					if err != nil {
						t.Error(err)
					}
					count(t, db)
				}
			})
		}
		wg.Wait()
		var n int64
		if err := db.Raw(false).QueryRow("SELECT n FROM thing WHERE id = 1").Scan(&n); err != nil || n != workers*each {
			t.Fatalf("n = %d, want %d; %v", n, workers*each, err)
		}
	})
}

// A statement that is read from while the same text is run again.
func TestSameStatementTwice(t *testing.T) {
	catalogtest.SQLite(t)
	db := catalogtest.SQLite(t)
	ctx := t.Context()
	table(t, db)
	for i := range 5 {
		update(t, db, "INSERT INTO thing (id, name, n, yes) VALUES ($1, 'a', 0, true)", i)
	}
	const q = "SELECT id FROM thing ORDER BY id"
	err := db.View(ctx, func(tx *catalog.Tx) error {
		outer, err := tx.Query(ctx, q)
		if err != nil {
			return err
		}
		defer outer.Close()
		var seen []int64
		for outer.Next() {
			var id, first int64
			if err := outer.Scan(&id); err != nil {
				return err
			}
			if err := tx.QueryRow(ctx, q).Scan(&first); err != nil || first != 0 {
				return fmt.Errorf("inner read %d: %w", first, err)
			}
			seen = append(seen, id)
		}
		if fmt.Sprint(seen) != "[0 1 2 3 4]" {
			return fmt.Errorf("outer read %v", seen)
		}
		return outer.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCancel(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		table(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			if _, err := tx.Exec(ctx, "INSERT INTO thing (id, name, n, yes) VALUES (1, 'a', 1, true)"); err != nil {
				return err
			}
			cancel()
			_, err := tx.Exec(ctx, "INSERT INTO thing (id, name, n, yes) VALUES (2, 'a', 1, true)")
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled: %v", err)
		}
		if err := db.Update(ctx, func(*catalog.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Fatalf("cancelled before: %v", err)
		}
		if n := count(t, db); n != 0 {
			t.Fatalf("%d rows of a cancelled transaction", n)
		}
		update(t, db, "INSERT INTO thing (id, name, n, yes) VALUES (1, 'a', 1, true)")
	})
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd name?#%41.db")
	db := catalogtest.Open(t, "sqlite:"+path)
	table(t, db)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		fi, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", suffix, fi.Mode())
		}
	}
}
