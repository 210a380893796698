package catalog

import (
	"context"
	"embed"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"

	"kuva"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are the schema's files, oldest first. The same text is applied
// on both engines.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the directory is embedded
	}
	return sub
}

// migrate brings the schema to the newest version that this program knows.
// The lock lets one node or process do it while the others wait.
func (db *DB) migrate(ctx context.Context, lookOnly bool) error {
	dialect := goose.DialectSQLite3
	if db.dialect == PostgreSQL {
		dialect = goose.DialectPostgres
	}
	quiet := slog.New(slog.DiscardHandler)
	p, err := goose.NewProvider(dialect, db.write, Migrations(), goose.WithSlog(quiet), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	unlock, err := db.lockSchema(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := db.readable(ctx); err != nil {
		return err
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	switch {
	case current > target:
		return kuva.E(kuva.CodeUnavailable, "catalog.newer_schema", "found", current, "known", target).Because(ErrNewer)
	case current == target:
		return nil
	case lookOnly:
		return kuva.E(kuva.CodeUnavailable, "catalog.older_schema", "found", current, "known", target)
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	db.log.Info("schema brought up to date", "engine", db.dialect.String(), "from", current, "to", target)
	return nil
}

// readable reads the version table of a SQLite database that has one. goose
// takes every error of that for "there is none" and tries to make it.
func (db *DB) readable(ctx context.Context) error {
	if db.dialect != SQLite {
		return nil
	}
	var n int
	err := db.write.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'").Scan(&n)
	if err == nil && n > 0 {
		err = db.write.QueryRowContext(ctx, "SELECT count(*), max(version_id) FROM goose_db_version").Scan(&n, new(int64))
	}
	return err
}

// schemaLock is the key of PostgreSQL's advisory lock around migrations.
const schemaLock = 0x6b757661 // "kuva"

func (db *DB) lockSchema(ctx context.Context) (unlock func(), err error) {
	if db.dialect == SQLite {
		return lockDir(ctx, db.path)
	}
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", schemaLock); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return func() {
		// A connection that died has given its lock back already.
		_, _ = conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", schemaLock)
		_ = conn.Close()
	}, nil
}
