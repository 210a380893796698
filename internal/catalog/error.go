package catalog

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// What can be wrong with the database itself. Errors of Open, Update, View
// and the methods of Tx wrap one of these where it applies, so that use cases
// can answer 413, 503 and the like; ask with errors.Is.
var (
	// ErrFull: no room on the database's disk. Nothing was changed.
	ErrFull = errors.New("database is full")
	// ErrUnavailable: the database cannot be reached or cannot do its I/O.
	// Nothing was changed, unless ErrOutcomeUnknown is in the chain as well.
	ErrUnavailable = errors.New("database is unavailable")
	// ErrOutcomeUnknown: the connection or the disk failed while a COMMIT was
	// under way. The transaction may or may not be durable: read what it
	// should have written before doing it again.
	ErrOutcomeUnknown = errors.New("outcome of the transaction is unknown")
	// ErrDamaged: the database's pages are not what was written.
	ErrDamaged = errors.New("database is damaged")
	// ErrNewer: the schema was made by a newer kuva than this one.
	ErrNewer = errors.New("schema is newer than this program")
	// ErrUnsafe: the server is configured to forget committed transactions.
	ErrUnsafe = errors.New("database does not keep what it committed")
)

// fault returns the sentinel that describes err, or nil where the statement
// and not the database is at fault.
func fault(err error) error {
	var se *sqlite.Error
	if errors.As(err, &se) {
		return sqliteFault(se.Code())
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return postgresFault(pe.Code)
	}
	var ce *pgconn.ConnectError
	var ne net.Error
	switch {
	case errors.As(err, &ce), pgconn.SafeToRetry(err), errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &ne):
		return ErrUnavailable
	}
	return nil
}

func sqliteFault(code int) error {
	switch code {
	case lib.SQLITE_IOERR_SHMSIZE, lib.SQLITE_IOERR_IN_PAGE:
		// The wal-index could not grow, or one of its pages could not be had when
		// it was written to: a full disk. It is the one file that is mapped, and
		// is never read from the disk.
		return ErrFull
	case lib.SQLITE_IOERR_DATA, lib.SQLITE_IOERR_CORRUPTFS: // the page's checksum is wrong
		return ErrDamaged
	}
	switch code & 0xff {
	case lib.SQLITE_FULL:
		return ErrFull
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return ErrDamaged
	case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_BUSY, lib.SQLITE_LOCKED,
		lib.SQLITE_PROTOCOL, lib.SQLITE_NOMEM, lib.SQLITE_PERM:
		return ErrUnavailable
	}
	return nil
}

// postgresFault reads SQLSTATE classes: 08 connection, 53 resources, 57 the
// operator, 58 the system, XX the engine itself.
func postgresFault(state string) error {
	switch state {
	case "53100":
		return ErrFull
	case "XX001", "XX002":
		return ErrDamaged
	case "57014": // the caller went away
		return nil
	case "25006", "25P03": // a standby after failover; idle too long inside a transaction
		return ErrUnavailable
	}
	if len(state) == 5 {
		switch state[:2] {
		case "08", "53", "57", "58":
			return ErrUnavailable
		}
	}
	return nil
}

// classify puts the sentinel in front of err's chain, once.
func classify(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	for _, known := range []error{ErrFull, ErrUnavailable, ErrDamaged, ErrNewer, ErrUnsafe} {
		if errors.Is(err, known) {
			return err
		}
	}
	if f := fault(err); f != nil {
		return fmt.Errorf("%w: %w", f, err)
	}
	return err
}

// conflicted reports whether PostgreSQL gave up a transaction in favour of
// another: it is to be run again at once.
func conflicted(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01")
}
