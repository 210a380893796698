package imagev2

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/internal/blob/mem"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot"
	"kuva/internal/depot/keyfile"
	"kuva/internal/identity"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/metadef"
	"kuva/internal/rest"
	"kuva/internal/rest/identityv3"
	"kuva/internal/transfer"
	"kuva/internal/transfer/fetch"
)

var update = flag.Bool("update", false, "write the golden files anew")

// password is of every user of the tests.
const password = "c4n4ry-s3cret"

// local lets a fetcher reach this machine, on any port of the tests, and tells
// failures at once.
func local(log *slog.Logger) fetch.Config {
	ports := make([]uint16, 0, 1<<16)
	for port := 1; port < 1<<16; port++ {
		ports = append(ports, uint16(port))
	}
	return fetch.Config{
		Ports: ports, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Failure: time.Millisecond, Log: log,
	}
}

// user is somebody who is logged in.
type user struct{ name, project, projectName, token string }

// world is the service as one process has it: both doors on one listener, over
// a database and a store of their own.
type world struct {
	t        *testing.T
	url      string
	door     *Handler
	identity *identity.Service
	images   *images.Service
	metadef  *metadef.Service
	store    *mem.Store
	depot    *depot.Depot

	admin *user // administrator
	alice *user // member of blue
	rita  *user // reader of blue
	bob   *user // member of green
}

// options are what tests change.
type options struct {
	db    *catalog.DB
	now   func() time.Time
	quota kuva.Quota
	stall time.Duration
	// imports is what may be fetched; web lets all users fetch from here.
	imports images.ImportConfig
	web     bool
}

func start(t *testing.T, o options) *world {
	t.Helper()
	if o.db == nil {
		o.db = catalogtest.SQLite(t)
	}
	ctx := t.Context()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: mem.New(1)}
	d, err := depot.Open(ctx, depot.Config{DB: o.db, Store: w.store, Keys: keys, Node: "test", Log: log})
	if err != nil {
		t.Fatal(err)
	}
	w.depot = d
	t.Cleanup(func() { _ = d.Close() })
	if o.web {
		o.imports.Web = transfer.Opener{Fetcher: fetch.New(local(log))}
	}
	w.images = images.New(images.Config{Import: o.imports, DB: o.db, Depot: d, Log: log, Now: o.now, DefaultQuota: o.quota})
	jobs, err := job.Open(job.Config{DB: o.db, Node: "test", Log: log, Handlers: w.images.Handlers(), Poll: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.images.Start(ctx, jobs); err != nil {
		t.Fatal(err)
	}
	if err := jobs.Start(context.WithoutCancel(ctx)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		if err := jobs.Stop(ctx); err != nil {
			t.Errorf("stop jobs: %v", err)
		}
		if err := w.images.Close(ctx); err != nil {
			t.Errorf("close images: %v", err)
		}
	})
	w.identity = identity.New(o.db, identity.Config{Params: identity.Params{Memory: 64, Time: 1, Threads: 1}})
	if _, err := w.identity.Bootstrap(ctx, password); err != nil {
		t.Fatal(err)
	}

	srv := httptest.NewUnstartedServer(nil)
	w.url = "http://" + srv.Listener.Addr().String()
	w.metadef = metadef.New(metadef.Config{DB: o.db, Now: o.now})
	w.door = New(Config{Images: w.images, Metadef: w.metadef, Auth: w.identity, PublicURL: w.url, Log: log, Stall: o.stall})
	mux := http.NewServeMux()
	keystone := identityv3.New(identityv3.Config{Identity: w.identity, Door: rest.Door{PublicURL: w.url, Log: log}})
	mux.Handle(identityv3.Prefix, keystone)
	mux.Handle(identityv3.Prefix+"/", keystone)
	srv.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		// Not through the mux, which would clean the paths before the door.
		if strings.HasPrefix(r.URL.Path, identityv3.Prefix) {
			mux.ServeHTTP(rw, r)
			return
		}
		w.door.ServeHTTP(rw, r)
	})
	srv.Start()
	t.Cleanup(srv.Close)

	w.admin = w.login("admin", "admin")
	w.alice = w.person("alice", "blue", identity.RoleMember)
	w.rita = w.person("rita", "blue", identity.RoleReader)
	w.bob = w.person("bob", "green", identity.RoleMember)
	return w
}

