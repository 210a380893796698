// Package catalogtest gives tests databases of both engines.
package catalogtest

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"kuva/internal/catalog"
)

// Each runs f on a fresh, migrated database of each engine, as subtests
// "sqlite" and "postgresql". Where PostgreSQL's programs are missing its half
// is skipped, or fails if CI=true.
func Each(t *testing.T, f func(t *testing.T, db *catalog.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, SQLite(t)) })
	t.Run("postgresql", func(t *testing.T) { f(t, Postgres(t)) })
}

// EachDSN is Each for tests that open the database themselves, more than
// once perhaps. The database is empty and not migrated.
func EachDSN(t *testing.T, f func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, "sqlite:"+filepath.Join(t.TempDir(), "catalog.db")) })
	t.Run("postgresql", func(t *testing.T) { f(t, PostgresDSN(t)) })
}

// SQLite opens a fresh SQLite database that does not sync.
func SQLite(tb testing.TB) *catalog.DB {
	tb.Helper()
	return Open(tb, "sqlite:"+filepath.Join(tb.TempDir(), "catalog.db"))
}

// Postgres opens a fresh, migrated database of the tests' PostgreSQL server.
func Postgres(tb testing.TB) *catalog.DB {
	tb.Helper()
	return Open(tb, postgresDSN(tb, true))
}

// Open opens a database for the time of the test, without fsync and without
// patience for one that is away.
func Open(tb testing.TB, dsn string) *catalog.DB {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := catalog.Open(ctx, catalog.Config{
		DSN: dsn, NoSync: true, Patience: -1, Log: slog.New(slog.NewTextHandler(tb.Output(), nil)),
	})
	if err != nil {
		tb.Fatalf("open catalog: %v", err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close catalog: %v", err)
		}
	})
	return db
}
