// Package s3server gives tests a real S3 server: versitygw over a folder of the
// test, built by "make deps" into .cache/bin. A server is up in 0.2 s, takes
// some 60 MiB of memory and ends with its test.
package s3server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"kuva/internal/testkit"
)

// Program is the server's name in .cache/bin; the Makefile installs it.
const Program = "versitygw-v1.8.0"

// Region is what the server says that it is in; requests signed for another
// one are refused.
const Region = "kuva-test-1"

// Config is how a server is started. The zero value speaks HTTP and knows path
// style only.
type Config struct {
	// TLS makes a certificate for 127.0.0.1, which Server.CA vouches for.
	TLS bool
	// Domain lets buckets be asked as BUCKET.Domain, beside path style.
	Domain string
	// ReadOnly refuses whatever would change something, once Start's bucket is
	// made.
	ReadOnly bool
}

// Server is a running S3 server. Its fields stay as they are when it is
// killed and started again.
type Server struct {
	Endpoint string // http://127.0.0.1:PORT
	Access   string // root's access key
	Secret   string
	Region   string
	Bucket   string // empty, made by Start
	CA       string // path of a PEM file, "" without TLS

	cfg     Config
	closed  bool   // to changes
	dir     string // holds root and what TLS needs
	address string
	client  *minio.Client
	cmd     *exec.Cmd
	log     *tail
	gone    chan struct{} // closed when the program has ended
}

// Start starts a server of the test's own with an empty bucket, over HTTP.
func Start(t testing.TB) *Server {
	t.Helper()
	return StartWith(t, Config{})
}

// StartWith is Start for servers that are otherwise.
func StartWith(t testing.TB, cfg Config) *Server {
	t.Helper()
	if program() == "" {
		testkit.NotRun(t, Program+" not installed (make deps)")
	}
	s := &Server{cfg: cfg, Access: "root-" + rand.Text()[:8], Secret: rand.Text(), Region: Region, dir: t.TempDir()}
	if err := os.Mkdir(s.root(), 0o700); err != nil {
		t.Fatal(err)
	}
	if cfg.TLS {
		if err := s.makeCertificate(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the end of the S3 server's log:\n%s", s.log)
		}
	})
	// A port that is free now may be taken by another program a moment later.
	for try := 1; ; try++ {
		err := s.pickPort()
		if err == nil {
			err = s.start()
		}
		if err == nil {
			break
		}
		if try == 5 {
			t.Fatalf("start %s: %v\n%s", Program, err, s.log)
		}
	}
	var err error
	if s.client, err = s.newClient(); err != nil {
		t.Fatal(err)
	}
	s.Bucket = s.NewBucket(t)
	if cfg.ReadOnly {
		s.closed = true
		s.Restart(t)
	}
	return s
}

// NewBucket makes another empty bucket.
func (s *Server) NewBucket(t testing.TB) string {
	t.Helper()
	name := "kuva-" + strings.ToLower(rand.Text()[:12])
	if err := s.client.MakeBucket(t.Context(), name, minio.MakeBucketOptions{Region: Region}); err != nil {
		t.Fatalf("make a bucket: %v", err)
	}
	return name
}

// Client speaks to the server as root.
func (s *Server) Client() *minio.Client { return s.client }

// Folder is where a bucket's objects lie, as files by their keys.
func (s *Server) Folder(bucket string) string { return filepath.Join(s.root(), bucket) }

// Kill ends the server by SIGKILL and waits for its end.
func (s *Server) Kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		<-s.gone
	}
}

// Restart starts a killed server again, at the same address with the same
// buckets.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Kill()
	if err := s.start(); err != nil {
		t.Fatalf("start %s again: %v\n%s", Program, err, s.log)
	}
}

func (s *Server) root() string { return filepath.Join(s.dir, "root") }

func (s *Server) pickPort() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.address = l.Addr().String()
	s.Endpoint = "http://" + s.address
	if s.cfg.TLS {
		s.Endpoint = "https://" + s.address
	}
	return l.Close()
}

func (s *Server) start() error {
	// No --keep-alive: what it has not read of a put that it refuses, it takes
	// for the connection's next request.
	args := []string{"--port", s.address, "--region", Region, "--health", "/health", "--quiet"}
	if s.cfg.TLS {
		args = append(args, "--cert", s.CA, "--key", s.keyFile())
	}
	if s.cfg.Domain != "" {
		args = append(args, "--virtual-domain", s.cfg.Domain)
	}
	if s.closed {
		args = append(args, "--readonly")
	}
	args = append(args, "posix")
	if !attributes(s.root()) {
		side := filepath.Join(s.dir, "attributes")
		if err := os.MkdirAll(side, 0o700); err != nil {
			return err
		}
		args = append(args, "--sidecar", side)
	}
	s.log, s.gone = &tail{}, make(chan struct{})
	s.cmd = exec.Command(program(), append(args, s.root())...)
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.Access, "ROOT_SECRET_KEY="+s.Secret)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	// A test binary that is killed takes the server along.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		// The signal comes when the thread ends that started the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			_ = s.cmd.Wait()
		}
		close(s.gone)
	}()
	if err := <-started; err != nil {
		s.cmd = nil
		return err
	}
	return s.ready(20 * time.Second)
}

func (s *Server) ready(patience time.Duration) error {
	client, err := s.httpClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/health", nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.gone:
			return errors.New("it ended")
		case <-ctx.Done():
			return errors.New("it does not get ready")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *Server) newClient() (*minio.Client, error) {
	client, err := s.httpClient()
	if err != nil {
		return nil, err
	}
	return minio.New(s.address, &minio.Options{
		Creds: credentials.NewStaticV4(s.Access, s.Secret, ""), Region: Region, Secure: s.cfg.TLS,
		BucketLookup: minio.BucketLookupPath, Transport: client.Transport,
	})
}

// program is the server's path, "" where it was not built.
func program() string {
	_, file, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(file), "..", "..", "..", ".cache", "bin", Program)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	return testkit.Program(Program)
}

// attributes tells whether files below dir can bear what the server notes
// about objects.
func attributes(dir string) bool {
	return syscall.Setxattr(dir, "user.kuva", []byte("x"), 0) == nil
}

// tail keeps the end of a log.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if over := len(l.text) - 16<<10; over > 0 {
		l.text = bytes.Clone(l.text[over:])
	}
	return len(b), nil
}

func (l *tail) String() string {
	if l == nil {
		return "(it was not started)"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
