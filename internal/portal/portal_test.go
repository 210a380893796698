package portal

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
	"kuva/internal/policy"
	"kuva/internal/rest"
	"kuva/internal/testkit"
)

const canary = "c4n4ry-s3cret"

// newPortal is the door over a catalogue with the first administrator.
func newPortal(t *testing.T, db *catalog.DB, public string) (*Portal, *identity.Service) {
	t.Helper()
	ids := identity.New(db, identity.Config{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})
	if _, err := ids.Bootstrap(t.Context(), canary); err != nil {
		t.Fatal(err)
	}
	return New(Config{Identity: ids, Door: rest.Door{PublicURL: public, Log: slog.New(slog.DiscardHandler)}, Registry: prometheus.NewRegistry()}), ids
}

// ask calls the door as a browser's page does.
func ask(p *Portal, method, path, body string, change func(r *http.Request)) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "kuva.example"
	if method != http.MethodGet {
		r.Header.Set("Origin", "http://kuva.example")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result()
}

const right = `{"user":"admin","password":"` + canary + `"}`

// TestSession: log-in, tokens, project and log-out by the cookie, which no
// script can read, no other site can use and no other path gets.
func TestSession(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		p, ids := newPortal(t, db, "")
		res := ask(p, "POST", "/portal/session", right, nil)
		if res.StatusCode != http.StatusCreated {
			t.Fatal(res.Status)
		}
		got := decode[session](t, res)
		if who, err := ids.Check(t.Context(), got.Token); err != nil || !who.Admin || !got.Admin || got.Project == nil || who.ProjectID != got.Project.ID {
			t.Errorf("the token is for %+v, %v; the page was told %+v", who, err, got)
		}
		c := res.Cookies()[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/portal/session" || c.Secure || c.Domain != "" {
			t.Errorf("cookie %v", c)
		}
		with := func(r *http.Request) { r.AddCookie(c) }
		if f := decode[front](t, ask(p, "GET", "/portal/session", "", with)); !f.Session || f.LogIn != "password" {
			t.Errorf("got %+v", f)
		}
		if res := ask(p, "POST", "/portal/session/token", `{"project":"`+got.Project.ID+`"}`, with); res.StatusCode != http.StatusOK || len(res.Cookies()) != 0 {
			t.Errorf("token: %s, cookies %v", res.Status, res.Cookies())
		}
		if res := ask(p, "POST", "/portal/session/token", `{"project":"x"}`, with); res.StatusCode != http.StatusForbidden {
			t.Errorf("token for a foreign project: %s", res.Status)
		}
		res = ask(p, "DELETE", "/portal/session", "", with)
		if res.StatusCode != http.StatusNoContent || res.Cookies()[0].MaxAge >= 0 {
			t.Errorf("log-out: %s, %v", res.Status, res.Cookies())
		}
		if res := ask(p, "POST", "/portal/session/token", `{}`, with); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("token after log-out: %s", res.Status)
		}
		if _, err := ids.Check(t.Context(), got.Token); err == nil {
			t.Error("the token outlives the log-out")
		}
		if f := decode[front](t, ask(p, "GET", "/portal/session", "", with)); f.Session {
			t.Errorf("got %+v", f)
		}
	})
}

// TestS242 is row S-242: other sites' pages change nothing, with or without the
// cookie, and no call of an API ever takes it.
func TestS242(t *testing.T) {
	p, _ := newPortal(t, catalogtest.SQLite(t), "")
	c := ask(p, "POST", "/portal/session", right, nil).Cookies()[0]
	for name, change := range map[string]func(r *http.Request){
		"no origin":        func(r *http.Request) { r.Header.Del("Origin") },
		"null origin":      func(r *http.Request) { r.Header.Set("Origin", "null") },
		"other origin":     func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
		"two origins":      func(r *http.Request) { r.Header.Add("Origin", "http://kuva.example") },
		"like the origin":  func(r *http.Request) { r.Header.Set("Origin", "http://kuva.example.evil.example") },
		"user in origin":   func(r *http.Request) { r.Header.Set("Origin", "http://x@kuva.example") },
		"cross site":       func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"sibling site":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"typed address":    func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") },
		"what forms send":  func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"no kind of body":  func(r *http.Request) { r.Header.Del("Content-Type") },
		"other port":       func(r *http.Request) { r.Header.Set("Origin", "http://kuva.example:81") },
		"not http, either": func(r *http.Request) { r.Header.Set("Origin", "ftp://kuva.example") },
	} {
		for _, call := range []struct{ method, path, body string }{
			{"POST", "/portal/session", right}, {"POST", "/portal/session/token", `{}`}, {"DELETE", "/portal/session", ""},
		} {
			if call.method == "DELETE" && strings.Contains(name, "form") || call.method == "DELETE" && strings.Contains(name, "kind") {
				continue // it has no body
			}
			res := ask(p, call.method, call.path, call.body, func(r *http.Request) {
				r.AddCookie(c)
				change(r)
			})
			if res.StatusCode != http.StatusForbidden && res.StatusCode != http.StatusBadRequest || len(res.Cookies()) > 0 {
				t.Errorf("%s: %s %s: %s", name, call.method, call.path, res.Status)
			}
		}
	}
	if f := decode[front](t, ask(p, "GET", "/portal/session", "", func(r *http.Request) { r.AddCookie(c) })); !f.Session {
		t.Error("the session ended by it")
	}
}

