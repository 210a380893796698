package catalog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kuva"
)

// Backup writes a consistent copy of the SQLite database to path while the
// service goes on. The copy is of one moment, compact, checksummed like the
// original, mode 0600, and durable when Backup returns. path must not exist.
// Restoring is putting the copy in the original's place, without -wal and
// -shm files, while nothing has it open.
//
// PostgreSQL is backed up with its own tools (pg_dump, base backups);
// kuva.CodeUnsupported says so.
func (db *DB) Backup(ctx context.Context, path string) error {
	if db.dialect != SQLite {
		return kuva.E(kuva.CodeUnsupported, "catalog.backup_postgresql")
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(kuva.E(kuva.CodeConflict, "catalog.backup_exists", "path", path), err)
	}
	// SQLite fills an empty file and keeps its mode.
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return fmt.Errorf("backup catalog: %w", err)
	}
	defer os.Remove(tmp.Name()) // fails once it has its name
	if err := tmp.Close(); err != nil {
		return fmt.Errorf("backup catalog: %w", err)
	}
	pool, err := openPool(db.path, pragmas("busy_timeout(10000)", "temp_store(MEMORY)"), false, 1)
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := pool.ExecContext(ctx, "VACUUM INTO $1", tmp.Name()); err != nil {
		return fmt.Errorf("backup catalog: %w", classify(err))
	}
	if err := syncPath(tmp.Name()); err != nil {
		return fmt.Errorf("backup catalog: %w", err)
	}
	if err := os.Link(tmp.Name(), path); err != nil { // unlike a rename it replaces nothing
		return fmt.Errorf("backup catalog: %w", err)
	}
	if err := syncPath(filepath.Dir(path)); err != nil {
		return fmt.Errorf("backup catalog: %w", err)
	}
	return nil
}