func (w *world) login(name, project string) *user {
	w.t.Helper()
	tok, err := w.identity.LogInPassword(w.t.Context(), identity.LogIn{
		User:     identity.Ref{Name: name, DomainName: identity.DefaultDomainName},
		Password: password,
		Scope:    identity.Scope{Project: identity.Ref{Name: project, DomainName: identity.DefaultDomainName}},
	})
	if err != nil {
		w.t.Fatalf("log-in of %s: %v", name, err)
	}
	u := &user{name: name, projectName: project, token: tok.Secret.Reveal()}
	p, err := w.identity.Check(w.t.Context(), u.token)
	if err != nil {
		w.t.Fatal(err)
	}
	u.project = p.ProjectID
	return u
}

// person makes a user with a role on a project, which is made if need be.
func (w *world) person(name, project, role string) *user {
	w.t.Helper()
	ctx := w.t.Context()
	admin, err := w.identity.Check(ctx, w.admin.token)
	if err != nil {
		w.t.Fatal(err)
	}
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
	u, err := w.identity.CreateUser(ctx, admin, identity.User{Name: name, DefaultProject: there[0].ID, Enabled: true}, password)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.identity.Assign(ctx, admin, there[0].ID, u.ID, identity.RoleID(role)); err != nil {
		w.t.Fatal(err)
	}
	return w.login(name, project)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(a.body, &o); err != nil {
		t.Fatalf("answer %d is no JSON object: %q", a.status, a.body)
	}
	return o
}

// do sends one request. path begins with a slash; headers are name, value.
// body is a string, bytes, a reader, nil, or anything else as JSON.
func (w *world) do(u *user, method, path string, body any, headers ...string) answer {
	w.t.Helper()
	var reader io.Reader
	jsonBody := false
	switch b := body.(type) {
	case nil:
	case string:
		reader, jsonBody = strings.NewReader(b), true
	case []byte:
		reader = bytes.NewReader(b)
	case io.Reader:
		reader = b
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		reader, jsonBody = bytes.NewReader(raw), true
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if u != nil {
		req.Header.Set("X-Auth-Token", u.token)
	}
	if jsonBody {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	got, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatalf("%s %s: answer: %v", method, path, err)
	}
	if !strings.HasPrefix(res.Header.Get("X-Openstack-Request-Id"), "req-") {
		w.t.Errorf("%s %s: no request id", method, path)
	}
	return answer{res.StatusCode, res.Header, got}
}

// want is do with a status that must come.
func (w *world) want(status int, u *user, method, path string, body any, headers ...string) answer {
	w.t.Helper()
	a := w.do(u, method, path, body, headers...)
	if a.status != status {
		w.t.Fatalf("%s %s: got %d %q, want %d", method, path, a.status, a.body, status)
	}
	return a
}

// create makes an image and returns its id.
func (w *world) create(u *user, fields map[string]any) string {
	w.t.Helper()
	if fields == nil {
		fields = map[string]any{}
	}
	id, _ := w.want(http.StatusCreated, u, "POST", "/v2/images", fields).object(w.t)["id"].(string)
	return id
}

// filled makes an active raw image with the content.
func (w *world) filled(u *user, content []byte, fields map[string]any) string {
	w.t.Helper()
	all := map[string]any{"disk_format": "raw", "container_format": "bare"}
	for k, v := range fields {
		all[k] = v
	}
	id := w.create(u, all)
	w.want(http.StatusNoContent, u, "PUT", "/v2/images/"+id+"/file", content, "Content-Type", "application/octet-stream")
	return id
}

// patch sends changes in the 2.1 dialect.
func (w *world) patch(u *user, id string, changes ...map[string]any) answer {
	w.t.Helper()
	if changes == nil {
		changes = []map[string]any{}
	}
	return w.do(u, "PATCH", "/v2/images/"+id, changes, "Content-Type", patch21)
}

// golden compares JSON with a file of testdata, ids of projects replaced.
func (w *world) golden(name string, body []byte) {
	w.t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "  "); err != nil {
		w.t.Fatalf("%s: %v: %q", name, err, body)
	}
	text := strings.NewReplacer(w.alice.project, "PROJECT-BLUE", w.bob.project, "PROJECT-GREEN", w.url, "http://kuva.test").Replace(out.String()) + "\n"
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

// fixed is a clock that stands still.
func fixed() time.Time { return time.Date(2026, 11, 21, 20, 30, 40, 123456000, time.UTC) }