// TestS243 is row S-243: who is not logged in leaves no session behind, and
// nothing that a caller sends becomes an address to go to.
func TestS243(t *testing.T) {
	db := catalogtest.SQLite(t)
	p, _ := newPortal(t, db, "")
	for range 20 {
		ask(p, "GET", "/portal/session", "", nil)
		ask(p, "POST", "/portal/session/token", `{}`, nil)
	}
	for _, body := range []string{`{"user":"admin","password":"no"}`, `{}`, `{"user":"admin"}`, `{"user":"x","password":"y","domain":"z"}`, `{"next":"//evil.example"}`, `[`} {
		if res := ask(p, "POST", "/portal/session", body, nil); res.StatusCode < 400 || len(res.Cookies()) > 0 || res.Header.Get("Location") != "" {
			t.Errorf("%s: %s", body, res.Status)
		}
	}
	var n int
	if err := db.View(t.Context(), func(tx *catalog.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT COUNT(*) FROM portal_session`).Scan(&n)
	}); err != nil || n != 0 {
		t.Errorf("%d sessions, %v", n, err)
	}
}

// TestThrottle: failures are throttled as everywhere else.
func TestThrottle(t *testing.T) {
	p, _ := newPortal(t, catalogtest.SQLite(t), "")
	for range 50 {
		res := ask(p, "POST", "/portal/session", `{"user":"admin","password":"no"}`, nil)
		if res.StatusCode == http.StatusTooManyRequests {
			if res.Header.Get("Retry-After") == "" {
				t.Error("no word on when to try again")
			}
			return
		}
	}
	t.Error("50 wrong passwords went through")
}

// TestSecure: over TLS, or where TLS ends before us, the cookie is for TLS.
func TestSecure(t *testing.T) {
	p, _ := newPortal(t, catalogtest.SQLite(t), "https://images.example")
	res := ask(p, "POST", "/portal/session", right, func(r *http.Request) { r.Header.Set("Origin", "https://images.example") })
	if c := res.Cookies(); res.StatusCode != http.StatusCreated || !c[0].Secure || c[0].Name != "__Secure-kuva_session" {
		t.Fatalf("%s, cookies %v", res.Status, c)
	}
	if res := ask(p, "POST", "/portal/session/token", `{}`, func(r *http.Request) { r.AddCookie(res.Cookies()[0]) }); res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
}

// TestElsewhere: where another service keeps the users, the page is told so.
func TestElsewhere(t *testing.T) {
	p := New(Config{Elsewhere: "https://keystone.example/v3"})
	if f := decode[front](t, ask(p, "GET", "/portal/session", "", nil)); f.LogIn != "elsewhere" || f.URL != "https://keystone.example/v3" {
		t.Errorf("got %+v", f)
	}
	if res := ask(p, "POST", "/portal/session", right, nil); res.StatusCode < 400 {
		t.Error(res.Status)
	}
}

// TestFiles: code is kept for ever and sent compressed; the page is never kept,
// names only files that are there, holds nothing inline and comes with the policy.
func TestFiles(t *testing.T) {
	p := New(Config{})
	w := httptest.NewRecorder()
	p.Page().ServeHTTP(w, httptest.NewRequest("GET", "/images/private", nil))
	page, h := w.Body.String(), w.Header()
	if w.Code != http.StatusOK || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Permissions-Policy") == "" || h.Get("Referrer-Policy") == "" {
		t.Errorf("%d, %v", w.Code, h)
	}
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "report-uri /portal/report"} {
		if !strings.Contains(h.Get("Content-Security-Policy"), want) {
			t.Errorf("policy without %s", want)
		}
	}
	if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || regexp.MustCompile(`<script>|<style|javascript:| on\w+=`).MatchString(page) {
		t.Errorf("something inline in\n%s", page)
	}
	names := regexp.MustCompile(`(?:src|href)="(/[^"]*)"`).FindAllStringSubmatch(page, -1)
	if len(names) < 3 {
		t.Fatalf("the page names %d files", len(names))
	}
	for _, name := range names {
		plain := ask(p, "GET", name[1], "", nil)
		if plain.StatusCode != http.StatusOK || plain.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s", name[1], plain.Status)
			continue
		}
		if strings.Contains(name[1], "/assets/") && !strings.Contains(plain.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", name[1], plain.Header)
		}
		small := ask(p, "GET", name[1], "", func(r *http.Request) { r.Header.Set("Accept-Encoding", "br, gzip;q=1.0") })
		if a, b := read(t, plain), read(t, small); len(a) > 1000 && (small.Header.Get("Content-Encoding") != "gzip" || len(b) >= len(a)) {
			t.Errorf("%s: %d bytes, compressed %d", name[1], len(a), len(b))
		}
	}
	for _, path := range []string{"/portal/assets/", "/portal/assets/x.js", "/portal/assets/..%2findex.html", "/portal/index.html", "/portal/web/package.json"} {
		if res := ask(p, "GET", path, "", nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

// TestFirstLoad: what a browser fetches before the log-in page and the list of
// images can be drawn stays below 200 KB, compressed.
func TestFirstLoad(t *testing.T) {
	sum := 0
	for name, f := range *embedded() {
		if body := f.small(); body != nil && !strings.Contains(name, "Help") {
			sum += len(body)
		} else if body == nil {
			sum += len(f.plain)
		}
	}
	t.Logf("all files of the portal but the guide: %d bytes compressed", sum)
	if first := firstLoad(t); first > 200_000 {
		t.Errorf("the first load is %d bytes", first)
	} else {
		t.Logf("first load: %d bytes", first)
	}
}

// firstLoad follows the imports that the page and the list of images cannot do
// without, in one language.
func firstLoad(t *testing.T) (sum int) {
	t.Helper()
	all := *embedded()
	seen := map[string]bool{}
	var take func(name string)
	take = func(name string) {
		f := all[name]
		if f == nil || seen[name] {
			return
		}
		seen[name] = true
		if small := f.small(); small != nil {
			sum += len(small)
		} else {
			sum += len(f.plain)
		}
		for _, m := range regexp.MustCompile(`(?:from|import)\s*"\./([^"]+)"`).FindAllStringSubmatch(string(f.plain), -1) {
			take("assets/" + m[1])
		}
		for _, m := range regexp.MustCompile(`(?:src|href)="/portal/([^"]+)"`).FindAllStringSubmatch(string(f.plain), -1) {
			take(m[1])
		}
	}
	take("index.html")
	for name := range all {
		if strings.HasPrefix(name, "assets/List-") || strings.HasPrefix(name, "assets/Private-") || strings.HasPrefix(name, "assets/de-") {
			take(name)
		}
	}
	if len(seen) < 5 {
		t.Fatalf("found only %v", seen)
	}
	return sum
}

// TestReports: what browsers report is counted by few labels, whatever is sent.
func TestReports(t *testing.T) {
	reg := prometheus.NewRegistry()
	p := New(Config{Registry: reg})
	for _, body := range []string{
		`{"csp-report":{"effective-directive":"script-src-elem"}}`, `{"csp-report":{"violated-directive":"script-src-elem x"}}`,
		`{"csp-report":{"effective-directive":"made up"}}`, `[`, ``,
	} {
		if res := ask(p, "POST", "/portal/report", body, nil); res.StatusCode != http.StatusNoContent {
			t.Errorf("%s: %s", body, res.Status)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		got[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	if want := map[string]float64{"script-src-elem": 2, "other": 3}; !maps.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
	if res := ask(p, "POST", "/portal/report", strings.Repeat("x", maxReport+1), nil); res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Error(res.Status)
	}
}

// TestPolicy: all routes have their place in the table of who may do what.
func TestPolicy(t *testing.T) {
	routes := New(Config{}).Routes()
	for _, route := range routes {
		if !policy.Known(route) {
			t.Errorf("%s has no place in package policy", route)
		}
	}
	for _, route := range policy.Routes(Prefix) {
		if !slices.Contains(routes, route) {
			t.Errorf("package policy has %s, which is no route", route)
		}
	}
}

// TestWeb: texts and types of the pages are right, and dist is what they build.
func TestWeb(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("CI") == "" {
		testkit.Need(t, "node", "npm")
	} else {
		testkit.Need(t, "curl")
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), filepath.Join(root, "scripts", "portal"), args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("scripts/portal %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("check")
	built := t.TempDir()
	run("build", built)
	want := *embedded()
	found := 0
	err = filepath.WalkDir(built, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(built, path)
		if err != nil {
			return err
		}
		found++
		body, err := os.ReadFile(path)
		if f := want[filepath.ToSlash(name)]; err == nil && (f == nil || string(f.plain) != string(body)) {
			t.Errorf("dist/%s is not what web/ builds: make portal", name)
		}
		return err
	})
	if err != nil || found != len(want) {
		t.Errorf("web/ builds %d files, dist has %d: make portal (%v)", found, len(want), err)
	}
}

func read(t *testing.T, res *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode[T any](t *testing.T, res *http.Response) (out T) {
	t.Helper()
	if body := read(t, res); json.Unmarshal(body, &out) != nil {
		t.Fatalf("%s: %s", res.Status, body)
	}
	return out
}
