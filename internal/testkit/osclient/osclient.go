// Package osclient runs Debian's openstack client, unmodified, against a
// server under test: many commands in one Python process, so that a test of a
// hundred commands takes seconds.
package osclient

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"kuva/internal/testkit"
)

//go:embed run.py
var program string

// python is Debian's, which the client's packages are for.
const python = "/usr/bin/python3"

// Client is one user's settings. Clients made from one another by With share
// the process; commands run one after the other.
type Client struct {
	t   *testing.T
	p   *process
	env map[string]string
}

type process struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

// New starts the process, with these variables (OS_AUTH_URL=…) and nothing
// else in the environment. Without Debian's packages the test is not run, in
// CI it fails.
func New(t *testing.T, env ...string) *Client {
	t.Helper()
	return start(t, "openstackclient", env)
}

// NewGlance is New for the glance client, of which Try and the rest run
// "glance ARGS…".
func NewGlance(t *testing.T, env ...string) *Client {
	t.Helper()
	return start(t, "glanceclient", env)
}

func start(t *testing.T, module string, env []string) *Client {
	t.Helper()
	if err := exec.CommandContext(t.Context(), python, "-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('"+module+"') is None)").Run(); err != nil {
		testkit.NotRun(t, "python3-"+module+" not installed (make deps)")
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", program, module)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"}
	cmd.Dir = t.TempDir()
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	c := &Client{t: t, p: &process{in: in, out: bufio.NewReader(out)}, env: map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": t.TempDir(), "LC_ALL": "C.UTF-8", "NO_PROXY": "*", "OS_IDENTITY_API_VERSION": "3", "COLUMNS": "500",
	}}
	return c.With(env...)
}

// With is the same client with other variables; NAME= takes one away.
func (c *Client) With(env ...string) *Client {
	d := *c
	d.env = maps.Clone(c.env)
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if d.env[name] = value; value == "" {
			delete(d.env, name)
		}
	}
	return &d
}

// Try runs "openstack ARGS…" and returns what it printed, what it complained
// of, and its exit code.
func (c *Client) Try(args ...string) (out, errs string, code int) {
	c.t.Helper()
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if err := json.NewEncoder(c.p.in).Encode(map[string]any{"args": args, "env": c.env}); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.p.out.ReadBytes('\n')
	if err != nil {
		c.t.Fatalf("openstack %s: %v", strings.Join(args, " "), err)
	}
	var answer struct {
		Code     int
		Out, Err string
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		c.t.Fatal(err)
	}
	return answer.Out, answer.Err, answer.Code
}

// Run is Try for commands that must succeed; it returns what was printed
// without white space around it.
func (c *Client) Run(args ...string) string {
	c.t.Helper()
	out, errs, code := c.Try(args...)
	if code != 0 {
		c.t.Fatalf("openstack %s: exit code %d\n%s", strings.Join(args, " "), code, errs)
	}
	return strings.TrimSpace(out)
}

// Refused runs a command that must fail with a text among its complaints.
func (c *Client) Refused(text string, args ...string) {
	c.t.Helper()
	if _, errs, code := c.Try(args...); code == 0 || !strings.Contains(errs, text) {
		c.t.Errorf("openstack %s: exit code %d, want %q: %s", strings.Join(args, " "), code, text, errs)
	}
}

// Object runs a command that shows one thing.
func (c *Client) Object(args ...string) map[string]any {
	c.t.Helper()
	var v map[string]any
	c.decode(&v, args)
	return v
}

// Rows runs a command that lists.
func (c *Client) Rows(args ...string) []map[string]any {
	c.t.Helper()
	var v []map[string]any
	c.decode(&v, args)
	return v
}

func (c *Client) decode(v any, args []string) {
	c.t.Helper()
	out := c.Run(append(args, "-f", "json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		c.t.Fatalf("openstack %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
