package servertest_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"kuva/internal/server/servertest"
)

// TestKillImport: an import that a kill stops in its middle goes on with the
// next start, by itself, and staged content outlives a kill.
func TestKillImport(t *testing.T) {
	content := servertest.Random(2, 24<<20)
	var requests atomic.Int64
	half := make(chan struct{})
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 1 {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:len(content)/2])
		w.(http.Flusher).Flush()
		close(half)
		<-r.Context().Done()
	}))
	defer site.Close()
	port := site.URL[len("http://127.0.0.1:"):]
	yaml := "import:\n  ports: [" + port + "]\n  allow_networks: [127.0.0.0/8]\n"
	data := filepath.Join(t.TempDir(), "data")
	p := servertest.Start(t, servertest.Config{Data: data, YAML: yaml})
	c := p.Login(t, servertest.Admin)
	call := func(want int, method, path, media string, body any) {
		t.Helper()
		a, err := c.Do(method, path, http.Header{"Content-Type": {media}}, body)
		if err != nil || a.Status != want {
			t.Fatalf("%s %s: %d, %v", method, path, a.Status, err)
		}
	}
	staged := c.MustCreate(t, servertest.Fields{"name": "staged"})
	call(204, "PUT", "/image/v2/images/"+staged+"/stage", "application/octet-stream", bytes.NewReader(content))
	id := c.MustCreate(t, servertest.Fields{"name": "fetched"})
	call(202, "POST", "/image/v2/images/"+id+"/import", "application/json", map[string]any{"method": map[string]any{"name": "web-download", "uri": site.URL}})
	<-half
	p.Kill()

	p = servertest.Start(t, servertest.Config{Data: data, YAML: yaml})
	c = c.At(p.URL)
	active := func(id string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			img, err := c.Show(id)
			if err != nil {
				t.Fatal(err)
			}
			if img.Status == "active" {
				break
			}
			if img.Status != "importing" || time.Now().After(end) {
				t.Fatalf("after the kill the image is %s: %s", img.Status, img.LastFailure)
			}
		}
		if err := c.Download(id, bytes.NewReader(content)); err != nil {
			t.Error(err)
		}
	}
	active(id)
	call(202, "POST", "/image/v2/images/"+staged+"/import", "application/json", map[string]any{"method": map[string]any{"name": "glance-direct"}})
	active(staged)
	p.MustStop(t)
}
