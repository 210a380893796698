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
	if err := createFile(abs, cfg); err != nil {
		return err
	}
	writer := pragmas("busy_timeout(10000)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-8000)",
		"journal_size_limit(67108864)", "wal_autocheckpoint(2000)")
	sync := "synchronous(FULL)"
	if cfg.NoSync {
		sync = "synchronous(OFF)"
	}
	writer.Add("_pragma", sync)
	writer.Set("_journal_mode", "WAL")
	writer.Set("_txlock", "immediate")
	reader := pragmas("busy_timeout(10000)", "foreign_keys(1)", "temp_store(MEMORY)", "cache_size(-4000)", "query_only(1)")

	if db.write, err = openPool(abs, writer, 1); err != nil {
		return err
	}
	// The first writer connection turns the WAL on before a reader looks.
	if err := db.write.Ping(); err != nil {
		return err
	}
	db.read, err = openPool(abs, reader, cfg.Conns)
	return err
}

func pragmas(list ...string) url.Values {
	v := url.Values{}
	for _, p := range list {
		v.Add("_pragma", p)
	}
	v.Set("_dqs", "0")
	v.Set("_defensive", "1")
	v.Set("_error_rc", "1")
	return v
}

func openPool(path string, params url.Values, conns int) (*sql.DB, error) {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: params.Encode()}
	c, err := newConnector(u.String())
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

// createFile makes an empty database file that only its owner reads, and
// makes its name durable: SQLite syncs the directory for its journals, not
// for the database itself.
func createFile(path string, cfg Config) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if err := f.Close(); err != nil {
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
