package server

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva"
	"kuva/internal/policy"
	"kuva/internal/portal"
)

// TestPolicyFile: the rules of the site hold, a file with a slip in it keeps the
// service from starting.
func TestPolicyFile(t *testing.T) {
	c := Config{Data: t.TempDir()}
	p, err := c.policy()
	if err != nil || p.Changed(policy.PublicizeImage) {
		t.Fatalf("no file: %v", err)
	}
	c.Policy = "policy.yaml"
	if _, err := Open(t.Context(), c, Options{}); err == nil || !strings.Contains(err.Error(), "policy.yaml") {
		t.Errorf("a file that is not there: %v", err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(c.Data, "policy.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`publicise_image: "role:member"`)
	if _, err := Open(t.Context(), c, Options{}); err == nil || !strings.Contains(err.Error(), `"publicize_image"`) {
		t.Errorf("a slip: %v", err)
	}
	write(`publicize_image: "role:member"`)
	s, err := Open(t.Context(), Config{Data: c.Data, Policy: "policy.yaml", Listen: "127.0.0.1:0", CORSOrigins: []string{"https://a.example"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !s.policy.Allows(kuva.Principal{Roles: []string{"member"}}, policy.PublicizeImage, policy.Target{}) {
		t.Error("the file does not hold")
	}
	r := httptest.NewRequest("OPTIONS", "/v2/images", nil)
	r.Header.Set("Origin", "https://a.example")
	r.Header.Set("Access-Control-Request-Method", "PUT")
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, r)
	if w.Header().Get("Access-Control-Allow-Origin") != "https://a.example" {
		t.Errorf("cross-origin: %d %v", w.Code, w.Header())
	}
	if err := (&Config{Data: c.Data, CORSOrigins: []string{"a.example"}}).fill(); err == nil {
		t.Error("a.example passes for an origin")
	}
}

// TestFront: browsers get a page wherever no API is, programs the list of
// versions.
func TestFront(t *testing.T) {
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMultipleChoices) })
	h := front(portal.New(portal.Config{}).Page(), next)
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, tt := range []struct {
		method, path, accept string
		page                 bool
	}{
		{"GET", "/", browser, true},
		{"HEAD", "/", browser, true},
		{"GET", "/images/7", browser, true},
		{"GET", "/v3", browser, true},
		{"GET", "/", "", false},
		{"GET", "/", "*/*", false},
		{"GET", "/", "application/json", false},
		{"GET", "/", "text/htmlx", false},
		{"POST", "/", browser, false},
		{"GET", "/v2", browser, false},
		{"GET", "/v2.18/images", browser, false},
		{"GET", "/versions", browser, false},
		{"GET", "/image/v2/images", browser, false},
	} {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		if tt.accept != "" {
			r.Header.Set("Accept", tt.accept)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if page := w.Code == http.StatusOK; page != tt.page {
			t.Errorf("%s %s, Accept %q: %d", tt.method, tt.path, tt.accept, w.Code)
		}
		if tt.page && !strings.Contains(w.Header().Get("Content-Security-Policy"), "script-src 'self'") {
			t.Errorf("%s: headers %v", tt.path, w.Header())
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Host = `a"><script>`
	r.Header.Set("Accept", browser)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if strings.Contains(w.Body.String(), "<script>") {
		t.Errorf("the page repeats what the caller wrote: %s", w.Body)
	}
}
