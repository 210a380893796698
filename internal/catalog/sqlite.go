package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"kuva"
)

func (db *DB) openSQLite(path string, cfg Config) error {
	db.dialect = SQLite
	if path == "" {
		return kuva.E(kuva.CodeInvalid, "catalog.bad_dsn")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	db.path = abs
	if err := registerChecksums(); err != nil {
		return err
	}
	if err := db.create(abs, cfg); err != nil {
		return err
	}
	writer := pragmas("busy_timeout(10000)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-8000)",
		"journal_size_limit(67108864)", "wal_autocheckpoint(2000)",
		// Frames that are written before COMMIT may be written again in place,
		// and their checksums are wrong until then.
		"cache_spill(0)")
	sync := "synchronous(FULL)"
	if cfg.NoSync {
		sync = "synchronous(OFF)"
	}
	writer.Add("_pragma", sync)
	writer.Set("_journal_mode", "WAL")
	reader := pragmas("busy_timeout(10000)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-4000)", "query_only(1)")

	if db.write, err = openPool(abs, writer, true, 1); err != nil {
		return err
	}
	// The first writer connection turns the WAL on before a reader looks. A
	// database that was not made here fails at its first page's checksum, or
	// has pages that get none.
	var size int
	if err := db.write.QueryRow("PRAGMA page_size").Scan(&size); err != nil {
		return err
	}
	if size != pageSize {
		return fmt.Errorf("%w: pages of %d bytes are not kuva's", ErrDamaged, size)
	}
	db.read, err = openPool(abs, reader, false, cfg.Conns)
	return err
}

// create makes the file if it is not there, under the lock that keeps two
// processes from doing it at once.
func (db *DB) create(path string, cfg Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	unlock, err := lockDir(ctx, path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer unlock()
	return createFile(path, cfg)
}

func pragmas(list ...string) url.Values {
	v := url.Values{}
	for _, p := range list {
		v.Add("_pragma", p)
	}
	v.Add("_pragma", "mmap_size(0)") // mapped pages would pass the checksums by
	v.Set("vfs", checksumVFS)
	v.Set("_dqs", "0")
	v.Set("_defensive", "1")
	v.Set("_error_rc", "1")
	return v
}

func openPool(path string, params url.Values, writes bool, conns int) (*sql.DB, error) {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: params.Encode()}
	c, err := newConnector(u.String(), writes)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(c)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	if conns > 1 {
		pool.SetConnMaxIdleTime(5 * time.Minute) // gives the page caches back
	}
	return pool, nil
}

// createFile makes an empty database file that only its owner reads, if there
// is none, and makes it durable under its name: SQLite syncs the directory for
// its journals, not for the database itself.
func createFile(path string, cfg Config) error {
	if fi, err := os.Stat(path); err == nil && fi.Size() > 0 {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if cfg.NoMigrate {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, path, fs.ErrNotExist)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer os.Remove(tmp.Name()) // fails once it has its name
	_, err = tmp.Write(newDatabase())
	if !cfg.NoSync {
		err = errors.Join(err, tmp.Sync())
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	if cfg.NoSync {
		return nil
	}
	return syncPath(filepath.Dir(path))
}

// syncPath makes a file or a directory durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

// lockDir holds a lock on the database's directory against other processes;
// the database file itself is not touched, because closing any descriptor of
// it would drop SQLite's own locks.
func lockDir(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	for {
		ok, err := tryLock(f)
		if err != nil {
			_ = f.Close()
			return nil, err
		}
		if ok {
			return func() { _ = f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
