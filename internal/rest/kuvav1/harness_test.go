package kuvav1

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

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
	"kuva/internal/transfer/ask"
	"kuva/internal/transfer/catalogue"
	"kuva/internal/transfer/export"
	"kuva/internal/transfer/link"
	"kuva/internal/transfer/region"
	"kuva/internal/transfer/upload"
)

var update = flag.Bool("update", false, "write the golden files anew")

const password = "c4n4ry-s3cret"

// The jobs of the tests: one that goes on until it is cancelled, one that
// fails.
const (
	kindHold = "test.hold"
	kindFail = "test.fail"
)

// described is openapi.yaml, read once, with the routes that it describes.
var described = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi)
	if err != nil {
		panic(err)
	}
	routes, err := legacy.NewRouter(doc)
	if err != nil {
		panic(err)
	}
	return doc, routes
})

// user is somebody who is logged in.
type user struct{ name, id, project, token string }

type world struct {
	t        *testing.T
	url      string
	door     *API
	db       *catalog.DB
	identity *identity.Service
	images   *images.Service
	queue    *job.Queue
	links    *link.Service
	exports  *export.Service
	uploads  *upload.Service
	asks     *ask.Service

	catalogue string // its file

	admin *user // administrator
	alice *user // member of blue
	rita  *user // reader of blue
	bob   *user // member of green
	ned   *user // logged in without a project
}

// start is the service on the embedded database, change may alter the door.
func start(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	return startOn(t, catalogtest.SQLite(t), time.Now, change...)
}

func startOn(t *testing.T, db *catalog.DB, now func() time.Time, change ...func(*Config)) *world {
	t.Helper()
	ctx := t.Context()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := depot.Open(ctx, depot.Config{DB: db, Store: mem.New(1), Keys: keys, Node: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	w := &world{t: t, db: db}
	w.images = images.New(images.Config{DB: db, Depot: d, Log: log, Now: now, Import: images.ImportConfig{Web: web{}}})
	w.uploads = upload.New(upload.Config{DB: db, Images: w.images, Log: log, Now: now})
	w.asks = ask.New(ask.Config{DB: db, Depot: d, Images: w.images, Uploads: w.uploads, Log: log, Now: now})
	w.exports = exportService(t, db, d, w.images)
	handlers := append(
		append(w.images.Handlers(), w.exports.Handlers()...),
		job.Handler{Kind: kindHold, Run: func(ctx context.Context, run *job.Run) error {
			run.Say("hold", "bytes")
			run.Progress(1, 2)
			<-ctx.Done()
			return ctx.Err()
		}},
		job.Handler{Kind: kindFail, Run: func(context.Context, *job.Run) error { return kuva.E(kuva.CodeDamaged, "image.damaged") }},
	)
	w.queue, err = job.Open(job.Config{DB: db, Node: "test", Log: log, Handlers: handlers, Poll: 50 * time.Millisecond, Now: now, Workers: 64})
	if err != nil {
		t.Fatal(err)
	}
	w.exports.Open(ctx, w.queue)
	t.Cleanup(w.exports.Close)
	if err := w.images.Start(ctx, w.queue); err != nil {
		t.Fatal(err)
	}
	if err := w.queue.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		if err := w.queue.Stop(ctx); err != nil {
			t.Errorf("stop jobs: %v", err)
		}
		if err := w.images.Close(ctx); err != nil {
			t.Errorf("close images: %v", err)
		}
	})
	w.identity = identity.New(db, identity.Config{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})
	if _, err := w.identity.Bootstrap(ctx, password); err != nil {
		t.Fatal(err)
	}
	w.links = link.New(link.Config{DB: db, Images: w.images, Again: w.identity.Again, Now: now})
	cfg := Config{Images: w.images, Links: w.links, Exports: w.exports, Uploads: w.uploads, Asks: w.asks, Regions: region.New(region.Config{DB: db, Images: w.images}), Jobs: w.queue, Auth: w.identity, Look: 50 * time.Millisecond, Door: rest.Door{Log: log, PublicURL: "http://kuva.test"}}
	w.catalogue = filepath.Join(t.TempDir(), "catalogue.yaml")
	if err := os.WriteFile(w.catalogue, []byte(entries1), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg.Catalogue, err = catalogue.Open(w.catalogue, w.images, log); err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(&cfg)
	}
	w.door = New(cfg)
	srv := httptest.NewServer(w.door)
	w.url = srv.URL
	t.Cleanup(srv.Close)
	t.Cleanup(w.door.Close) // streams end first

	w.admin = w.login("admin", "admin")
	w.alice = w.person("alice", "blue", identity.RoleMember)
	w.rita = w.person("rita", "blue", identity.RoleReader)
	w.bob = w.person("bob", "green", identity.RoleMember)
	w.ned = w.login("alice", "")
	return w
}

func (w *world) login(name, project string) *user {
	w.t.Helper()
	in := identity.LogIn{User: identity.Ref{Name: name, DomainName: identity.DefaultDomainName}, Password: password, Scope: identity.Scope{Unscoped: true}}
	if project != "" {
		in.Scope = identity.Scope{Project: identity.Ref{Name: project, DomainName: identity.DefaultDomainName}}
	}
	tok, err := w.identity.LogInPassword(w.t.Context(), in)
	if err != nil {
		w.t.Fatalf("log-in of %s: %v", name, err)
	}
	u := &user{name: name, token: tok.Secret.Reveal()}
	p := w.principal(u)
	u.project, u.id = p.ProjectID, p.UserID
	return u
}

func (w *world) principal(u *user) kuva.Principal {
	w.t.Helper()
	p, err := w.identity.Check(w.t.Context(), u.token)
	if err != nil {
		w.t.Fatal(err)
	}
	p.RequestID = "req-of-" + u.name
	return p
}

