package external

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
	"kuva/internal/rest"
	"kuva/internal/rest/identityv3"
)

const canary = "c4n4ry-s3cret"

// clock is the clock of a checker, set by hand.
type clock struct{ passed atomic.Int64 }

func (c *clock) mono() time.Duration     { return time.Duration(c.passed.Load()) }
func (c *clock) advance(d time.Duration) { c.passed.Add(int64(d)) }

// keystone is a Keystone: the Identity API of this repository, which the
// checks speak to by the real protocol. It can be switched off.
type keystone struct {
	*httptest.Server
	ids   *identity.Service
	admin kuva.Principal
	calls atomic.Int64
	down  atomic.Bool
}

func newKeystone(t *testing.T) *keystone {
	t.Helper()
	k := &keystone{ids: identity.New(catalogtest.SQLite(t), identity.Config{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})}
	if _, err := k.ids.Bootstrap(t.Context(), canary); err != nil {
		t.Fatal(err)
	}
	door := identityv3.New(identityv3.Config{Identity: k.ids, Door: rest.Door{}})
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.calls.Add(1)
		if k.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		door.ServeHTTP(w, r)
	}))
	t.Cleanup(k.Close)
	var err error
	if k.admin, err = k.ids.Check(t.Context(), k.token(t, "admin", identity.Scope{Project: identity.Ref{Name: "admin"}})); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *keystone) token(t *testing.T, user string, scope identity.Scope) string {
	t.Helper()
	tok, err := k.ids.LogInPassword(t.Context(), identity.LogIn{User: identity.Ref{Name: user}, Password: canary, Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	return tok.Secret.Reveal()
}

// person makes a user with a role in a project of its own.
func (k *keystone) person(t *testing.T, name, role string) (project string) {
	t.Helper()
	p, err := k.ids.CreateProject(t.Context(), k.admin, identity.Project{Name: name, Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	u, err := k.ids.CreateUser(t.Context(), k.admin, identity.User{Name: name, DefaultProject: p.ID, Enabled: true}, canary)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.ids.Assign(t.Context(), k.admin, p.ID, u.ID, role); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func (k *keystone) config() KeystoneConfig {
	return KeystoneConfig{URL: k.URL + "/identity/v3", Username: "admin", Password: canary, Project: "admin"}
}

func (k *keystone) checker(t *testing.T, c *clock, cfg KeystoneConfig) (*Checker, *bytes.Buffer) {
	t.Helper()
	source, err := NewKeystone(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	return New(Config{Source: source, Mono: c.mono, Log: slog.New(slog.NewTextHandler(&log, nil))}), &log
}

func wantCode(t *testing.T, err error, code kuva.Code) {
	t.Helper()
	if kuva.CodeOf(err) != code {
		t.Errorf("got %v, want %q", err, code)
	}
}

// TestR25 is row R-25: what was checked is believed for a while without
// Keystone, at most 5 minutes, then the answer is 503; nothing else gets in.
func TestR25(t *testing.T) {
	k, c := newKeystone(t), &clock{}
	project := k.person(t, "alice", identity.RoleID(identity.RoleMember))
	alice := k.token(t, "alice", identity.Scope{})
	fresh := k.token(t, "alice", identity.Scope{})
	check, log := k.checker(t, c, k.config())
	ctx := t.Context()
	p, err := check.Check(ctx, alice)
	if err != nil || p.ProjectID != project || p.UserName != "alice" || p.Admin || !p.HasRole("member") || !p.HasRole("reader") || p.DomainID != "default" {
		t.Fatalf("%+v, %v", p, err)
	}
	before := k.calls.Load()
	for range 100 {
		if _, err := check.Check(ctx, alice); err != nil {
			t.Fatal(err)
		}
	}
	if k.calls.Load() != before {
		t.Error("Keystone was asked for what is fresh")
	}
	k.down.Store(true)
	for range 4 {
		c.advance(DefaultFresh)
		if _, err := check.Check(ctx, alice); err != nil {
			t.Fatal(err)
		}
		wantCode(t, check.Revoked(ctx, fresh), kuva.CodeUnavailable)
	}
	_, err = check.Check(ctx, fresh)
	wantCode(t, err, kuva.CodeUnavailable)
	c.advance(MaxStale - 4*DefaultFresh)
	_, err = check.Check(ctx, alice)
	wantCode(t, err, kuva.CodeUnavailable)
	k.down.Store(false)
	if _, err := check.Check(ctx, alice); err != nil {
		t.Error(err)
	}
	k.Close()
	c.advance(MaxStale)
	_, err = check.Check(ctx, alice)
	wantCode(t, err, kuva.CodeUnavailable)
	if all := log.String() + err.Error(); strings.Contains(all, canary) || strings.Contains(all, identity.TokenPrefix) || log.Len() == 0 {
		t.Errorf("a secret, or nothing, in the log: %s", all)
	}
}

// What Keystone takes back counts within Fresh, and a token that was never
// valid is asked about again and again only now and then.
func TestRevokedWithinFresh(t *testing.T) {
	k, c := newKeystone(t), &clock{}
	k.person(t, "alice", identity.RoleID(identity.RoleMember))
	alice := k.token(t, "alice", identity.Scope{})
	check, _ := k.checker(t, c, k.config())
	ctx := t.Context()
	if _, err := check.Check(ctx, alice); err != nil {
		t.Fatal(err)
	}
	if err := check.Revoked(ctx, alice); err != nil {
		t.Fatal(err)
	}
	if err := k.ids.Revoke(ctx, k.admin, alice); err != nil {
		t.Fatal(err)
	}
	c.advance(DefaultFresh)
	_, err := check.Check(ctx, alice)
	wantCode(t, err, kuva.CodeUnauthenticated)
	wantCode(t, check.Revoked(ctx, alice), kuva.CodeUnauthenticated)

	before := k.calls.Load()
	for range 50 {
		_, err := check.Check(ctx, identity.TokenPrefix+strings.Repeat("A", 43))
		wantCode(t, err, kuva.CodeUnauthenticated)
	}
	if n := k.calls.Load() - before; n != 1 {
		t.Errorf("asked %d times", n)
	}
	for _, bad := range []string{"", "a b", "a\r\nX-Auth-Token: b", strings.Repeat("x", maxToken+1), "ä"} {
		before := k.calls.Load()
		_, err := check.Check(ctx, bad)
		wantCode(t, err, kuva.CodeUnauthenticated)
		if k.calls.Load() != before {
			t.Errorf("asked about %.20q", bad)
		}
	}
}

// kuva's own token in Keystone may be taken back, or expire, at any time.
func TestOwnTokenAgain(t *testing.T) {
	k, c := newKeystone(t), &clock{}
	k.person(t, "alice", identity.RoleID(identity.RoleMember))
	source, err := NewKeystone(k.config())
	if err != nil {
		t.Fatal(err)
	}
	check := New(Config{Source: source, Mono: c.mono})
	for range 3 {
		if _, err := check.Check(t.Context(), k.token(t, "alice", identity.Scope{})); err != nil {
			t.Fatal(err)
		}
		if err := k.ids.Revoke(t.Context(), k.admin, source.token); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMeaning: roles and scopes of Keystone mean the same here, and those of
// the same name that the operator did not choose mean nothing.
func TestMeaning(t *testing.T) {
	k, c := newKeystone(t), &clock{}
	ctx := t.Context()
	boss, err := k.ids.CreateRole(ctx, k.admin, identity.Role{Name: "boss"})
	if err != nil {
		t.Fatal(err)
	}
	k.person(t, "rita", identity.RoleID(identity.RoleReader))
	k.person(t, "bob", boss.ID)
	cfg := k.config()
	check, _ := k.checker(t, c, cfg)
	cfg.AdminRoles = []string{"boss"}
	other, _ := k.checker(t, c, cfg)
	for _, x := range []struct {
		name  string
		check *Checker
		token string
		want  kuva.Principal
	}{
		{"reader", check, k.token(t, "rita", identity.Scope{}), kuva.Principal{Roles: []string{"reader"}}},
		{"admin", check, k.token(t, "admin", identity.Scope{}), kuva.Principal{Roles: []string{"admin", "member", "reader"}, Admin: true}},
		{"system", check, k.token(t, "admin", identity.Scope{System: true}), kuva.Principal{Roles: []string{"admin", "member", "reader"}, Admin: true}},
		{"unscoped", check, k.token(t, "admin", identity.Scope{Unscoped: true}), kuva.Principal{}},
		{"unknown role", check, k.token(t, "bob", identity.Scope{}), kuva.Principal{Roles: []string{"boss"}}},
		{"chosen role", other, k.token(t, "bob", identity.Scope{}), kuva.Principal{Roles: []string{"admin", "member", "reader", "boss"}, Admin: true}},
		{"not chosen", other, k.token(t, "admin", identity.Scope{}), kuva.Principal{Roles: []string{"member", "reader"}}},
	} {
		p, err := x.check.Check(ctx, x.token)
		if err != nil || p.Admin != x.want.Admin || strings.Join(p.Roles, " ") != strings.Join(x.want.Roles, " ") {
			t.Errorf("%s: %+v, %v", x.name, p, err)
		}
	}
	// Access rules are held to here, too.
	rita, err := k.ids.Check(ctx, k.token(t, "rita", identity.Scope{}))
	if err != nil {
		t.Fatal(err)
	}
	rule := kuva.AccessRule{Service: "image", Method: "GET", Path: "/v2/images"}
	made, err := k.ids.CreateApplicationCredential(ctx, rita, rita.UserID, identity.NewApplicationCredential{Name: "ci", Rules: []identity.AccessRule{{AccessRule: rule}}})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := k.ids.LogIn(ctx, []identity.Proof{{Method: identity.MethodApplicationCredential, ID: made.ID, Secret: made.Secret}}, identity.Scope{}, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := check.Check(ctx, tok.Secret.Reveal())
	if err != nil || p.Credential != made.ID || !p.Restricted || !p.Allows("image", "GET", "/v2/images") || p.Allows("image", "GET", "/v2/images/x") {
		t.Errorf("%+v, %v", p, err)
	}
}

// slow is a source that counts, and waits.
type slow struct {
	calls atomic.Int64
	gate  chan struct{}
	err   error
}

func (s *slow) Lookup(ctx context.Context, _ string, _ bool) (Answer, error) {
	s.calls.Add(1)
	select {
	case <-s.gate:
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
	return Answer{Expires: time.Now().Add(time.Hour)}, s.err
}

// A hundred who come with the same token cost one look-up; whoever goes away
// takes nothing from the others; a full cache forgets.
func TestOneLookup(t *testing.T) {
	s, c := &slow{gate: make(chan struct{})}, &clock{}
	check := New(Config{Source: s, Mono: c.mono})
	gone, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			ctx := t.Context()
			if i == 0 {
				ctx = gone
			}
			if _, err := check.Check(ctx, "token"); err != nil && !(i == 0 && errors.Is(err, context.Canceled)) {
				t.Error(err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	cancel()
	time.Sleep(20 * time.Millisecond)
	close(s.gate)
	wg.Wait()
	if n := s.calls.Load(); n > 2 { // one that came after the end of the first
		t.Errorf("%d look-ups", n)
	}
	for i := range maxEntries + 1000 {
		check.put(key{digest: [32]byte{byte(i), byte(i >> 8), byte(i >> 16)}}, entry{valid: true})
	}
	if n := len(check.known); n > maxEntries {
		t.Errorf("%d entries", n)
	}
}

func TestBadConfig(t *testing.T) {
	good := KeystoneConfig{URL: "https://k:5000/v3", Username: "u", Password: "p", Project: "p"}
	if _, err := NewKeystone(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*KeystoneConfig){
		"no address": func(c *KeystoneConfig) { c.URL = "" }, "file": func(c *KeystoneConfig) { c.URL = "file:///etc" },
		"password in the address": func(c *KeystoneConfig) { c.URL = "https://u:p@k/v3" },
		"no user":                 func(c *KeystoneConfig) { c.Username = "" }, "no project": func(c *KeystoneConfig) { c.Project = "" },
		"no password": func(c *KeystoneConfig) { c.Password = "" }, "no secret": func(c *KeystoneConfig) { c.CredentialID = "x" },
	} {
		bad := good
		spoil(&bad)
		if _, err := NewKeystone(bad); err == nil || strings.Contains(err.Error(), "u:p@") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever an answer looks like, it makes no token valid and breaks nothing.
func TestHostileKeystone(t *testing.T) {
	k := newKeystone(t)
	for name, answer := range map[string]string{
		"nothing": "", "html": "<html>", "other": `{"token":{}}`, "null": `null`, "list": `[]`, "bad time": `{"token":{"user":{"id":"x"},"expires_at":"soon"}}`,
		"endless": `{"token":"` + strings.Repeat("x", maxAnswer),
	} {
		fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.Header().Set("X-Subject-Token", "own")
				w.WriteHeader(http.StatusCreated)
				_, _ = w.Write([]byte(`{"token":{"expires_at":"2999-01-01T00:00:00Z"}}`))
				return
			}
			_, _ = w.Write([]byte(answer))
		}))
		cfg := k.config()
		cfg.URL = fake.URL
		check, _ := k.checker(t, &clock{}, cfg)
		_, err := check.Check(t.Context(), "token")
		wantCode(t, err, kuva.CodeUnavailable)
		if err == nil {
			t.Error(name)
		}
		fake.Close()
	}
	// A redirect would take kuva's token elsewhere.
	stolen := make(chan string, 10)
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen <- r.Header.Get("X-Auth-Token") }))
	defer thief.Close()
	fake := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	defer fake.Close()
	cfg := k.config()
	cfg.URL = fake.URL
	check, _ := k.checker(t, &clock{}, cfg)
	_, err := check.Check(t.Context(), "token")
	wantCode(t, err, kuva.CodeUnavailable)
	if len(stolen) > 0 {
		t.Error("the redirect was followed")
	}
}
