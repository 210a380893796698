// Package catalog opens the database that holds everything but content: the
// depot's ledger, image metadata, identities, jobs and the audit table. It
// gives transactions; every package owns the queries of its own tables and
// takes a *Tx.
//
// Two engines, one SQL text. SQLite is the embedded default: one file in the
// data directory, one process.
//
//	Update ──► 1 writer connection   BEGIN IMMEDIATE, synchronous=FULL ─┐
//	View   ──► n reader connections  query_only, snapshots of the WAL  ─┴► catalog.db, -wal, -shm
//
// PostgreSQL serves many nodes: Update runs at READ COMMITTED and is run
// again on a serialization failure or a deadlock, View is a READ ONLY
// REPEATABLE READ snapshot. Code that is right on PostgreSQL at READ
// COMMITTED is right on SQLite, whose writers follow each other. The rule for
// facts that two transactions look at is in the depot's protocol: put the
// fact and its guard in one row and count the rows that an UPDATE changed.
//
// What Update committed is durable: SQLite syncs the WAL at every commit
// (synchronous=FULL) and the directory when it made the file; a PostgreSQL
// session with synchronous_commit=off is refused.
//
// SQLite knows no page checksums, and a flipped bit inside a page would be
// read as data. Databases made here reserve eight bytes in each page, and a
// small layer under SQLite (checksum.go) fills them when a page goes into the
// database file and compares them when it is read; pages read from the WAL
// are compared with the checksum of their frame, which SQLite itself looks at
// only after a crash. A wrong page is an I/O error (ErrDamaged), never data.
// Check reads every page. PostgreSQL has checksums of its own (initdb
// --data-checksums); Check says whether they are on.
package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"kuva"
)

// Config says which database to open and how.
type Config struct {
	// DSN is sqlite:PATH or a postgres:// URL.
	DSN string
	// Log takes what the operator should know; nil discards it.
	Log *slog.Logger
	// Conns is the number of reader connections (SQLite) or of all
	// connections (PostgreSQL); 0 takes 4 a CPU, at least 8.
	Conns int
	// Patience is how long Update and View try to reach a PostgreSQL that
	// does not answer, for example while it restarts; 0 is 30 s, below 0
	// tries once.
	Patience time.Duration
	// NoSync leaves out every fsync of SQLite. For tests that open many
	// databases and lose none.
	NoSync bool
	// NoMigrate opens without bringing the schema up to date; an older or
	// newer one is an error. For commands that look at a database that a
	// service is using.
	NoMigrate bool
}

// DB is an open database. Its methods are safe for concurrent use.
type DB struct {
	dialect  Dialect
	write    *sql.DB
	read     *sql.DB
	log      *slog.Logger
	path     string // of the SQLite file
	patience time.Duration
}

const (
	// A node may be stopped for hours at any instruction. Its open
	// transaction must not hold rows of the others that long.
	txLimit = 2 * time.Minute
	// Conflicts are run again this often. Each loser waits a random while,
	// so that a hot row with 16 writers still lets every one of them in.
	txAttempts = 24
)

// Open opens the database, creates it if there is none (SQLite), brings the
// schema up to date under a lock that other nodes and processes respect, and
// refuses a schema that is newer than this program (ErrNewer).
func Open(ctx context.Context, cfg Config) (*DB, error) {
	db := &DB{log: cfg.Log, patience: cfg.Patience}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if db.patience == 0 {
		db.patience = 30 * time.Second
	}
	if cfg.Conns <= 0 {
		cfg.Conns = max(8, 4*runtime.GOMAXPROCS(0))
	}
	var err error
	switch {
	case strings.HasPrefix(cfg.DSN, "sqlite:"):
		err = db.openSQLite(strings.TrimPrefix(cfg.DSN, "sqlite:"), cfg)
	case strings.HasPrefix(cfg.DSN, "postgres://"), strings.HasPrefix(cfg.DSN, "postgresql://"):
		err = db.openPostgres(cfg)
	default: // the DSN may hold a password and is not repeated
		err = kuva.E(kuva.CodeInvalid, "catalog.bad_dsn")
	}
	if err == nil {
		err = db.again(ctx, func() error { return db.migrate(ctx, cfg.NoMigrate) })
	}
	if err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("open catalog: %w", classify(err))
	}
	return db, nil
}

