package server

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kuva/internal/testkit"
)

// keystoneSite starts a service whose users another one keeps.
func keystoneSite(t *testing.T, identity IdentityConfig) (url string) {
	t.Helper()
	s, err := Open(t.Context(), Config{Data: t.TempDir(), Listen: "127.0.0.1:0", Identity: identity}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.URL()
}

func call(t *testing.T, method, url, token, body string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

func logIn(t *testing.T, keystone, user, password, project string) string {
	t.Helper()
	status, h, body := call(t, "POST", keystone+"/auth/tokens", "", `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"`+user+
		`","domain":{"id":"default"},"password":"`+password+`"}}},"scope":{"project":{"name":"`+project+`","domain":{"id":"default"}}}}}`)
	if status != http.StatusCreated {
		t.Fatal(status, body)
	}
	return h.Get("X-Subject-Token")
}

// strangersUsers holds a service to the users of another.
func strangersUsers(t *testing.T, site, keystone, token, project string) {
	t.Helper()
	status, _, body := call(t, "POST", site+"/v2/images", token, `{"name":"x","disk_format":"raw","container_format":"bare"}`)
	if status != http.StatusCreated || !strings.Contains(body, `"owner":"`+project+`"`) && !strings.Contains(body, `"owner": "`+project+`"`) {
		t.Fatalf("create: %d %s", status, body)
	}
	if status, h, _ := call(t, "GET", site+"/v2/images", "wrong", ""); status != http.StatusUnauthorized || h.Get("WWW-Authenticate") != `Keystone uri="`+keystone+`"` {
		t.Errorf("wrong token: %d %q", status, h.Get("WWW-Authenticate"))
	}
	for _, path := range []string{"/identity", "/identity/v3", "/identity/v3/auth/tokens"} {
		if status, _, body := call(t, "GET", site+path, token, ""); status != http.StatusNotFound || !strings.Contains(body, keystone) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := call(t, "GET", site+"/readyz", "", ""); status != http.StatusOK {
		t.Errorf("readyz: %d %s", status, body)
	}
}

// TestKeystone: a service takes the tokens of another, over the real protocol
// (a kuva is a Keystone), and lets nobody in when that one is gone.
func TestKeystone(t *testing.T) {
	users := startSite(t, t.TempDir())
	keystone := users.s.URL() + "/identity/v3"
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := IdentityConfig{Mode: "keystone", URL: keystone, Username: "admin", Project: "admin", SecretFile: secret}
	site := keystoneSite(t, cfg)
	token := logIn(t, keystone, "admin", "correct horse", "admin")
	_, _, body := call(t, "GET", keystone+"/auth/projects", token, "")
	project := regexp.MustCompile(`"id":"(\w+)"`).FindStringSubmatch(body)[1]
	strangersUsers(t, site, keystone, token, project)
	second := logIn(t, keystone, "admin", "correct horse", "admin")
	users.stop()
	if status, _, body := call(t, "GET", site+"/v2/images", token, ""); status != http.StatusOK {
		t.Errorf("known token without Keystone: %d %s", status, body)
	}
	if status, h, body := call(t, "GET", site+"/v2/images", second, ""); status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		t.Errorf("unknown token without Keystone: %d %s", status, body)
	}
}

func TestIdentityConfig(t *testing.T) {
	for name, bad := range map[string]IdentityConfig{
		"mode": {Mode: "ldap"}, "url without mode": {URL: "http://k/v3"}, "no url": {Mode: "keystone", Username: "u", Project: "p", Secret: "s"},
		"no secret": {Mode: "keystone", URL: "http://k/v3", Username: "u", Project: "p"}, "no file": {Mode: "keystone", URL: "http://k/v3", SecretFile: "/nowhere"},
		"no certificate": {Mode: "keystone", URL: "http://k/v3", Username: "u", Project: "p", Secret: "s", CAFile: "identity_test.go"},
	} {
		if c, err := bad.external(Options{}); err == nil || c != nil {
			t.Errorf("%s: taken", name)
		}
	}
	c, err := LoadConfig("", func(name string) string { return map[string]string{"KUVA_IDENTITY_SECRET": "x"}[name] })
	if err != nil || c.Identity.Secret.Reveal() != "x" {
		t.Error(err)
	}
}

// TestRealKeystone does the same with Keystone itself. It installs nothing:
// PEERS is a folder with scripts that start one.
func TestRealKeystone(t *testing.T) {
	if os.Getenv("KUVA_SOAK") != "1" {
		t.Skip("a real Keystone: KUVA_SOAK=1")
	}
	peers := os.Getenv("PEERS")
	if peers == "" {
		testkit.NotRun(t, "PEERS names no folder with other servers")
	}
	dir := filepath.Join(peers, "glance")
	env := append(os.Environ(), "LAB=/tmp/kuva-keystone-lab", "KS_PORT=15000", "GL_PORT=19292", "DB_PORT=13307", "MC_PORT=11312", "HTTP_PORT=18099")
	run := func(script string, args ...string) {
		cmd := exec.Command(filepath.Join(dir, script), args...) //nolint:noctx // the clean-up runs after the test's context
		cmd.Env = env
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	t.Cleanup(func() { run("down.sh", "--wipe") })
	run("up.sh")
	keystone := "http://127.0.0.1:15000/v3"
	site := keystoneSite(t, IdentityConfig{Mode: "keystone", URL: keystone, Username: "glance", Project: "service", Secret: "userpw"})
	token := logIn(t, keystone, "demo", "userpw", "demo")
	_, _, body := call(t, "GET", keystone+"/auth/projects", token, "")
	project := regexp.MustCompile(`"id": "(\w+)"`).FindStringSubmatch(body)[1]
	strangersUsers(t, site, keystone, token, project)

	reader := logIn(t, keystone, "reader", "userpw", "demo")
	if status, _, _ := call(t, "POST", site+"/v2/images", reader, `{"name":"x"}`); status != http.StatusForbidden {
		t.Errorf("a reader created an image: %d", status)
	}
	run("down.sh", "keystone")
	if status, _, body := call(t, "GET", site+"/v2/images", reader, ""); status != http.StatusOK {
		t.Errorf("known token without Keystone: %d %s", status, body)
	}
	if status, _, body := call(t, "GET", site+"/v2/images", token+"x", ""); status != http.StatusServiceUnavailable {
		t.Errorf("unknown token without Keystone: %d %s", status, body)
	}
}
