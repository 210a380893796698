package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// filled makes a database file with some data in it, closed: everything is in
// the one file.
func filled(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "catalog.db")
	db, err := catalog.Open(t.Context(), catalog.Config{DSN: "sqlite:" + path, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	table(t, db)
	err = db.Update(t.Context(), func(tx *catalog.Tx) error {
		for i := range 3000 {
			if _, err := tx.Exec(t.Context(), "INSERT INTO thing (id, name, n, yes) VALUES ($1, $2, $3, true)",
				i, strings.Repeat(fmt.Sprint("name ", i), 1+i%40), i); err != nil {
				return err
			}
		}
		_, err := tx.Exec(t.Context(), "DELETE FROM thing WHERE id > 2000 AND id < 2500") // free pages
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every flipped bit of the database file is found, by Check or by Open.
func TestFlips(t *testing.T) {
	path := filled(t)
	clean, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		t.Fatal("the log is still there after Close")
	}
	check := func(content []byte) ([]string, error) {
		p := filepath.Join(t.TempDir(), "flipped.db")
		if err := os.WriteFile(p, content, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := catalog.Open(t.Context(), catalog.Config{DSN: "sqlite:" + p, NoSync: true})
		if err != nil {
			return nil, err
		}
		defer db.Close()
		return db.Check(t.Context())
	}
	if problems, err := check(clean); err != nil || len(problems) > 0 {
		t.Fatalf("a clean database: %v, %v", problems, err)
	}
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 300 {
		bad := bytes.Clone(clean)
		at := rng.IntN(len(bad))
		switch {
		case i < 100: // the header is special in every byte
			at = i
		case i < 200: // the schema and its version are read by Open
			at = rng.IntN(3 * 4096)
		}
		bad[at] ^= 1 << rng.IntN(8)
		problems, err := check(bad)
		if len(problems) == 0 && !errors.Is(err, catalog.ErrDamaged) {
			t.Errorf("seed %d: a flip in byte %d (page %d) was not found: %v", seed, at, at/4096+1, err)
		}
	}
	// A page in another's place has a sum of its own, and is found too.
	moved := bytes.Clone(clean)
	copy(moved[5*4096:6*4096], clean[6*4096:7*4096])
	if problems, err := check(moved); len(problems) == 0 && err == nil {
		t.Error("a page at another's place was not found")
	}
}

// A query never returns what a flipped page says.
func TestFlipIsNotRead(t *testing.T) {
	path := filled(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, []byte("name 1234name 1234"))
	content[at+5] = '9'
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db := catalogtest.Open(t, "sqlite:"+path)
	err = db.View(t.Context(), func(tx *catalog.Tx) error {
		var name string
		err := tx.QueryRow(t.Context(), "SELECT name FROM thing WHERE id = 1234").Scan(&name)
		if err == nil {
			t.Errorf("read %.20s", name)
		}
		return err
	})
	if !errors.Is(err, catalog.ErrDamaged) {
		t.Errorf("error: %v", err)
	}
}

// Pages that are still in the log are compared as well.
func TestFlipInLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	db := catalogtest.Open(t, "sqlite:"+path)
	table(t, db)
	update(t, db, "INSERT INTO thing (id, name, n, yes) VALUES (1, 'a name that is easy to find', 1, true)")
	log, err := os.OpenFile(path+"-wal", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	content, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := db.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Fatalf("clean: %v, %v", problems, err)
	}
	at := bytes.LastIndex(content, []byte("easy to find"))
	if _, err := log.WriteAt([]byte("hard"), int64(at)); err != nil {
		t.Fatal(err)
	}
	problems, err := db.Check(t.Context())
	if err != nil || len(problems) == 0 {
		t.Errorf("a changed log: %v, %v", problems, err)
	}
}

func TestNotOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database at all "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	_, err := catalog.Open(t.Context(), catalog.Config{DSN: "sqlite:" + path})
	if !errors.Is(err, catalog.ErrDamaged) {
		t.Errorf("error: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("somebody's file was written to")
	}
}

// A copy that is taken while the database is written is of one moment, and as
// well guarded as the original.
func TestBackup(t *testing.T) {
	db := catalogtest.SQLite(t)
	table(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ { // two rows or none
			_ = db.Update(ctx, func(tx *catalog.Tx) error {
				for i := range 2 {
					if _, err := tx.Exec(ctx, "INSERT INTO thing (id, name, n, yes) VALUES ($1, 'some text', 0, true)", 2*n+i); err != nil {
						return err
					}
				}
				return nil
			})
		}
		done <- n
	}()
	dir := t.TempDir()
	for i := range 5 {
		path := filepath.Join(dir, fmt.Sprint("copy", i))
		if err := db.Backup(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", fi.Mode(), err)
		}
		if err := db.Backup(t.Context(), path); kuva.CodeOf(err) != kuva.CodeConflict {
			t.Errorf("over an older one: %v", err)
		}
		copied := catalogtest.Open(t, "sqlite:"+path)
		if n := count(t, copied); n%2 != 0 {
			t.Errorf("%d rows: half a transaction", n)
		}
		if problems, err := copied.Check(t.Context()); err != nil || len(problems) > 0 {
			t.Errorf("the copy: %v, %v", problems, err)
		}
	}
	cancel()
	if n := <-done; n < 5 {
		t.Errorf("the writer stood still: %d", n)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestBackupOfPostgres(t *testing.T) {
	db := catalogtest.Postgres(t)
	if err := db.Backup(t.Context(), filepath.Join(t.TempDir(), "x")); kuva.CodeOf(err) != kuva.CodeUnsupported {
		t.Errorf("error: %v", err)
	}
	if problems, err := db.Check(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
