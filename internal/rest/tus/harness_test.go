package tus

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kuva"
	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot"
	"kuva/internal/depot/keyfile"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/rest"
	"kuva/internal/transfer/upload"
)

// The callers, by their tokens.
var people = tokens{
	"alice": {UserID: "alice", ProjectID: "a", Roles: []string{"member", "reader"}},
	"anna":  {UserID: "anna", ProjectID: "a", Roles: []string{"member", "reader"}},
	"rita":  {UserID: "rita", ProjectID: "a", Roles: []string{"reader"}},
	"bob":   {UserID: "bob", ProjectID: "b", Roles: []string{"member", "reader"}},
	"root":  {UserID: "root", ProjectID: "r", Roles: []string{"admin", "member", "reader"}, Admin: true},
}

// tokens knows its callers by heart.
type tokens map[string]kuva.Principal

// authenticator takes tokens that were not revoked.
type authenticator struct{ revoked sync.Map }

func (a *authenticator) Check(_ context.Context, token string) (kuva.Principal, error) {
	p, ok := people[token]
	if _, gone := a.revoked.Load(token); gone || !ok {
		return p, kuva.E(kuva.CodeUnauthenticated, "identity.unauthenticated")
	}
	return p, nil
}

func (a *authenticator) Revoked(ctx context.Context, token string) error {
	_, err := a.Check(ctx, token)
	return err
}

// world is a service on one database, over a store in memory.
type world struct {
	t       *testing.T
	url     string
	db      *catalog.DB
	depot   *depot.Depot
	images  *images.Service
	uploads *upload.Service
	auth    *authenticator

	mu sync.Mutex
	at time.Time
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(time.Millisecond)
	return w.at
}

// later moves the service's clock.
func (w *world) later(by time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(by)
}

type change struct {
	images func(*images.Config)
	upload func(*upload.Config)
	door   func(*Config)
}

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, w *world), c change) {
	t.Helper()
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) { test(t, start(t, db, c)) })
}

func start(t *testing.T, db *catalog.DB, c change) *world {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	w := &world{t: t, db: db, at: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), auth: &authenticator{}}
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if w.depot, err = depot.Open(ctx, depot.Config{DB: db, Store: mem.New(1), Keys: keys, Node: "test", Log: log, Now: w.now}); err != nil {
		t.Fatal(err)
	}
	ic := images.Config{DB: db, Depot: w.depot, Log: log, Now: w.now}
	if c.images != nil {
		c.images(&ic)
	}
	w.images = images.New(ic)
	uc := upload.Config{DB: db, Images: w.images, Log: log, Now: w.now, PartSize: 1 << 20}
	if c.upload != nil {
		c.upload(&uc)
	}
	w.uploads = upload.New(uc)
	queue, err := job.Open(job.Config{DB: db, Node: "test", Log: log, Handlers: w.images.Handlers(), Poll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.images.Start(ctx, queue); err != nil {
		t.Fatal(err)
	}
	if err := queue.Start(ctx); err != nil {
		t.Fatal(err)
	}
	dc := Config{Uploads: w.uploads, Auth: w.auth, Door: rest.Door{Log: log}}
	if c.door != nil {
		c.door(&dc)
	}
	srv := httptest.NewServer(New(dc))
	w.url = srv.URL
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		if err := queue.Stop(ctx); err != nil {
			t.Errorf("stop jobs: %v", err)
		}
		if drift, err := w.images.CheckQuotas(ctx); err != nil || len(drift) != 0 {
			t.Errorf("quotas: %+v, %v", drift, err)
		}
		if err := w.images.Close(ctx); err != nil {
			t.Errorf("close images: %v", err)
		}
		if err := w.depot.Close(); err != nil {
			t.Errorf("close depot: %v", err)
		}
	})
	return w
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	code   string // of an error
	body   string
}

// headers of a call, as name, value, ...
type headers []string

// call makes a call of alice's, or of the one whose token the headers have.
func (w *world) call(method, path string, body []byte, h ...string) answer {
	w.t.Helper()
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	a, err := w.try(method, path, r, h...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (w *world) try(method, path string, body io.Reader, h ...string) (answer, error) {
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, body)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("X-Auth-Token", "alice")
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	for i := 0; i < len(h); i += 2 {
		if h[i+1] == "-" {
			req.Header.Del(h[i])
		} else {
			req.Header.Set(h[i], h[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(b)}
	var e struct{ Code string }
	if json.Unmarshal(b, &e) == nil {
		a.code = e.Code
	}
	if got := resp.Header.Get("Tus-Resumable"); got != "1.0.0" {
		return a, fmt.Errorf("Tus-Resumable: %q", got)
	}
	return a, err
}

// want makes a call that must be answered so.
func (w *world) want(status int, method, path string, body []byte, h ...string) answer {
	w.t.Helper()
	a := w.call(method, path, body, h...)
	if a.status != status {
		w.t.Fatalf("%s %s: %d, want %d: %s %v", method, path, a.status, status, a.body, a.header)
	}
	return a
}

// begin makes an upload and returns its path.
func (w *world) begin(size int, meta map[string]string, h ...string) string {
	w.t.Helper()
	all := slices.Concat(headers{headerMetadata, metadata(meta)}, h)
	if size >= 0 {
		all = append(all, headerLength, strconv.Itoa(size))
	}
	return w.want(http.StatusCreated, "POST", "/files", nil, all...).header.Get("Location")
}

func metadata(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+" "+base64.StdEncoding.EncodeToString([]byte(m[k])))
	}
	return strings.Join(out, ",")
}

// patch sends bytes and returns the answer.
func (w *world) patch(path string, off int, body []byte, h ...string) answer {
	w.t.Helper()
	return w.call("PATCH", path, body, slices.Concat(headers{headerOffset, strconv.Itoa(off)}, h)...)
}

// offset asks how far an upload is.
func (w *world) offset(path string) int {
	w.t.Helper()
	n, err := strconv.Atoi(w.want(http.StatusOK, "HEAD", path, nil).header.Get(headerOffset))
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func idOf(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// row reads an upload.
func (w *world) row(path string) *catalog.Upload {
	w.t.Helper()
	u, err := w.uploads.Get(w.t.Context(), people["root"], idOf(path))
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

// done waits until an upload has ended well and returns its image.
func (w *world) done(path string) *kuva.Image {
	w.t.Helper()
	for range 2000 {
		switch u := w.row(path); u.State {
		case catalog.UploadDone:
			img, err := w.images.Show(w.t.Context(), people["root"], u.Image)
			if err != nil {
				w.t.Fatal(err)
			}
			return img
		case catalog.UploadFailed:
			w.t.Fatalf("upload failed: %+v", u.Failure)
		}
		time.Sleep(5 * time.Millisecond)
	}
	w.t.Fatalf("upload does not end: %+v", w.row(path))
	return nil
}

// content reads what an image hands out.
func (w *world) content(id string) []byte {
	w.t.Helper()
	v, err := w.images.OpenView(w.t.Context(), people["root"], id, "", images.ViewOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := v.Reader(w.t.Context(), 0, v.Size)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func random(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}
