package catalog_test

import (
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

func open(t *testing.T, dsn string, lookOnly bool) (*catalog.DB, error) {
	t.Helper()
	return catalog.Open(t.Context(), catalog.Config{DSN: dsn, NoSync: true, Patience: -1, NoMigrate: lookOnly})
}

// Many nodes start at once on an empty database.
func TestOpenTogether(t *testing.T) {
	catalogtest.EachDSN(t, func(t *testing.T, dsn string) {
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				db, err := open(t, dsn, false)
				if err != nil {
					t.Error(err)
					return
				}
				defer db.Close()
				var n int
				if err := db.Raw(false).QueryRow("SELECT count(*) FROM image").Scan(&n); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestSchemaVersions(t *testing.T) {
	catalogtest.EachDSN(t, func(t *testing.T, dsn string) {
		if db, err := open(t, dsn, true); err == nil {
			db.Close()
			t.Error("NoMigrate opened an empty database")
		}
		db, err := open(t, dsn, false)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := open(t, dsn, true); err != nil {
			t.Error(err)
		} else {
			again.Close()
		}
		update(t, db, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9000, true)")
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for _, lookOnly := range []bool{true, false} {
			_, err = open(t, dsn, lookOnly)
			var e *kuva.Error
			if !errors.Is(err, catalog.ErrNewer) || !errors.As(err, &e) || e.Code != kuva.CodeUnavailable ||
				!strings.Contains(err.Error(), "schema 9000") {
				t.Errorf("a newer schema: %v", err)
			}
		}
	})
}

// Every migration can be read and has a way back.
func TestMigrationsHaveBothWays(t *testing.T) {
	files, err := fs.Glob(catalog.Migrations(), "*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		b, err := fs.ReadFile(catalog.Migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		for _, mark := range []string{"-- +goose Up", "-- +goose Down"} {
			if strings.Count(string(b), mark) != 1 {
				t.Errorf("%s: %d times %q", name, strings.Count(string(b), mark), mark)
			}
		}
	}
}

func TestBadDSN(t *testing.T) {
	for _, dsn := range []string{"", "sqlite:", "mysql://u:secret@h/d", "postgres://u:secret@[bad"} {
		_, err := catalog.Open(t.Context(), catalog.Config{DSN: dsn})
		if kuva.CodeOf(err) != kuva.CodeInvalid || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
}
