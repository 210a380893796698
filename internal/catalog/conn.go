package catalog

import (
	"context"
	"database/sql/driver"
	"io"
	"strings"

	"modernc.org/sqlite"
)

// connector opens SQLite connections that keep their prepared statements.
// Compiling a statement costs as much as running a short one several times
// over, and the service has a few hundred texts that it repeats for ever.
type connector struct {
	driver.Connector
	begin string // how a transaction begins
}

func newConnector(dsn string, writes bool) (driver.Connector, error) {
	base, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	if writes {
		return connector{base, "BEGIN IMMEDIATE"}, nil
	}
	return connector{base, "BEGIN"}, nil
}

// inner is what a connection of the driver below can do.
type inner interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	driver.Pinger
}

type innerStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	dc, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{inner: dc.(inner), begin: c.begin, stmts: map[string]*stmt{}}, nil
}

// maxStmts bounds what one connection keeps, about 5 KiB each.
const maxStmts = 300

type conn struct {
	inner
	begin string
	bad   bool // may still be inside a transaction
	stmts map[string]*stmt
}

// IsValid is asked before the connection goes back to the pool.
func (c *conn) IsValid() bool { return !c.bad && c.inner.IsValid() }

// BeginTx begins by a kept statement too: a View of one row is mostly its
// beginning and its end. Neither can wait long, so ctx is only looked at.
func (c *conn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.do(c.begin); err != nil {
		return nil, err
	}
	return (*tx)(c), nil
}

func (c *conn) do(query string) error {
	_, err := c.ExecContext(context.Background(), query, nil)
	return err
}

// tx is a connection inside a transaction.
type tx conn

func (t *tx) Commit() error {
	err := (*conn)(t).do("COMMIT")
	if err != nil {
		// Some failures leave the transaction open, others end it.
		_ = t.Rollback()
	}
	return err
}

// Rollback fails where SQLite has rolled back by itself already, and where it
// could not. The connection is not used again in either case.
func (t *tx) Rollback() error {
	err := (*conn)(t).do("ROLLBACK")
	t.bad = t.bad || err != nil
	return err
}

// stmt is a kept statement; busy while rows of it are being read.
type stmt struct {
	innerStmt
	busy bool
}

// statement returns the kept statement of a text, nil where it is better to
// compile one for this use only.
func (c *conn) statement(ctx context.Context, query string) *stmt {
	if s := c.stmts[query]; s != nil {
		if s.busy {
			return nil
		}
		return s
	}
	if !worthKeeping(query) {
		return nil
	}
	ds, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil // the plain way reports it
	}
	s, ok := ds.(innerStmt)
	if !ok {
		_ = ds.Close()
		return nil
	}
	if len(c.stmts) >= maxStmts {
		for text, old := range c.stmts { // any one will do
			if !old.busy {
				_ = old.Close()
				delete(c.stmts, text)
				break
			}
		}
	}
	kept := &stmt{innerStmt: s}
	c.stmts[query] = kept
	return kept
}

// worthKeeping: statements that are run again, not schema changes or scripts.
func worthKeeping(query string) bool {
	if len(query) > 8<<10 {
		return false
	}
	word, _, _ := strings.Cut(strings.TrimLeft(query, " \t\r\n"), " ")
	switch strings.ToUpper(strings.TrimSpace(word)) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "BEGIN", "COMMIT", "ROLLBACK":
		return !strings.Contains(query, ";")
	}
	return false
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s := c.statement(ctx, query)
	if s == nil {
		return c.inner.ExecContext(ctx, query, args)
	}
	return s.ExecContext(ctx, args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s := c.statement(ctx, query)
	if s == nil {
		return c.inner.QueryContext(ctx, query, args)
	}
	r, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &rows{Rows: r, stmt: s}, nil
}

// Close ends the statements first, else SQLite keeps the file open for them.
func (c *conn) Close() error {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	c.stmts = nil
	return c.inner.Close()
}

type rows struct {
	driver.Rows
	stmt *stmt
}

func (r *rows) Next(dest []driver.Value) error {
	if r.stmt == nil {
		return io.EOF
	}
	return r.Rows.Next(dest)
}

func (r *rows) Close() error {
	if r.stmt == nil {
		return nil
	}
	r.stmt.busy = false
	r.stmt = nil
	return r.Rows.Close()
}
