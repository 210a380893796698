package catalog_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

func fill(b *testing.B, db *catalog.DB) {
	b.Helper()
	table(b, db)
	err := db.Update(b.Context(), func(tx *catalog.Tx) error {
		for i := range 20000 {
			if _, err := tx.Exec(b.Context(), "INSERT INTO thing (id, name, n, yes) VALUES ($1, $2, 0, true)", i, fmt.Sprintf("%032d", i)); err != nil {
				return err
			}
		}
		_, err := tx.Exec(b.Context(), "CREATE INDEX thing_name ON thing (name)")
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSelect reads a row by a 32-byte key: many in one View, and one in
// a View of its own.
func BenchmarkSelect(b *testing.B) {
	for engine, open := range map[string]func(testing.TB) *catalog.DB{"sqlite": catalogtest.SQLite, "postgresql": catalogtest.Postgres} {
		db := open(b)
		fill(b, db)
		one := func(tx *catalog.Tx, i int) error {
			var id int64
			return tx.QueryRow(b.Context(), "SELECT id FROM thing WHERE name = $1", fmt.Sprintf("%032d", i*7919%20000)).Scan(&id)
		}
		b.Run(engine+"/one View", func(b *testing.B) {
			err := db.View(b.Context(), func(tx *catalog.Tx) error {
				for i := 0; b.Loop(); i++ {
					if err := one(tx, i); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
		b.Run(engine+"/a View each", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := db.View(b.Context(), func(tx *catalog.Tx) error { return one(tx, i) }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpdate commits one changed row, with and without the fsync.
func BenchmarkUpdate(b *testing.B) {
	for _, noSync := range []bool{false, true} {
		db, err := catalog.Open(b.Context(), catalog.Config{DSN: "sqlite:" + filepath.Join(b.TempDir(), "catalog.db"), NoSync: noSync})
		if err != nil {
			b.Fatal(err)
		}
		defer db.Close()
		fill(b, db)
		b.Run(fmt.Sprint("sqlite/fsync=", !noSync), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				err := db.Update(b.Context(), func(tx *catalog.Tx) error {
					_, err := tx.Exec(b.Context(), "UPDATE thing SET n = n + 1 WHERE id = $1", i*7919%20000)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
