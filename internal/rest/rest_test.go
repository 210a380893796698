package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kuva"
	"kuva/internal/catalog"
	"kuva/message"
)

const canary = "c4n4ry"

func TestEveryCodeHasAStatus(t *testing.T) {
	for _, code := range kuva.Codes {
		if _, ok := statuses[code]; !ok {
			t.Errorf("%s has no status", code)
		}
	}
	if len(statuses) != len(kuva.Codes) {
		t.Error("a status for a code that is not in the list")
	}
}

// call sends one request through a door around h.
func call(t *testing.T, h http.Handler, r *http.Request) (*http.Response, string, string) {
	t.Helper()
	var log bytes.Buffer
	d := &Door{Name: "test", Log: slog.New(slog.NewJSONHandler(&log, nil)), Metrics: NewMetrics(prometheus.NewRegistry())}
	rec := httptest.NewRecorder()
	d.Wrap(h).ServeHTTP(rec, r)
	body, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Result(), string(body), log.String()
}

func TestRequestID(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, CallOf(r.Context()).RequestID) })
	for in, want := range map[string]string{
		"": "req-", "req-abc": "req-abc", "abc": "req-abc", strings.Repeat("a", 64): "req-" + strings.Repeat("a", 64),
		"a b": "req-", "a\"b": "req-", "é": "req-",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-Openstack-Request-ID", in)
		res, body, log := call(t, ok, r)
		got := res.Header.Get("x-openstack-request-id")
		if res.StatusCode != 200 || got != body || want != "req-" && got != want || want == "req-" && len(got) != 40 || !strings.HasPrefix(got, "req-") {
			t.Errorf("%q: got %d %q", in, res.StatusCode, got)
		}
		if !strings.Contains(log, got) {
			t.Errorf("not in the log: %s", log)
		}
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Openstack-Request-ID", strings.Repeat("a", 65))
	if res, _, _ := call(t, ok, r); res.StatusCode != 431 || !strings.HasPrefix(res.Header.Get("x-openstack-request-id"), "req-") {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestURLLimits(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for target, want := range map[string]int{
		"/?" + strings.Repeat("a=b&", 99) + "a=b":  200,
		"/?" + strings.Repeat("a=b&", 100) + "a=b": 400,
		"/" + strings.Repeat("x", MaxURL-1):        200,
		"/" + strings.Repeat("x", MaxURL):          414,
	} {
		if res, _, _ := call(t, ok, httptest.NewRequest("GET", target, nil)); res.StatusCode != want {
			t.Errorf("%.20s…: got %d, want %d", target, res.StatusCode, want)
		}
	}
}

// Every answer has the security headers; no log line holds what was sent.
func TestHeadersAndLog(t *testing.T) {
	d := &Door{}
	rt := NewRouter(d)
	rt.HandleFunc("POST /a/{id}", func(w http.ResponseWriter, r *http.Request) error {
		_, _ = io.Copy(io.Discard, r.Body)
		CallOf(r.Context()).Principal = kuva.Principal{UserID: "user-1", ProjectID: "project-1"}
		w.WriteHeader(201)
		_, _ = io.WriteString(w, "12345")
		return nil
	})
	r := httptest.NewRequest("POST", "/a/"+canary+"?sig="+canary, strings.NewReader(canary))
	r.Header.Set("X-Auth-Token", canary)
	r.Header.Set("X-Subject-Token", canary)
	res, _, log := call(t, rt, r)
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
		if res.Header.Get(name) != want {
			t.Errorf("%s: %q", name, res.Header.Get(name))
		}
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(log), &line); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"route": "POST /a/{id}", "status": 201.0, "bytes": 5.0, "method": "POST", "user": "user-1", "project": "project-1", "address": "192.0.2.1",
	} {
		if line[name] != want {
			t.Errorf("%s: got %v, want %v", name, line[name], want)
		}
	}
	if strings.Contains(log, canary) {
		t.Errorf("the log holds a secret: %s", log)
	}
}

func TestPanic(t *testing.T) {
	res, body, log := call(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom " + canary) }), httptest.NewRequest("GET", "/", nil))
	if res.StatusCode != 500 || strings.Contains(body+log, canary) || !strings.Contains(log, "rest_test.go") {
		t.Errorf("got %d %s\n%s", res.StatusCode, body, log)
	}
	// Half an answer ends with a broken connection, not with a whole one.
	srv := httptest.NewServer((&Door{}).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic("boom")
	})))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	defer srv.Close()
	got, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if _, err := io.ReadAll(got.Body); err == nil {
		t.Error("half an answer looked whole")
	}
}

