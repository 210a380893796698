package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// cutter stands between the catalogue and PostgreSQL. Once armed, it lets a
// COMMIT through and loses the answer, together with the connection.
type cutter struct {
	armed atomic.Bool
	cut   atomic.Int64
}

// listen returns the DSN of the cutter for the database at dsn.
func (c *cutter) listen(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	port := q.Get("port")
	if port == "" {
		port = "5432"
	}
	name := ".s.PGSQL." + port
	server := filepath.Join(q.Get("host"), name)
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(client, server)
		}
	}()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return u.String()
}

func (c *cutter) carry(client net.Conn, path string) {
	defer client.Close()
	server, err := net.Dial("unix", path)
	if err != nil {
		return
	}
	defer server.Close()
	var last atomic.Bool // the next answer is lost
	go func() {
		defer server.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if c.armed.Load() && bytes.Contains(buf[:n], []byte("commit")) && c.armed.CompareAndSwap(true, false) {
				last.Store(true)
			}
			if _, werr := server.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if last.Load() {
			c.cut.Add(1)
			return
		}
		if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// A COMMIT whose answer is lost is not run again, and said to be open.
func TestAnswerOfCommitIsLost(t *testing.T) {
	dsn := catalogtest.PostgresDSN(t)
	if !strings.Contains(dsn, "host=") {
		t.Fatalf("not a DSN of a socket: %s", dsn)
	}
	var c cutter
	db, err := catalog.Open(t.Context(), catalog.Config{DSN: c.listen(t, dsn)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table(t, db)
	for i := range 20 {
		runs := 0
		c.armed.Store(true)
		err := db.Update(t.Context(), func(tx *catalog.Tx) error {
			runs++
			_, err := tx.Exec(t.Context(), "INSERT INTO thing (id, name, n, yes) VALUES ($1, 'a', 0, true)", i)
			return err
		})
		if !errors.Is(err, catalog.ErrOutcomeUnknown) || !errors.Is(err, catalog.ErrUnavailable) || runs != 1 {
			t.Fatalf("%d runs, %v", runs, err)
		}
		if n := count(t, db); n != i+1 {
			t.Fatalf("%d rows after %d commits", n, i+1)
		}
	}
	if n := c.cut.Load(); n != 20 {
		t.Errorf("%d answers were lost", n)
	}
}

// A connection that dies before COMMIT is sent changes nothing: the
// transaction is run again.
func TestConnectionIsLostBeforeCommit(t *testing.T) {
	dsn := catalogtest.PostgresDSN(t)
	db, err := catalog.Open(t.Context(), catalog.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table(t, db)
	other, err := catalog.Open(t.Context(), catalog.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	runs := 0
	err = db.Update(t.Context(), func(tx *catalog.Tx) error {
		runs++
		if _, err := tx.Exec(t.Context(), "INSERT INTO thing (id, name, n, yes) VALUES (1, 'a', 0, true)"); err != nil || runs > 1 {
			return err
		}
		var pid int64
		if err := tx.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			return err
		}
		if _, err := other.Raw(true).Exec("SELECT pg_terminate_backend($1, 5000)", pid); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), "UPDATE thing SET n = 1")
		if err == nil {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
	if n := count(t, db); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// late is a context that ends while a statement is on its way to the server:
// after the first look at it.
type late struct {
	context.Context
	looks *atomic.Int64
	open  chan struct{}
	ended chan struct{}
}

func (c late) Done() <-chan struct{} {
	if c.looks.Add(1) <= 1 {
		return c.open
	}
	return c.ended
}

func (c late) Err() error {
	if c.looks.Load() > 1 {
		return context.Canceled
	}
	return nil
}

// A caller that goes away in front of a statement is told so, and not that the
// database was.
func TestCallerLeavesBeforeStatement(t *testing.T) {
	db, err := catalog.Open(t.Context(), catalog.Config{DSN: catalogtest.PostgresDSN(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table(t, db)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan struct{})
	close(ended)
	err = db.Update(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Exec(late{t.Context(), new(atomic.Int64), make(chan struct{}), ended}, "INSERT INTO thing (id, name, n, yes) VALUES (1, 'a', 0, true)")
		leave()
		return err
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, catalog.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
