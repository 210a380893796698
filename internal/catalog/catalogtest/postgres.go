package catalogtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // database/sql's "pgx", for making and dropping databases

	"kuva/internal/catalog"
)

// All test programs that run at the same time share one PostgreSQL server.
//
//	DIR/start.lock   held while somebody looks whether the server runs, or starts it
//	DIR/use.lock     held shared by every test program that uses the server
//	DIR/data         the cluster; its only socket is in DIR
//
// A watcher process waits for use.lock: when it gets the lock for itself
// nobody is left, however the test programs ended, and it stops the server.
// So no process outlives the tests and no test has to clean up. The cluster
// stays as a cache, because making one takes longer than most tests; one that
// does not start, after a power cut for example, is made anew.

// shared is this program's connection to the shared server.
var shared = sync.OnceValues(join)

// PostgresDSN makes an empty database on the tests' server and drops it when
// the test ends.
func PostgresDSN(tb testing.TB) string {
	tb.Helper()
	return postgresDSN(tb, false)
}

func postgresDSN(tb testing.TB, migrated bool) string {
	tb.Helper()
	skipWithout(tb)
	srv, err := shared()
	if err != nil {
		tb.Fatalf("start postgresql: %v", err)
	}
	template := ""
	if migrated {
		if template, err = srv.template(); err != nil {
			tb.Fatalf("make the migrated template: %v", err)
		}
	}
	return srv.database(tb, template)
}

// template names a database with the newest schema, which is many times
// cheaper to copy than to make. Its name has the migrations' hash.
func (s *Server) template() (string, error) {
	s.once.Do(func() { s.tmpl, s.tmplErr = s.makeTemplate() })
	return s.tmpl, s.tmplErr
}

func (s *Server) makeTemplate() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(catalog.Migrations(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(catalog.Migrations(), path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(b), b)
		return err
	})
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("kuva_%x", h.Sum(nil)[:8])
	start, err := lock(filepath.Join(s.dir, "start.lock"), syscall.LOCK_EX)
	if err != nil {
		return "", err
	}
	defer start.Close()
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return "", err
	}
	defer db.Close()
	var there int
	if err := db.QueryRow("SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&there); err != nil || there > 0 {
		return name, err
	}
	// Those of other days. One that a test is copying right now refuses.
	rows, err := db.Query("SELECT datname FROM pg_database WHERE datname ~ '^kuva_'")
	if err != nil {
		return "", err
	}
	var old []string
	for rows.Next() {
		var o string
		if err := rows.Scan(&o); err != nil {
			return "", err
		}
		old = append(old, o)
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	if len(old) > 10 { // a few are for people who go back and forth
		for _, o := range old {
			_, _ = db.Exec("DROP DATABASE " + pgx.Identifier{o}.Sanitize())
		}
	}
	making := pgx.Identifier{"making_" + name}.Sanitize()
	for _, stmt := range []string{"DROP DATABASE IF EXISTS " + making + " WITH (FORCE)", "CREATE DATABASE " + making} {
		if _, err := db.Exec(stmt); err != nil {
			return "", err
		}
	}
	c, err := catalog.Open(context.Background(), catalog.Config{DSN: s.url("making_" + name), Patience: -1})
	if err != nil {
		return "", err
	}
	if err := c.Close(); err != nil {
		return "", err
	}
	// The server notices a closed connection a moment later.
	_, err = db.Exec("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", "making_"+name)
	if err == nil {
		_, err = db.Exec("ALTER DATABASE " + making + " RENAME TO " + pgx.Identifier{name}.Sanitize())
	}
	return name, err
}

func skipWithout(tb testing.TB) {
	tb.Helper()
	if _, err := binDir(); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("%v (apt-get install postgresql)", err)
		}
		tb.Skipf("not run: %v", err)
	}
}

// binDir finds the newest PostgreSQL's programs.
func binDir() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", errors.New("PostgreSQL's initdb is neither in PATH nor below /usr/lib/postgresql")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1]), nil
}

// Server is a PostgreSQL server of the tests.
type Server struct {
	dir   string // holds data and the socket
	fsync string
	cred  *syscall.Credential // nil where the tests' own user runs the server

	use *os.File // the shared lock, for the life of this program

	once    sync.Once
	tmpl    string
	tmplErr error
}

// NewServer starts a server for one test alone, to stop, kill and start at
// will. It ends with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	skipWithout(tb)
	dir, err := os.MkdirTemp("", "kuva-pg-") // t.TempDir is too long for a socket's path
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := newServer(dir, "off")
	if err == nil {
		err = s.init()
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.ctl("stop", "-m", "immediate") })
	s.Start(tb)
	return s
}

// Start starts the server and waits until it answers.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
}

// Stop ends all sessions and stops the server as an operator does
// ("fast"); Kill makes it vanish without a word to anybody ("immediate").
func (s *Server) Stop(tb testing.TB) { tb.Helper(); s.end(tb, "fast") }

