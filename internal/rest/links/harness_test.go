package links

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kuva"
	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot"
	"kuva/internal/depot/keyfile"
	"kuva/internal/identity"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/rest"
	"kuva/internal/transfer/link"
)

const password = "c4n4ry-s3cret"

// user is somebody with a role in a project.
type user struct{ name, id, project string }

type world struct {
	t        *testing.T
	url      string
	db       *catalog.DB
	images   *images.Service
	identity *identity.Service
	links    *link.Service
	registry *prometheus.Registry
	log      *book
	ahead    atomic.Int64 // of the wall clock

	admin kuva.Principal
	alice *user // member of blue
}

// book is a log that tests read.
type book struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func start(t *testing.T) *world { return startOn(t, catalogtest.SQLite(t)) }

func startOn(t *testing.T, db *catalog.DB, change ...func(*link.Config)) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t, db: db, log: &book{}, registry: prometheus.NewRegistry()}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := depot.Open(ctx, depot.Config{DB: db, Store: mem.New(1), Keys: keys, Node: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	w.images = images.New(images.Config{DB: db, Depot: d, Log: log, Now: w.now})
	queue, err := job.Open(job.Config{DB: db, Node: "test", Log: log, Handlers: w.images.Handlers()})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.images.Start(ctx, queue); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.images.Close(context.Background()); err != nil { // the test's own has ended
			t.Errorf("close images: %v", err)
		}
	})
	w.identity = identity.New(db, identity.Config{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}, Now: w.now})
	if _, err := w.identity.Bootstrap(ctx, password); err != nil {
		t.Fatal(err)
	}
	cfg := link.Config{DB: db, Images: w.images, Again: w.identity.Again, Now: w.now, Log: log}
	for _, c := range change {
		c(&cfg)
	}
	w.links = link.New(cfg)
	door := New(Config{Links: w.links, Door: rest.Door{Log: log, Metrics: rest.NewMetrics(w.registry), PublicURL: "http://kuva.test"}})
	srv := httptest.NewServer(door)
	srv.Config.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	w.admin = w.login("admin", "admin")
	w.alice = w.person("alice", "blue", identity.RoleMember)
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) login(name, project string) kuva.Principal {
	w.t.Helper()
	tok, err := w.identity.LogInPassword(w.t.Context(), identity.LogIn{
		User: identity.Ref{Name: name}, Password: password, Scope: identity.Scope{Project: identity.Ref{Name: project}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.identity.Check(w.t.Context(), tok.Secret.Reveal())
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// person makes a user with a role in a new project.
func (w *world) person(name, project, role string) *user {
	w.t.Helper()
	ctx := w.t.Context()
	p, err := w.identity.CreateProject(ctx, w.admin, identity.Project{Name: project, Enabled: true})
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := w.identity.CreateUser(ctx, w.admin, identity.User{Name: name, Enabled: true}, password)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.identity.Assign(ctx, w.admin, p.ID, u.ID, identity.RoleID(role)); err != nil {
		w.t.Fatal(err)
	}
	return &user{name: name, id: u.ID, project: p.ID}
}

// principal is a user as the doors know it.
func (w *world) principal(u *user) kuva.Principal {
	w.t.Helper()
	p, err := w.identity.Again(w.t.Context(), kuva.Principal{UserID: u.id, ProjectID: u.project})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// image makes one of alice's, with content if there is any.
func (w *world) image(content string, change ...func(*images.NewImage)) string {
	w.t.Helper()
	p := w.principal(w.alice)
	n := images.NewImage{Name: "Debian 12 (new)", DiskFormat: "raw", ContainerFormat: "bare"}
	for _, c := range change {
		c(&n)
	}
	img, err := w.images.Create(w.t.Context(), p, n)
	if err != nil {
		w.t.Fatal(err)
	}
	if content != "" {
		if _, err := w.images.Ingest(w.t.Context(), p, img.ID, images.Source{Content: strings.NewReader(content), Size: int64(len(content))}); err != nil {
			w.t.Fatal(err)
		}
	}
	return img.ID
}

// link makes one as p, and returns its address.
func (w *world) link(p kuva.Principal, wish link.Wish) (at string, made *link.Made) {
	w.t.Helper()
	made, err := w.links.Make(w.t.Context(), p, wish)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.url + Prefix + "/" + made.Secret.Reveal() + "/" + made.Name, made
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(method, at, body string, headers ...string) answer {
	w.t.Helper()
	a, err := call(w.t.Context(), method, at, body, headers...)
	if err != nil {
		w.t.Fatalf("%s: %v", method, err)
	}
	return a
}

func call(ctx context.Context, method, at, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	got, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(got)}, err
}

func (w *world) want(status int, method, at, body string, headers ...string) answer {
	w.t.Helper()
	a := w.do(method, at, body, headers...)
	if a.status != status {
		w.t.Fatalf("%s: got %d %s, want %d", method, a.status, a.body, status)
	}
	return a
}
