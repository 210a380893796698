package servertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// AdminPassword is the first administrator's, if the configuration's
// environment says nothing else.
const AdminPassword = "t0p-s3cret-of-tests"

// Config says how the program is started. Only Data is needed.
type Config struct {
	Data string
	// YAML is a configuration file's text.
	YAML string
	// Env goes before the environment of the tests.
	Env []string
	// Args follow "serve --data … --listen …".
	Args []string
	// Patience is how long the program may take to be ready [30 s].
	Patience time.Duration
}

// Process is a running program. Kill and Stop may be called more than once.
type Process struct {
	URL string
	// ReadyIn is the time from the start of the program to the first 200 of
	// /readyz.
	ReadyIn time.Duration

	cmd  *exec.Cmd
	log  *logTail
	gone chan struct{} // closed when the program has ended
	err  error         // of Wait, after gone
}

// Start starts the program, waits until /readyz answers 200, and kills it at
// the end of the test. A test that fails gets the end of its log.
func Start(t testing.TB, c Config) *Process {
	t.Helper()
	p, err := TryStart(t, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TryStart is Start for programs that may not come up: the error holds the
// end of the log, and no program is left behind.
func TryStart(t testing.TB, c Config) (*Process, error) {
	t.Helper()
	args := append([]string{"serve", "--data", c.Data, "--listen", "127.0.0.1:0"}, c.Args...)
	if c.YAML != "" {
		path := filepath.Join(t.TempDir(), "kuva.yaml")
		if err := os.WriteFile(path, []byte(c.YAML), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--config", path)
	}
	p := &Process{cmd: exec.Command(Binary(t), args...), log: &logTail{url: make(chan string, 1)}, gone: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), "KUVA_ADMIN_PASSWORD="+AdminPassword), c.Env...)
	p.cmd.Stderr = p.log
	// A test binary that is killed takes its programs along.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.gone) }()
	t.Cleanup(func() {
		p.Kill()
		// Tests start many: the newest tells why, and its cleanup comes first.
		if _, said := tellers.LoadOrStore(t.Name(), p); t.Failed() && !said {
			t.Logf("the end of the newest program's log:\n%s", p.Log())
		}
	})
	if err := p.ready(c.Patience - time.Since(began)); err != nil {
		p.Kill()
		return nil, fmt.Errorf("start %s: %w\n%s", c.Data, err, p.Log())
	}
	p.ReadyIn = time.Since(began)
	return p, nil
}

func (p *Process) ready(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	select {
	case p.URL = <-p.log.url:
	case <-p.gone:
		return fmt.Errorf("it ended: %w", p.err)
	case <-ctx.Done():
		return errors.New("it does not get ready")
	}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/readyz", nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.gone:
			return fmt.Errorf("it ended: %w", p.err)
		case <-ctx.Done():
			return errors.New("/readyz does not answer 200")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Kill ends the program by SIGKILL and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.gone
}

// Stop ends the program by SIGTERM and returns its exit code, or an error
// where it does not end in time.
func (p *Process) Stop(within time.Duration) (code int, err error) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(within):
		p.Kill()
		return -1, fmt.Errorf("it runs %v after SIGTERM\n%s", within, p.Log())
	}
}

// MustStop stops the program and fails the test where that is not clean.
func (p *Process) MustStop(t testing.TB) {
	t.Helper()
	if code, err := p.Stop(40 * time.Second); err != nil || code != 0 {
		t.Fatalf("exit code %d, %v\n%s", code, err, p.Log())
	}
}

// Gone is closed when the program has ended.
func (p *Process) Gone() <-chan struct{} { return p.gone }

// Log returns the end of what the program has logged.
func (p *Process) Log() string { return p.log.String() }

// Memory is the resident memory of the program in bytes, and its peak.
func (p *Process) Memory() (now, peak int64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range bytes.Lines(b) {
		_, _ = fmt.Sscanf(string(line), "VmRSS: %d kB", &now)
		_, _ = fmt.Sscanf(string(line), "VmHWM: %d kB", &peak)
	}
	return now << 10, peak << 10
}

// tellers are the programs whose log a test has been shown, by its name.
var tellers sync.Map

// logTail keeps the end of a log and finds the address in it.
type logTail struct {
	mu   sync.Mutex
	text []byte
	url  chan string
	seen bool
}

var readyLine = regexp.MustCompile(`(?m)msg=ready url=(\S+)`)

func (l *logTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if !l.seen {
		if m := readyLine.FindSubmatch(l.text); m != nil {
			l.seen = true
			l.url <- string(m[1])
		}
	}
	const most = 8 << 10
	if len(l.text) > 2*most {
		l.text = append(l.text[:0], l.text[len(l.text)-most:]...)
	}
	return len(b), nil
}

func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
