package transfer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/transfer/fetch"
)

// TestRegion (S-218): a token goes to the endpoint that the operator named and
// nowhere else, whereto the endpoint may redirect.
func TestRegion(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/image/v2/away":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/image/v2/on":
			http.Redirect(w, r, "/image/v2/here", http.StatusFound)
		default:
			_, _ = io.WriteString(w, r.Header.Get("X-Auth-Token"))
		}
	}))
	defer far.Close()
	region, err := Region(far.URL+"/image", fetch.Config{Failure: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	header := map[string]string{"X-Auth-Token": "secret"}
	r, _, err := region.Opener.Open(t.Context(), region.Endpoint+"/v2/on", header, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	if b, err := io.ReadAll(r); err != nil || string(b) != "secret" {
		t.Errorf("the endpoint got %q, %v", b, err)
	}
	if _, _, err := region.Opener.Open(t.Context(), region.Endpoint+"/v2/away", header, 100); kuva.CodeOf(err) != kuva.CodeInvalid || elsewhere.Load() != 0 {
		t.Errorf("a redirect to another host: %v, asked %d times", err, elsewhere.Load())
	}
	if _, _, err := region.Opener.Open(t.Context(), other.URL, header, 100); err == nil {
		t.Error("another address was fetched")
	}
	for _, bad := range []string{"", "ftp://a.test", "https://u:p@a.test/image", "https://a.test/image?x", "a.test/image", "https://a.test:99999/"} {
		if _, err := Region(bad, fetch.Config{}); err == nil {
			t.Errorf("endpoint %q was taken", bad)
		}
	}
}