// Kill is a crash; see Stop.
func (s *Server) Kill(tb testing.TB) { tb.Helper(); s.end(tb, "immediate") }

func (s *Server) end(tb testing.TB, mode string) {
	tb.Helper()
	if err := s.ctl("stop", "-m", mode); err != nil {
		tb.Fatal(err)
	}
}

// DSN makes an empty database on the server.
func (s *Server) DSN(tb testing.TB) string { tb.Helper(); return s.database(tb, "") }

func newServer(dir, fsync string) (*Server, error) {
	s := &Server{dir: dir, fsync: fsync}
	if os.Geteuid() != 0 {
		return s, nil
	}
	u, err := user.Lookup("postgres") // PostgreSQL refuses to run as root
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // ids of the system's own table
	return s, os.Chown(dir, uid, gid)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) run(name string, args ...string) error {
	bin, err := binDir()
	if err != nil {
		return err
	}
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Dir = s.dir
	// No inherited output: "go test" would wait for the server to close it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setsid: true}
	log, err := os.CreateTemp("", "kuva-pg-log-")
	if err != nil {
		return err
	}
	defer os.Remove(log.Name())
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s: %w: %s", name, err, said)
	}
	return nil
}

func (s *Server) init() error {
	return s.run("initdb", "-D", s.data(), "-U", "kuva", "-A", "trust", "-E", "UTF8", "--locale=C", "--data-checksums", "--no-sync", "--no-instructions")
}

func (s *Server) start() error {
	opts := fmt.Sprintf("-k %s -c listen_addresses='' -c unix_socket_permissions=0777 -c fsync=%s -c full_page_writes=%s "+
		"-c max_connections=300 -c shared_buffers=32MB -c autovacuum=off -c max_wal_size=256MB "+
		"-c wal_level=minimal -c max_wal_senders=0", s.dir, s.fsync, s.fsync)
	return s.ctl("start", "-w", "-t", "60", "-l", filepath.Join(s.dir, "log"), "-o", opts)
}

func (s *Server) ctl(verb string, args ...string) error {
	return s.run("pg_ctl", append([]string{verb, "-D", s.data(), "-s"}, args...)...)
}

// url names a database of the server.
func (s *Server) url(database string) string {
	q := url.Values{"host": {s.dir}, "user": {"kuva"}, "sslmode": {"disable"}}
	return "postgres:///" + database + "?" + q.Encode()
}

func (s *Server) alive() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return false
	}
	_ = c.Close(ctx)
	return true
}

func (s *Server) database(tb testing.TB, template string) string {
	tb.Helper()
	name := "t" + rand.Text()
	create := "CREATE DATABASE " + pgx.Identifier{name}.Sanitize()
	if template != "" {
		create += " TEMPLATE " + pgx.Identifier{template}.Sanitize()
	}
	if err := s.admin(create); err != nil {
		tb.Fatalf("make a database: %v", err)
	}
	tb.Cleanup(func() {
		// Fails where the test stopped its own server: the cluster goes anyway.
		_ = s.admin("DROP DATABASE " + pgx.Identifier{name}.Sanitize() + " WITH (FORCE)")
	})
	return s.url(name)
}

func (s *Server) admin(statement string) error {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err = db.ExecContext(ctx, statement)
	return err
}

// join takes part in the shared server and starts it if it is not there. The
// locks are released by the kernel when this program ends.
func join() (*Server, error) {
	dir := filepath.Join(os.TempDir(), "kuva-pgtest-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s, err := newServer(dir, "off")
	if err != nil {
		return nil, err
	}
	start, err := lock(filepath.Join(dir, "start.lock"), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer start.Close()
	// Waits for a watcher that is stopping the last server. It never takes
	// start.lock, so this cannot hang.
	if s.use, err = lock(filepath.Join(dir, "use.lock"), syscall.LOCK_SH); err != nil {
		return nil, err
	}
	if s.alive() {
		return s, nil
	}
	if s.start() == nil && s.sweep() == nil {
		return s, s.watch()
	}
	_ = s.ctl("stop", "-m", "immediate")
	if err := os.RemoveAll(s.data()); err != nil {
		return nil, err
	}
	if err := s.init(); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, s.watch()
}

// sweep drops what tests that were killed left in a server that was just
// started, all but the templates.
func (s *Server) sweep() error {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.Query(`SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' AND datname !~ '^kuva_'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	for _, name := range names {
		if _, err := db.Exec("DROP DATABASE " + pgx.Identifier{name}.Sanitize()); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *Server) watch() error {
	bin, err := binDir()
	if err != nil {
		return err
	}
	const script = `exec 9<"$1/use.lock" && flock -x 9 && "$2/pg_ctl" stop -D "$1/data" -s -m fast`
	cmd := exec.Command("/bin/sh", "-c", script, "kuva-pgtest-watch", s.dir, bin)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setsid: true}
	return cmd.Start()
}

func lock(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
