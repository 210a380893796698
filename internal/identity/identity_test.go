package identity

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// cheap makes tests fast; the costs play no part in the rules.
var cheap = Params{Memory: 64, Time: 1, Threads: 1}

const canary = "c4n4ry-s3cret"

// clock is a wall clock that jumps and a monotonic one that does not.
type clock struct {
	mu   sync.Mutex
	wall time.Time
	mono time.Duration
}

func newClock() *clock {
	return &clock{wall: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), mono: time.Hour}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *clock) elapsed() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mono
}

// pass lets time go by, as both clocks see it.
func (c *clock) pass(d time.Duration) { c.jump(d, d) }

func (c *clock) jump(wall, mono time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.mono = c.wall.Add(wall), c.mono+mono
}

type fixture struct {
	*Service
	db    *catalog.DB
	clock *clock
	log   *bytes.Buffer
	admin kuva.Principal
	token string // of the administrator
}

func newFixture(t *testing.T, db *catalog.DB, cfg Config) *fixture {
	t.Helper()
	f := &fixture{db: db, clock: newClock(), log: &bytes.Buffer{}}
	cfg.Params, cfg.Now, cfg.Mono = cheap, f.clock.now, f.clock.elapsed
	cfg.Log = slog.New(slog.NewTextHandler(f.log, nil))
	f.Service = New(db, cfg)
	b, err := f.Bootstrap(t.Context(), canary)
	if err != nil || !b.Created || b.Password != "" {
		t.Fatalf("bootstrap: %+v, %v", b, err)
	}
	f.token = f.login(t, "admin", canary)
	if f.admin, err = f.Check(t.Context(), f.token); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if strings.Contains(f.log.String(), "c4n4ry") || strings.Contains(f.log.String(), TokenPrefix) {
			t.Error("the log holds a secret")
		}
	})
	return f
}

// another is a second node on the same database.
func (f *fixture) another() *Service {
	return New(f.db, Config{Params: cheap, Now: f.clock.now, Mono: f.clock.elapsed})
}

func (f *fixture) attempt(name, password string) (*Token, error) {
	return f.LogInPassword(context.Background(), LogIn{User: Ref{Name: name, DomainName: "Default"}, Password: Secret(password), Address: "192.0.2.1"})
}

func (f *fixture) login(t *testing.T, name, password string) string {
	t.Helper()
	tok, err := f.attempt(name, password)
	if err != nil {
		t.Fatalf("log-in of %s: %v", name, err)
	}
	return tok.Secret.Reveal()
}

// alice makes a project with one user in the role.
func (f *fixture) alice(t *testing.T, role string) (*Project, *User) {
	t.Helper()
	p, err := f.CreateProject(t.Context(), f.admin, Project{Name: "blue", Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	u, err := f.CreateUser(t.Context(), f.admin, User{Name: "alice", DefaultProject: p.ID, Enabled: true}, canary+"1")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Assign(t.Context(), f.admin, p.ID, u.ID, RoleID(role)); err != nil {
		t.Fatal(err)
	}
	return p, u
}

func wantCode(t *testing.T, err error, code kuva.Code) {
	t.Helper()
	if kuva.CodeOf(err) != code {
		t.Errorf("got %v, want code %q", err, code)
	}
	if err != nil && strings.Contains(err.Error(), "c4n4ry") {
		t.Errorf("error holds a secret: %v", err)
	}
}

func (f *fixture) valid(t *testing.T, token string) {
	t.Helper()
	if _, err := f.Check(t.Context(), token); err != nil {
		t.Errorf("token refused: %v", err)
	}
}

func (f *fixture) invalid(t *testing.T, token string) {
	t.Helper()
	_, err := f.Check(t.Context(), token)
	wantCode(t, err, kuva.CodeUnauthenticated)
}

func onBoth(t *testing.T, cfg Config, run func(t *testing.T, f *fixture)) {
	t.Helper()
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) { run(t, newFixture(t, db, cfg)) })
}

func (f *fixture) ctx() context.Context { return context.Background() }
