package catalog

import (
	"context"
	"database/sql"
)

// Tx is one transaction, handed to the function of Update or View and dead
// when that returns. It is not safe for concurrent use. Rows of a Query must
// be closed before the next statement: PostgreSQL has one conversation a
// connection.
type Tx struct {
	raw     *sql.Tx
	dialect Dialect
	after   []func()
}

// OnCommit has f called once the transaction is durable, before Update
// returns: to wake whoever waits for what was written. f must not block and
// must bear a call for a transaction whose outcome is unknown.
func (tx *Tx) OnCommit(f func()) { tx.after = append(tx.after, f) }

// Exec runs a statement and returns how many rows it changed. Placeholders
// are $1, $2, … on both engines; a number may be used twice.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := tx.raw.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, classify(err)
	}
	n, err := res.RowsAffected()
	return n, classify(err)
}

// Query runs a statement that returns rows. The caller closes them and looks
// at their Err.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := tx.raw.QueryContext(ctx, query, args...)
	return rows, classify(err)
}

// QueryRow runs a statement that returns at most one row. Scan answers
// sql.ErrNoRows where there is none.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return tx.raw.QueryRowContext(ctx, query, args...)
}

// Raw is the transaction of database/sql below, for libraries that take one.
func (tx *Tx) Raw() *sql.Tx { return tx.raw }

// Dialect names the engine.
func (tx *Tx) Dialect() Dialect { return tx.dialect }