func TestRouter(t *testing.T) {
	d := &Door{Errors: KeystoneErrors}
	rt := NewRouter(d)
	for _, m := range []string{"GET", "POST"} {
		rt.HandleFunc(m+" /a", func(http.ResponseWriter, *http.Request) error { return nil })
	}
	res, body, _ := call(t, rt, httptest.NewRequest("DELETE", "/a", nil))
	if res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD, POST" || !strings.Contains(body, `"title":"Method Not Allowed"`) {
		t.Errorf("got %d %q %s", res.StatusCode, res.Header.Get("Allow"), body)
	}
	if res, body, _ := call(t, rt, httptest.NewRequest("GET", "/b", nil)); res.StatusCode != 404 || !strings.Contains(body, `"code":404`) {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	rt.Unmatched = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(300) })
	if res, _, _ := call(t, rt, httptest.NewRequest("GET", "/b", nil)); res.StatusCode != 300 {
		t.Errorf("got %d", res.StatusCode)
	}
}

type later struct{}

func (later) Error() string             { return "later" }
func (later) RetryAfter() time.Duration { return 2500 * time.Millisecond }

func TestFail(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		header string
		want   string
	}{
		{kuva.E(kuva.CodeThrottled, "identity.busy").Because(later{}), 429, "Retry-After", "3"},
		{kuva.E(kuva.CodeUnauthenticated, "identity.unauthenticated"), 401, "Www-Authenticate", `Keystone uri="http://example.com/identity"`},
		{errors.New("secret " + canary), 500, "Content-Type", "application/json"},
		{fmt.Errorf("x: %w", context.Canceled), StatusClientGone, "Content-Type", "application/json"},
		{fmt.Errorf("x: %w", catalog.ErrFull), 413, "Content-Type", "application/json"},
		{fmt.Errorf("x: %w", catalog.ErrUnavailable), 503, "Retry-After", "1"},
		{fmt.Errorf("x: %w", catalog.ErrDamaged), 500, "Content-Type", "application/json"},
	} {
		d := &Door{}
		res, body, _ := call(t, d.Func(func(http.ResponseWriter, *http.Request) error { return tt.err }), httptest.NewRequest("GET", "/", nil))
		if res.StatusCode != tt.status || res.Header.Get(tt.header) != tt.want || strings.Contains(body, canary) {
			t.Errorf("%v: got %d %q %s", tt.err, res.StatusCode, res.Header.Get(tt.header), body)
		}
	}
}

// The log line of a failure has the cause that the caller does not see.
func TestCauseInLog(t *testing.T) {
	d := &Door{}
	_, body, log := call(t, d.Func(func(http.ResponseWriter, *http.Request) error { return errors.New("disk 7 burns") }), httptest.NewRequest("GET", "/", nil))
	if !strings.Contains(log, "disk 7 burns") || strings.Contains(body, "disk 7") {
		t.Errorf("body %s\nlog %s", body, log)
	}
}

func TestGlanceErrors(t *testing.T) {
	e := kuva.E(kuva.CodeNotFound, "identity.user_not_found", "id", "<script>")
	for accept, want := range map[string]string{
		"": "text/html", "*/*": "text/html", "application/json": "application/json", "text/plain;q=0.5": "text/plain", "text/html, application/json": "text/html",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		rec := httptest.NewRecorder()
		GlanceErrors(rec, r, 404, e)
		if got := rec.Header().Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %s", accept, got)
		}
		if want == "text/html" && (strings.Contains(rec.Body.String(), "<script>") || !strings.Contains(rec.Body.String(), "<h1>404 Not Found</h1>")) {
			t.Errorf("got %s", rec.Body)
		}
	}
}

func TestLanguage(t *testing.T) {
	for in, want := range map[string]message.Language{
		"": "en", "de": "de", "de-AT,en;q=0.5": "de", "en;q=0.5,fi": "fi", "pt": "pt-BR", "pt-br": "pt-BR", "xx, yy;q=1": "en",
		"de;q=0": "en", "de;q=x": "en", "fr, fi;q=0.9, de;q=0.8": "fi",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", in)
		if got := LanguageOf(r); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestReadJSON(t *testing.T) {
	type body struct {
		Name  string         `json:"name"`
		N     int            `json:"n"`
		Other map[string]any `json:"other"`
	}
	deep := func(n int) string {
		return `{"other":{"a":` + strings.Repeat("[", n-2) + strings.Repeat("]", n-2) + `}}`
	}
	for in, want := range map[string]kuva.Code{
		`{"name":"x","n":1}`: "", ` {} `: "", deep(MaxJSONDepth): "", `{"name":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"{{{{{"}`: "",
		"": "invalid", " ": "invalid", "{": "invalid", `{"name":"` + canary: "invalid", `{"name":"x"}{}`: "invalid", `{"name":"x"}x`: "invalid",
		`{"n":"` + canary + `"}`: "invalid", `{"n":99999999999999999999}`: "invalid", `{"extra":"` + canary + `"}`: "invalid", deep(MaxJSONDepth + 1): "invalid",
		`{"name":"` + strings.Repeat("x", MaxJSON) + `"}`: "too_large", "null": "", "[]": "invalid",
	} {
		for _, r := range []*http.Request{
			httptest.NewRequest("POST", "/", strings.NewReader(in)),
			httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader(in))), // without a length
		} {
			var v body
			err := ReadJSON(r, &v, KnownFields)
			if kuva.CodeOf(err) != want {
				t.Errorf("%.40q: got %v, want %q", in, err, want)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%.40q: error repeats the body: %v", in, err)
			}
		}
	}
	var v body
	if err := DecodeJSON([]byte(`{"extra":1,"n":2}`), &v, AnyFields); err != nil || v.N != 2 {
		t.Error(v, err)
	}
}

