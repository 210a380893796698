package catalog

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"kuva"
)

func (db *DB) openPostgres(cfg Config) error {
	db.dialect = PostgreSQL
	pc, err := pgx.ParseConfig(cfg.DSN)
	if err != nil { // pgx hides the password in its message
		return kuva.E(kuva.CodeInvalid, "catalog.bad_dsn").Because(err)
	}
	if pc.ConnectTimeout == 0 {
		pc.ConnectTimeout = 5 * time.Second
	}
	// A peer that vanished without a word is noticed within half a minute.
	pc.DialFunc = (&net.Dialer{
		Timeout:         pc.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
	}).DialContext
	params := map[string]string{
		"application_name":                    "kuva",
		"idle_in_transaction_session_timeout": "30000", // ms: a stopped node's row locks end
		"default_transaction_isolation":       "read committed",
	}
	for k, v := range params {
		if _, set := pc.RuntimeParams[k]; !set {
			pc.RuntimeParams[k] = v
		}
	}
	db.write = stdlib.OpenDB(*pc, stdlib.OptionAfterConnect(durable))
	db.read = db.write
	db.write.SetMaxOpenConns(cfg.Conns)
	db.write.SetMaxIdleConns(cfg.Conns)
	db.write.SetConnMaxIdleTime(5 * time.Minute)
	return nil
}

// durable refuses a session whose commits may be forgotten. It is asked at
// every connection: the setting can change with the server's configuration,
// the role's or the database's.
func durable(ctx context.Context, conn *pgx.Conn) error {
	var v string
	if err := conn.QueryRow(ctx, "SHOW synchronous_commit").Scan(&v); err != nil {
		return err
	}
	if v == "off" {
		return fmt.Errorf("%w: %w", ErrUnsafe, kuva.E(kuva.CodeUnavailable, "catalog.unsafe_commit"))
	}
	return nil
}

// closed reports whether a connection to PostgreSQL is known to be dead. It is
// asked before COMMIT, because the error of COMMIT does not tell whether it was
// sent: pgx 5.12 says that "conn closed" is safe to try again also where the
// server's answer got lost.
func closed(conn *sql.Conn) (dead bool) {
	_ = conn.Raw(func(c any) error {
		if pg, ok := c.(*stdlib.Conn); ok {
			dead = pg.Conn().IsClosed()
		}
		return nil
	})
	return dead
}