// person makes a user with a role on a project, which is made if need be.
func (w *world) person(name, project, role string) *user {
	w.t.Helper()
	ctx, admin := w.t.Context(), w.principal(w.admin)
	there, err := w.identity.Projects(ctx, admin, identity.ProjectFilter{Name: project})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(there) == 0 {
		made, err := w.identity.CreateProject(ctx, admin, identity.Project{Name: project, Enabled: true})
		if err != nil {
			w.t.Fatal(err)
		}
		there = append(there, *made)
	}
	u, err := w.identity.CreateUser(ctx, admin, identity.User{Name: name, Enabled: true}, password)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.identity.Assign(ctx, admin, there[0].ID, u.ID, identity.RoleID(role)); err != nil {
		w.t.Fatal(err)
	}
	return w.login(name, project)
}

// image makes an image, with content if there is any.
func (w *world) image(u *user, content string, change ...func(*images.NewImage)) string {
	w.t.Helper()
	n := images.NewImage{Name: "disk", DiskFormat: "raw", ContainerFormat: "bare"}
	for _, c := range change {
		c(&n)
	}
	img, err := w.images.Create(w.t.Context(), w.principal(u), n)
	if err != nil {
		w.t.Fatal(err)
	}
	if content != "" {
		src := images.Source{Content: strings.NewReader(content), Size: int64(len(content))}
		if _, err := w.images.Ingest(w.t.Context(), w.principal(u), img.ID, src); err != nil {
			w.t.Fatal(err)
		}
	}
	return img.ID
}

// enqueue makes a job of a project.
func (w *world) enqueue(kind, project string) (id string) {
	w.t.Helper()
	err := w.db.Update(w.t.Context(), func(tx *catalog.Tx) (err error) {
		id, err = w.queue.Enqueue(w.t.Context(), tx, job.New{Kind: kind, Project: project, RequestID: "req-test"})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// into decodes the body.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("answer %d %q: %v", a.status, a.body, err)
	}
}

func (w *world) request(u *user, method, path, body string, headers ...string) *http.Request {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if u != nil {
		req.Header.Set("X-Auth-Token", u.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

// do sends a request and holds the answer to openapi.yaml.
func (w *world) do(u *user, method, path, body string, headers ...string) answer {
	w.t.Helper()
	req := w.request(u, method, path, body, headers...)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	got, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s %s: answer: %v", method, path, err)
	}
	a := answer{res.StatusCode, res.Header, got}
	w.check(req, a)
	return a
}

// check holds an answer to the document.
func (w *world) check(req *http.Request, a answer) {
	w.t.Helper()
	doc, routes := described()
	plain := req.Clone(req.Context())
	plain.URL.Host, plain.URL.Scheme, plain.Host = "", "", ""
	route, vars, err := routes.FindRoute(plain)
	if err != nil { // no such path or method: then it must be an error of ours
		if a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed && a.status != http.StatusUnauthorized {
			w.t.Errorf("%s %s is not in the document and answers %d", req.Method, req.URL, a.status)
		}
		w.schema(doc, "Error", a.body)
		return
	}
	err = openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: plain, PathParams: vars, Route: route},
		Status:                 a.status,
		Header:                 a.header,
		Body:                   io.NopCloser(bytes.NewReader(a.body)),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		w.t.Errorf("%s %s answers %d %s, which openapi.yaml does not describe: %v", req.Method, req.URL, a.status, a.body, err)
	}
}

// schema holds a JSON text to a schema of the document.
func (w *world) schema(doc *openapi3.T, name string, body []byte) {
	w.t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		w.t.Errorf("%s: %v: %q", name, err, body)
		return
	}
	ref := doc.Components.Schemas[name]
	if ref == nil {
		w.t.Errorf("openapi.yaml has no schema %s", name)
		return
	}
	if err := ref.Value.VisitJSON(v, openapi3.EnableJSONSchema2020()); err != nil {
		w.t.Errorf("%s is no %s: %v", body, name, err)
	}
}

// want is do with a status that must come.
func (w *world) want(status int, u *user, method, path, body string, headers ...string) answer {
	w.t.Helper()
	a := w.do(u, method, path, body, headers...)
	if a.status != status {
		w.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// until asks again until ok is true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: waited in vain", what)
		}
	}
}

// entries are ids of the audit table, which depend on what was done before.
var entries = regexp.MustCompile(`"id": "[0-9]+"`)

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// golden compares JSON with a file of testdata, with names for ids.
func (w *world) golden(name string, body []byte) {
	w.t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "  "); err != nil {
		w.t.Fatalf("%s: %v: %q", name, err, body)
	}
	text := strings.NewReplacer(w.alice.project, "PROJECT-BLUE", w.bob.project, "PROJECT-GREEN", w.alice.id, "USER-ALICE").Replace(out.String()) + "\n"
	text = entries.ReplaceAllString(text, `"id": "ENTRY"`)
	var ids []string
	text = uuids.ReplaceAllStringFunc(text, func(id string) string {
		if id == goldenID {
			return id
		}
		for i, known := range ids {
			if id == known {
				return "UUID-" + string(rune('A'+i))
			}
		}
		ids = append(ids, id)
		return "UUID-" + string(rune('A'+len(ids)-1))
	})
	file := filepath.Join("testdata", "golden", name+".json")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	if text != string(want) {
		w.t.Errorf("%s differs from %s:\n%s", name, file, text)
	}
}

const goldenID = "11111111-2222-3333-4444-555555555555"

// fixed is a clock that stands still.
func fixed() time.Time { return time.Date(2026, 11, 21, 20, 30, 40, 123456000, time.UTC) }
