package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const canary = "c4n4ry-p4ssw0rd"

// running starts the service as the program does.
func running(t *testing.T) (s *Server, log *lockedBuffer) {
	t.Helper()
	log = &lockedBuffer{}
	s, err := Open(t.Context(), Config{Data: t.TempDir(), Listen: "127.0.0.1:0"}, Options{
		AdminPassword: canary, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s, log
}

// raw sends bytes and returns the status of the first answer, 0 where the
// connection was closed without one, and whether it was closed after it.
func raw(t *testing.T, s *Server, request string) (status int, closed bool) {
	t.Helper()
	c, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		return 0, true
	}
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, true
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Close
}

// TestRawSocket: rows S-251 and S-252, what no HTTP library sends. Each is
// refused, and nothing more is read from the connection.
func TestRawSocket(t *testing.T) {
	s, _ := running(t)
	if s.http.ReadHeaderTimeout != 10*time.Second || s.http.IdleTimeout != time.Minute || s.http.MaxHeaderBytes != 32<<10 || s.http.HTTP2.MaxConcurrentStreams != 100 {
		t.Error("the bounds of a connection are others")
	}
	const host = "Host: kuva\r\n"
	for name, tt := range map[string]struct {
		request string
		want    int
	}{
		"large header":             {"GET / HTTP/1.1\r\n" + host + "X-A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", 431},
		"many headers":             {"GET / HTTP/1.1\r\n" + host + strings.Repeat("X-A: aaaaaaaaaaaa\r\n", 4000) + "\r\n", 431},
		"no host":                  {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":                {"GET / HTTP/1.1\r\n" + host + "Host: other\r\n\r\n", 400},
		"strange host":             {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
		"lengths that differ":      {"POST /v2/images HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
		"a list of lengths":        {"POST /v2/images HTTP/1.1\r\n" + host + "Content-Length: 5, 6\r\n\r\nhello", 400},
		"negative length":          {"POST /v2/images HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400},
		"length with a sign":       {"POST /v2/images HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\nhello", 400},
		"huge length":              {"POST /v2/images HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
		"unknown transfer coding":  {"POST /v2/images HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
		"two transfer codings":     {"POST /v2/images HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		"chunked twice":            {"POST /v2/images HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501},
		"space before the colon":   {"GET / HTTP/1.1\r\n" + host + "Transfer-Encoding : chunked\r\n\r\n", 400},
		"NUL in a header":          {"GET / HTTP/1.1\r\n" + host + "X-A: a\x00b\r\n\r\n", 400},
		"folded first header":      {"GET / HTTP/1.1\r\n X-A: b\r\n" + host + "\r\n", 400},
		"no method":                {" / HTTP/1.1\r\n" + host + "\r\n", 400},
		"strange method":           {"G(T / HTTP/1.1\r\n" + host + "\r\n", 400},
		"unknown version":          {"GET / HTTP/3.7\r\n" + host + "\r\n", 505},
		"control character in URL": {"GET /\x01 HTTP/1.1\r\n" + host + "\r\n", 400},
	} {
		status, closed := raw(t, s, tt.request)
		if status != tt.want || !closed {
			t.Errorf("%s: %d, connection closed %v; want %d", name, status, closed, tt.want)
		}
	}
	// A plain call still works.
	if status, _ := raw(t, s, "GET /versions HTTP/1.1\r\n"+host+"Connection: close\r\n\r\n"); status != 200 {
		t.Errorf("a plain call: %d", status)
	}
}

// TestCanarySecrets: row S-195. What must stay secret stands in no answer, log
// or metric, whatever is asked.
func TestCanarySecrets(t *testing.T) {
	s, log := running(t)
	var seen bytes.Buffer
	send := func(method, path, token, body string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, s.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if strings.HasSuffix(path, "/file") {
			r.Header.Set("Content-Type", "application/octet-stream")
		}
		if token != "" {
			r.Header.Set("X-Auth-Token", token)
		}
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		res.Body = io.NopCloser(bytes.NewReader(b))
		token = res.Header.Get("X-Subject-Token") // for the one that asks for it
		res.Header.Del("X-Subject-Token")
		fmt.Fprintln(&seen, res.StatusCode, res.Header, string(b))
		res.Header.Set("X-Subject-Token", token)
		return res
	}
	logIn := func(password string) string {
		return send("POST", "/identity/v3/auth/tokens", "", `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","domain":{"id":"default"},
			"password":"`+password+`"}}},"scope":{"project":{"name":"admin","domain":{"id":"default"}}}}}`).Header.Get("X-Subject-Token")
	}
	token := logIn(canary)
	if token == "" {
		t.Fatalf("no token: %s", seen.String())
	}
	logIn(canary + "wrong")
	var made struct{ ID string }
	if err := json.NewDecoder(send("POST", "/v2/images", token, `{"disk_format":"raw","container_format":"bare"}`).Body).Decode(&made); err != nil {
		t.Fatal(err)
	}
	send("PUT", "/v2/images/"+made.ID+"/file", token, "content")
	for _, call := range []string{
		"GET /", "GET /v2/images", "GET /v2/images/" + made.ID, "GET /v2/images/" + made.ID + "/locations", "GET /v2/tasks", "GET /v2/info/usage",
		"GET /identity/v3/users", "GET /identity/v3/credentials", "GET /identity/v3/auth/tokens", "GET /kuva/v1/depot", "GET /kuva/v1/jobs",
		"GET /kuva/v1/images/" + made.ID + "/activity", "GET /metrics", "GET /readyz", "GET /debug/pprof/", "GET /v2/images?sort=password",
		"PATCH /v2/images/" + made.ID, "POST /identity/v3/users", "DELETE /v2/images/" + made.ID,
	} {
		method, path, _ := strings.Cut(call, " ")
		body := ""
		if method == "PATCH" || method == "POST" {
			body = `{"user":{"password":"` + canary + `","name":7}}`
		}
		send(method, path, token, body)
		send(method, path, "no-such-token", body)
	}
	secrets := map[string]string{"password": canary, "token": token, "data folder": s.cfg.Data}
	err := filepath.WalkDir(s.cfg.keyDir(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if len(b) >= 16 {
			secrets["key "+e.Name()] = string(b)
			secrets["key in hex "+e.Name()] = hex.EncodeToString(b[len(b)-16:])
			secrets["key in base64 "+e.Name()] = base64.StdEncoding.EncodeToString(b)[:20]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(secrets) < 6 {
		t.Fatalf("only %d secrets to look for", len(secrets))
	}
	for name, secret := range secrets {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("%s stands in an answer", name)
		}
		if name != "data folder" && strings.Contains(log.String(), secret) {
			t.Errorf("%s stands in the log", name)
		}
	}
	if seen.Len() < 10_000 || len(log.String()) < 1000 {
		t.Errorf("little was looked at: %d and %d bytes", seen.Len(), len(log.String()))
	}
}
