package catalog

import (
	"context"
	"errors"
	"fmt"
)

// maxProblems bounds what Check lists.
const maxProblems = 20

// Check looks for damage and lists what it found, at most 20 lines; no line
// means that all is well. It reads the whole database while the service goes
// on. err is why it could not look.
//
// On SQLite it reads every page, free ones too, past the caches, so each
// checksum is compared (see the package comment), and then has SQLite check
// its structure, indexes and constraints. Not seen: damage to the newest
// frames of the log while nothing has the database open. SQLite takes a frame
// with a wrong checksum for the torn end of the log and drops the commits from
// there on, as after a power cut. The depot notices, because the store's cards
// are then newer than the images' rows.
//
// On PostgreSQL checking pages is the server's own business
// (pg_amcheck, data checksums); Check warns in the log where it does not.
func (db *DB) Check(ctx context.Context) (problems []string, err error) {
	if db.dialect == PostgreSQL {
		var on string
		if err := db.read.QueryRowContext(ctx, "SHOW data_checksums").Scan(&on); err != nil {
			return nil, fmt.Errorf("check catalog: %w", classify(err))
		}
		if on != "on" {
			db.log.Warn("postgresql does not check its pages; initdb --data-checksums or pg_checksums --enable turns that on")
		}
		return nil, nil
	}
	pool, err := openPool(db.path, pragmas("busy_timeout(10000)", "query_only(1)", "cache_size(-1000)", "temp_store(MEMORY)"), false, 1)
	if err != nil {
		return nil, err
	}
	defer pool.Close()

	note := func(format string, args ...any) bool {
		problems = append(problems, fmt.Sprintf(format, args...))
		return len(problems) < maxProblems
	}
	damaged := func(err error) bool { return errors.Is(classify(err), ErrDamaged) }

	var pages int64
	if err := pool.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		if damaged(err) {
			note("%v", err)
			return problems, nil
		}
		return nil, fmt.Errorf("check catalog: %w", classify(err))
	}
	for n := int64(1); n <= pages; n++ {
		var size int
		err := pool.QueryRowContext(ctx, "SELECT length(data) FROM sqlite_dbpage WHERE pgno = $1", n).Scan(&size)
		if err == nil {
			continue
		}
		if !damaged(err) {
			return problems, fmt.Errorf("check catalog: page %d: %w", n, classify(err))
		}
		if !note("page %d is not what was written", n) {
			return problems, nil
		}
	}

	rows, err := pool.QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", maxProblems))
	if err == nil {
		defer rows.Close()
		for rows.Next() {
			var line string
			if err = rows.Scan(&line); err != nil {
				break
			}
			if line != "ok" && !note("%s", line) {
				return problems, nil
			}
		}
		err = errors.Join(err, rows.Err())
	}
	if err != nil && !damaged(err) {
		return problems, fmt.Errorf("check catalog: %w", classify(err))
	}
	if err != nil {
		note("%v", err)
	}
	return problems, nil
}
