package browser_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kuva/internal/testkit/browser"
)

// TestLine: what a page sends and fetches is held back.
func TestLine(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><link rel=icon href=data:,><title>line</title>")
	}))
	t.Cleanup(s.Close)
	p := browser.Shared(t).Page(t, browser.Look{})
	p.Open(s.URL)
	p.Line(1<<20, 0)
	began := time.Now()
	_ = browser.Eval[int](p, "fetch('/', {method: 'POST', body: new Blob([new Uint8Array(2 << 20)])}).then(r => r.status)")
	if took := time.Since(began); took < time.Second {
		t.Errorf("2 MiB were sent at 1 MiB a second in %v", took)
	}
}
