package servertest_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"kuva/api"
	"kuva/internal/server"
	"kuva/internal/server/servertest"
)

// The wall clock jumps by ten years, forwards and back, while clients work:
// tokens fail on the safe side, uploads under way come to their end, and the
// collector takes nothing that lives.
func TestClockJumps(t *testing.T) {
	var offset atomic.Int64
	s, err := server.Open(t.Context(), server.Config{Data: filepath.Join(t.TempDir(), "data"), Listen: "127.0.0.1:0"}, server.Options{
		AdminPassword: servertest.AdminPassword, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Now: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	login := func() *servertest.Client {
		t.Helper()
		c, err := servertest.TryLogin(s.URL(), servertest.Admin)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	works := func(c *servertest.Client) bool {
		a, err := c.Do(http.MethodGet, "/v2/images", nil, nil)
		if err != nil || a.Status != http.StatusOK && a.Status != http.StatusUnauthorized {
			t.Fatal(a, err)
		}
		return a.OK()
	}
	const decade = 10 * 365 * 24 * time.Hour
	first := login()
	content := servertest.Content(1, 6<<20)
	kept := first.MustCreate(t, servertest.Fields{"name": "kept"})
	first.MustUpload(t, kept, content)

	revoked := login()
	if a, err := revoked.Do(http.MethodDelete, "/identity/v3/auth/tokens", http.Header{"X-Subject-Token": {revoked.Token}}, nil); err != nil || !a.OK() {
		t.Fatal(a, err)
	}
	for _, jump := range []time.Duration{decade, -decade, time.Hour, -time.Hour, decade, 0} {
		c := login()
		id := c.MustCreate(t, servertest.Fields{"name": "under way " + jump.String()})
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- c.Upload(id, r) }()
		if _, err := w.Write(content[:3<<20]); err != nil {
			t.Fatal(err)
		}
		waitSaving(t, c, id)
		was := time.Duration(offset.Swap(int64(jump)))
		// Ahead of its time a token has expired; back before it was made it may
		// be refused, too, but it must not live longer than it was given.
		if jump-was > 2*time.Hour && works(c) {
			t.Errorf("a token lives %v after it was made", jump-was)
		}
		if works(revoked) {
			t.Errorf("a revoked token is good again after the jump to %v", jump)
		}
		now := login() // and whoever logs in now gets one that works
		if !works(now) {
			t.Fatalf("a token that was made just now is refused at %v", jump)
		}
		for range 3 {
			if err := now.Collect(api.Collect{Compact: true, Audit: true}); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = w.Write(content[3<<20:]) // fails where the upload has ended, which says why
		_ = w.Close()
		if err := <-done; err != nil {
			t.Errorf("the upload during the jump from %v to %v: %v", was, jump, err)
			continue
		}
		for _, id := range []string{id, kept} {
			if err := now.Download(id, bytes.NewReader(content)); err != nil {
				t.Errorf("after the jump to %v: %v", jump, err)
			}
		}
	}
}