func TestNoBody(t *testing.T) {
	for body, want := range map[string]kuva.Code{"": "", "x": "invalid", "{}": "invalid"} {
		if err := NoBody(httptest.NewRequest("DELETE", "/", strings.NewReader(body))); kuva.CodeOf(err) != want {
			t.Errorf("%q: got %v", body, err)
		}
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,"\"[",{}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		err := DecodeJSON(b, &v, AnyFields)
		if err == nil && depth(v) > MaxJSONDepth {
			t.Errorf("too deep: %q", b)
		}
		if err == nil && !json.Valid(b) {
			t.Errorf("taken: %q", b)
		}
	})
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			deepest = max(deepest, depth(x))
		}
	case map[string]any:
		for _, x := range v {
			deepest = max(deepest, depth(x))
		}
	default:
		return 0
	}
	return deepest + 1
}

// stub is an Authenticator whose answers the test sets.
type stub struct{ check, revoked error }

func (s *stub) Check(context.Context, string) (kuva.Principal, error) {
	return kuva.Principal{UserID: "u", ProjectID: "p"}, s.check
}
func (s *stub) Revoked(context.Context, string) error { return s.revoked }

func TestAuthenticate(t *testing.T) {
	d := &Door{}
	var got kuva.Principal
	h := d.Authenticate(&stub{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = PrincipalOf(r.Context()) }))
	r := httptest.NewRequest("GET", "/", nil)
	// Identity headers of a middleware mean nothing (S-194).
	for _, name := range []string{"X-User-Id", "X-Project-Id", "X-Roles", "X-Identity-Status", "X-Service-Token"} {
		r.Header.Set(name, "admin")
	}
	r.AddCookie(&http.Cookie{Name: "X-Auth-Token", Value: "x"})
	if res, _, _ := call(t, h, r); res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("got %d", res.StatusCode)
	}
	r.Header.Set("X-Auth-Token", "x")
	res, _, log := call(t, h, r)
	if res.StatusCode != 200 || got.UserID != "u" || got.ProjectID != "p" || got.Admin || got.RequestID != res.Header.Get(HeaderRequestID) || got.Address != "192.0.2.1" {
		t.Errorf("got %d %+v", res.StatusCode, got)
	}
	if !strings.Contains(log, `"user":"u"`) {
		t.Errorf("log: %s", log)
	}
	h = d.Authenticate(&stub{check: kuva.E(kuva.CodeUnavailable, "internal")}, http.NotFoundHandler())
	if res, _, _ := call(t, h, r); res.StatusCode != 503 {
		t.Errorf("got %d", res.StatusCode)
	}
}

// An upload whose token is revoked on the way fails before its end.
func TestGuardedBody(t *testing.T) {
	d := &Door{}
	for _, revoked := range []error{nil, kuva.E(kuva.CodeUnauthenticated, "identity.unauthenticated")} {
		s := &stub{}
		var n int
		var err error
		h := d.Authenticate(s, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s.revoked = revoked
			var b []byte
			b, err = io.ReadAll(GuardedBody(r))
			n = len(b)
		}))
		r := httptest.NewRequest("PUT", "/", strings.NewReader("some bytes"))
		r.Header.Set("X-Auth-Token", "x")
		call(t, h, r)
		if !errors.Is(err, revoked) || revoked == nil && n != 10 {
			t.Errorf("revoked %v: got %d bytes, %v", revoked, n, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	d := &Door{Name: "x", Metrics: NewMetrics(reg)}
	rt := NewRouter(d)
	rt.HandleFunc("GET /a/{id}", func(http.ResponseWriter, *http.Request) error { return nil })
	h := d.Wrap(rt)
	for i := range 50 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", fmt.Sprint("/a/", i), nil))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", fmt.Sprint("/b/", i), nil))
	}
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.GetName() != "kuva_http_requests_total" {
			continue
		}
		if len(m.GetMetric()) != 2 {
			t.Errorf("%d series", len(m.GetMetric()))
		}
		for _, x := range m.GetMetric() {
			if x.GetCounter().GetValue() != 50 {
				t.Errorf("got %v", x)
			}
		}
	}
}
