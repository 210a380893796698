package rest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCORS: row "CORS" of the Image API's contract.
func TestCORS(t *testing.T) {
	reached := false
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { reached = true; w.WriteHeader(http.StatusTeapot) })
	send := func(h http.Handler, method string, headers ...string) *httptest.ResponseRecorder {
		reached = false
		r := httptest.NewRequest(method, "/v2/images", nil)
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		for name := range w.Header() {
			if name == "Access-Control-Allow-Credentials" {
				t.Error("cookies are let through")
			}
		}
		return w
	}
	preflight := []string{"Origin", "https://a.example", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "x-auth-token"}

	off := CORS(nil, next)
	if w := send(off, "OPTIONS", preflight...); w.Code != http.StatusTeapot || len(w.Header()) != 0 {
		t.Errorf("it is on without origins: %d %v", w.Code, w.Header())
	}
	on := CORS([]string{"https://a.example", "http://b.example:8080"}, next)
	w := send(on, "OPTIONS", preflight...)
	h := w.Header()
	if w.Code != http.StatusOK || reached || h.Get("Access-Control-Allow-Origin") != "https://a.example" ||
		h.Get("Access-Control-Allow-Methods") != "GET, HEAD, PUT, POST, DELETE, PATCH" || h.Get("Vary") != "Origin" {
		t.Errorf("question before a call: %d %v", w.Code, h)
	}
	for _, name := range []string{"Content-MD5", "X-Auth-Token", "Accept-Encoding", "X-OpenStack-Request-ID", "Content-Type", "Range", "X-OpenStack-Image-Size", "Tus-Resumable", "Upload-Offset", "Upload-Metadata"} {
		if !strings.Contains(h.Get("Access-Control-Allow-Headers"), name) {
			t.Errorf("%s may not be sent", name)
		}
	}
	w = send(on, "GET", "Origin", "http://b.example:8080")
	if h = w.Header(); w.Code != http.StatusTeapot || h.Get("Access-Control-Allow-Origin") != "http://b.example:8080" {
		t.Errorf("call: %d %v", w.Code, h)
	}
	for _, name := range []string{"X-Image-Meta-Checksum", "X-Auth-Token", "X-Subject-Token", "X-Service-Token", "X-OpenStack-Request-ID", "Upload-Offset", "Location", "Tus-Resumable"} {
		if !strings.Contains(h.Get("Access-Control-Expose-Headers"), name) {
			t.Errorf("%s may not be read", name)
		}
	}
	// A plain OPTIONS is no question of a browser.
	if w = send(on, "OPTIONS", "Origin", "https://a.example"); w.Code != http.StatusTeapot {
		t.Errorf("plain OPTIONS: %d", w.Code)
	}
	for _, foreign := range []string{"", "null", "https://c.example", "https://a.example.evil", "http://a.example", "https://a.example:8443", "HTTPS://A.EXAMPLE"} {
		w = send(on, "OPTIONS", "Origin", foreign, "Access-Control-Request-Method", "PUT")
		if w.Code != http.StatusTeapot || w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("Vary") != "Origin" {
			t.Errorf("origin %q: %d %v", foreign, w.Code, w.Header())
		}
	}
	if w = send(CORS([]string{"*"}, next), "GET", "Origin", "https://c.example"); w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("all origins: %v", w.Header())
	}
}

func TestCheckOrigins(t *testing.T) {
	if err := CheckOrigins([]string{"https://a.example", "http://127.0.0.1:8080", "*"}); err != nil {
		t.Error(err)
	}
	for _, o := range []string{"", "a.example", "https://", "https://a.example/", "https://A.example", "ftp://a.example", "https://u@a.example", "https://a.example?x", "null", "https://*.example#"} {
		if CheckOrigins([]string{o}) == nil {
			t.Errorf("%q passes for an origin", o)
		}
	}
}