// Close closes all connections. Transactions under way should have ended.
func (db *DB) Close() error {
	var errs []error
	if db.read != nil && db.read != db.write {
		errs = append(errs, db.read.Close())
	}
	if db.write != nil {
		errs = append(errs, db.write.Close())
	}
	return errors.Join(errs...)
}

// Dialect names the engine.
func (db *DB) Dialect() Dialect { return db.dialect }

// Raw is the pool below: of the writer, or of the readers. For libraries that
// want one. The SQLite writer's pool has a single connection.
func (db *DB) Raw(write bool) *sql.DB {
	if write {
		return db.write
	}
	return db.read
}

// Ping asks whether the database answers now; it does not wait for one that
// restarts.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	if err := db.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("ping catalog: %w", classify(err))
	}
	return nil
}

// Update runs fn in a read-write transaction and commits it if fn returns
// nil. Committed is durable.
//
// fn may run more than once (PostgreSQL: conflicts with other transactions, a
// server that restarts), so all that it does besides SQL must bear repetition:
// set variables, do not append to them. It must be short, do no network or
// disk I/O of its own and open no second transaction: SQLite has one writer,
// and PostgreSQL ends a transaction that idles 30 s. Two minutes end it in
// any case.
//
// Errors of fn come back as they are. Errors of the database wrap ErrFull,
// ErrUnavailable or ErrDamaged; one that wraps ErrOutcomeUnknown leaves open
// whether the transaction is committed. Cancelling ctx ends the waiting for a
// connection and the statements that use ctx, never a COMMIT under way.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return db.again(ctx, func() error { return db.once(ctx, db.write, nil, fn) })
}

// View runs fn in a read-only transaction that sees one state of the
// database. fn may run more than once, as in Update.
func (db *DB) View(ctx context.Context, fn func(tx *Tx) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if db.dialect == PostgreSQL {
		opts.Isolation = sql.LevelRepeatableRead
	}
	return db.again(ctx, func() error { return db.once(ctx, db.read, opts, fn) })
}

// again runs f until it succeeds, fails for good or patience ends.
func (db *DB) again(ctx context.Context, f func() error) error {
	start := time.Now() // monotonic
	for attempt, outage := 1, 0; ; attempt++ {
		err := f()
		var pause time.Duration
		switch {
		case err == nil, db.dialect != PostgreSQL, ctx.Err() != nil, errors.Is(err, ErrOutcomeUnknown):
			return err
		case conflicted(err):
			if attempt >= txAttempts {
				return fmt.Errorf("%w: %d conflicts in a row: %w", ErrUnavailable, attempt, err)
			}
			pause = rand.N(time.Millisecond << min(attempt, 7))
		case errors.Is(err, ErrUnavailable):
			if time.Since(start) >= db.patience {
				return err
			}
			outage++
			pause = 20*time.Millisecond + rand.N(20*time.Millisecond<<min(outage, 6))
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// once is one attempt.
func (db *DB) once(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, fn func(tx *Tx) error) (err error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return classify(err)
	}
	defer conn.Close()
	// The transaction's own context is not the caller's: a caller that goes
	// away while COMMIT is under way must not make its outcome unknown.
	txCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), txLimit)
	defer cancel()
	raw, err := conn.BeginTx(txCtx, opts)
	if err != nil {
		return classify(err)
	}
	defer func() { _ = raw.Rollback() }() // does nothing after Commit
	tx := &Tx{raw: raw, dialect: db.dialect}
	if err := fn(tx); err != nil {
		if ctx.Err() != nil && errors.Is(err, driver.ErrBadConn) {
			// pgx's adapter says "bad connection" also where a statement was not
			// sent because its context had ended.
			return ctx.Err()
		}
		return classify(err)
	}
	if opts != nil && opts.ReadOnly {
		return nil
	}
	gone := closed(conn) // nothing can be sent on it, so nothing is committed
	err = classify(raw.Commit())
	unknown := errors.Is(err, ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
	if unknown && !gone {
		err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	if err == nil || errors.Is(err, ErrOutcomeUnknown) {
		for _, f := range tx.after {
			f()
		}
	}
	return err
}
