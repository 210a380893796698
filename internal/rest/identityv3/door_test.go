package identityv3

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/depot/keyfile"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

const canary = "c4n4ry-s3cret"

var cheap = identity.Params{Memory: 64, Time: 1, Threads: 1}

// site is a server with the one door, and what it told the world.
type site struct {
	*httptest.Server
	t       *testing.T
	handler *Handler
	log     bytes.Buffer
	said    bytes.Buffer // bodies of all answers
	admin   string       // token
}

func newSite(t *testing.T, db *catalog.DB) *site {
	t.Helper()
	s := &site{t: t}
	log := slog.New(slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	keys, err := keyfile.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	ids := identity.New(db, identity.Config{Params: cheap, Log: log, Keys: keys})
	if _, err := ids.Bootstrap(t.Context(), canary); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	s.handler = New(Config{Identity: ids, Door: rest.Door{Log: log, Metrics: rest.NewMetrics(reg)}})
	mux := http.NewServeMux()
	mux.Handle(Prefix, s.handler)
	mux.Handle(Prefix+"/", s.handler)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.Close()
		metrics, err := reg.Gather()
		if err != nil {
			t.Error(err)
		}
		all := s.log.String() + s.said.String()
		for _, m := range metrics {
			all += m.String()
		}
		for _, secret := range []string{"c4n4ry", identity.TokenPrefix} {
			if i := strings.Index(all, secret); i >= 0 {
				t.Errorf("a secret got out: …%s", all[max(0, i-100):i+20])
			}
		}
	})
	_, h := s.login(`"password","password":{"user":{"name":"admin","domain":{"id":"default"},"password":"`+canary+`"}}`, "")
	s.admin = h.Get("X-Subject-Token")
	return s
}

// login posts the identity part of a log-in.
func (s *site) login(method, scope string) (int, http.Header) {
	method = strings.Replace(method, `"`, `{"auth":{"identity":{"methods":["`, 1)
	method = strings.Replace(method, `",`, `"],`, 1) + "}"
	if scope != "" {
		method += `,"scope":` + scope
	}
	status, h, _ := s.do("POST", "/v3/auth/tokens", "", method+"}}")
	return status, h
}

func (s *site) do(method, path, token, body string, headers ...string) (int, http.Header, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+Prefix+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	s.said.Write(b)
	if !strings.HasPrefix(res.Header.Get("X-Openstack-Request-Id"), "req-") {
		s.t.Errorf("%s %s: no request id", method, path)
	}
	return res.StatusCode, res.Header, string(b)
}

func (s *site) want(status int, method, path, token, body string) string {
	s.t.Helper()
	got, _, text := s.do(method, path, token, body)
	if got != status {
		s.t.Errorf("%s %s: got %d, want %d: %s", method, path, got, status, text)
	}
	return text
}

// id takes the id of the object that an answer holds.
func id(t *testing.T, body, kind string) string {
	t.Helper()
	var v map[string]struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil || v[kind].ID == "" {
		t.Fatalf("no %s in %s: %v", kind, body, err)
	}
	return v[kind].ID
}

// alice makes a project with a member and returns their ids and her token.
func (s *site) alice() (project, user, token string) {
	s.t.Helper()
	project = id(s.t, s.want(201, "POST", "/v3/projects", s.admin, `{"project":{"name":"blue","enabled":true}}`), "project")
	user = id(s.t, s.want(201, "POST", "/v3/users", s.admin, `{"user":{"name":"alice","password":"`+canary+`1","default_project_id":"`+project+`"}}`), "user")
	s.want(204, "PUT", "/v3/projects/"+project+"/users/"+user+"/roles/"+identity.RoleID("member"), s.admin, "")
	status, h := s.login(`"password","password":{"user":{"id":"`+user+`","password":"`+canary+`1"}}`, "")
	if status != 201 {
		s.t.Fatal(status)
	}
	return project, user, h.Get("X-Subject-Token")
}

func TestVersions(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	for path, want := range map[string]int{"": 300, "/": 300, "/v3": 200, "/v3/": 200, "/v4": 404, "/v3/nothing": 404} {
		body := s.want(want, "GET", path, "", "")
		if want != 404 && !strings.Contains(body, `"href":"`+s.URL+`/identity/v3/"`) {
			t.Errorf("%s: %s", path, body)
		}
	}
}

func TestTokens(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		s := newSite(t, db)
		project, user, alice := s.alice()
		status, h, body := s.do("GET", "/v3/auth/tokens", alice, "", "X-Subject-Token", alice)
		if status != 200 || h.Get("X-Subject-Token") != alice {
			t.Fatal(status, body)
		}
		var got struct{ Token tokenBody }
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		tok := got.Token
		if tok.User.ID != user || tok.User.Domain != (idName{"default", "Default"}) || tok.Project == nil || tok.Project.ID != project || len(tok.Roles) != 2 ||
			tok.Catalog == nil || len(*tok.Catalog) != 2 || (*tok.Catalog)[1].Endpoints[0].URL != s.URL+"/image" || (*tok.Catalog)[0].Endpoints[0].URL != s.URL+"/identity/v3" {
			t.Errorf("got %s", body)
		}
		if !regexp.MustCompile(`"expires_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"`).MatchString(body) {
			t.Errorf("time: %s", body)
		}
		if status, _, body := s.do("HEAD", "/v3/auth/tokens", alice, "", "X-Subject-Token", alice); status != 200 || body != "" {
			t.Error(status, body)
		}
		for name, scope := range map[string]string{"unscoped": `"unscoped"`, "unscoped object": `{"unscoped":{}}`} {
			status, h := s.login(`"token","token":{"id":"`+alice+`"}`, scope)
			if status != 201 {
				t.Errorf("%s: %d", name, status)
			}
			if status, _, body := s.do("GET", "/v3/auth/tokens", alice, "", "X-Subject-Token", h.Get("X-Subject-Token")); status != 200 || strings.Contains(body, `"project"`) || strings.Contains(body, `"catalog"`) {
				t.Errorf("%s: %d %s", name, status, body)
			}
		}
		for name, scope := range map[string]string{
			"by name": `{"project":{"name":"blue","domain":{"name":"Default"}}}`, "by id": `{"project":{"id":"` + project + `"}}`,
		} {
			if status, _ := s.login(`"password","password":{"user":{"name":"alice","domain":{"name":"Default"},"password":"`+canary+`1"}}`, scope); status != 201 {
				t.Errorf("%s: %d", name, status)
			}
		}
		if status, _, _ := s.do("DELETE", "/v3/auth/tokens", alice, "", "X-Subject-Token", s.admin); status != 404 {
			t.Errorf("revoked the administrator's: %d", status)
		}
		if status, _, _ := s.do("DELETE", "/v3/auth/tokens", alice, "", "X-Subject-Token", alice); status != 204 {
			t.Error(status)
		}
		s.want(401, "GET", "/v3/auth/catalog", alice, "")
		s.want(200, "GET", "/v3/auth/catalog", s.admin, "")
	})
}

// Whatever is wrong with a log-in, the answer is Keystone's, byte for byte.
func TestSameRefusal(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	_, user, alice := s.alice()
	s.want(200, "PATCH", "/v3/users/"+user, s.admin, `{"user":{"enabled":false}}`)
	const want = `{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}`
	for name, body := range map[string]string{
		"wrong password": `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","domain":{"id":"default"},"password":"no"}}}}}`,
		"no password":    `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","domain":{"id":"default"}}}}}}`,
		"unknown user":   `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"bob","domain":{"id":"default"},"password":"no"}}}}}`,
		"disabled user":  `{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"` + user + `","password":"` + canary + `1"}}}}}`,
		"unknown scope":  `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","domain":{"id":"default"},"password":"` + canary + `"}}},"scope":{"project":{"id":"x"}}}}`,
		"revoked token":  `{"auth":{"identity":{"methods":["token"],"token":{"id":"` + alice + `"}}}}`,
		"garbage token":  `{"auth":{"identity":{"methods":["token"],"token":{"id":"x"}}}}`,
	} {
		status, h, text := s.do("POST", "/v3/auth/tokens", "", body)
		if status != 401 || text != want || h.Get("WWW-Authenticate") != `Keystone uri="`+s.URL+`/identity"` || h.Get("X-Subject-Token") != "" {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	for _, token := range []string{"", "x", alice} {
		if _, _, text := s.do("GET", "/v3/users", token, ""); text != want {
			t.Errorf("%q: %s", token, text)
		}
	}
}

func TestThrottled(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	for i := range 12 {
		status, h := s.login(`"password","password":{"user":{"name":"bob","domain":{"id":"default"},"password":"`+canary+`"}}`, "")
		if want := map[bool]int{true: 401, false: 429}[i < 10]; status != want {
			t.Errorf("attempt %d: %d", i, status)
		}
		if status == 429 && h.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}

// For every route that names something: a caller without rights gets the same
// for what exists and for what does not (S-182).
func TestS182ForeignIsUnknown(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	_, _, alice := s.alice()
	random := "0123456789abcdef0123456789abcdef"
	real := map[string]string{
		"role": identity.RoleID("admin"), "implied": identity.RoleID("member"), "domain": "default", "region": Region,
		"service": identity.StableID("service image"), "endpoint": identity.StableID("endpoint image public"), "tag": "t", "rest": "projects",
	}
	var me struct{ Token tokenBody }
	_, _, body := s.do("GET", "/v3/auth/tokens", s.admin, "", "X-Subject-Token", s.admin)
	if err := json.Unmarshal([]byte(body), &me); err != nil {
		t.Fatal(err)
	}
	real["user"], real["project"] = me.Token.User.ID, me.Token.Project.ID
	user := "/v3/users/" + real["user"]
	s.want(201, "PUT", "/v3/projects/"+real["project"]+"/tags/t", s.admin, "")
	real["group"] = id(t, s.want(201, "POST", "/v3/groups", s.admin, `{"group":{"name":"g"}}`), "group")
	s.want(204, "PUT", "/v3/groups/"+real["group"]+"/users/"+real["user"], s.admin, "")
	made := s.want(201, "POST", user+"/application_credentials", s.admin,
		`{"application_credential":{"name":"a","secret":"shown once","access_rules":[{"service":"image","method":"GET","path":"/v2/images"}]}}`)
	application := id(t, made, "application_credential")
	real["rule"] = regexp.MustCompile(`"access_rules":\[{"id":"(\w+)"`).FindStringSubmatch(made)[1]
	kept := id(t, s.want(201, "POST", "/v3/credentials", s.admin, `{"credential":{"type":"cert","blob":"x"}}`), "credential")
	_, _, keys := s.do("POST", user+"/credentials/OS-EC2", s.admin, `{"tenant_id":"`+real["project"]+`"}`)
	real["access"] = regexp.MustCompile(`"access":"(\w+)"`).FindStringSubmatch(keys)[1]
	open := map[string]bool{ // what alice may see of these, and strangers too
		"GET /identity/v3/domains/{domain}": true, "GET /identity/v3/regions/{region}": true,
	}
	bodies := map[string]string{
		"POST /identity/v3/users/{user}/application_credentials": `{"application_credential":{"name":"x"}}`,
		"POST /identity/v3/users/{user}/credentials/OS-EC2":      `{"tenant_id":"` + real["project"] + `"}`,
	}
	tried := 0
	for _, route := range s.handler.Routes() {
		method, path, _ := strings.Cut(route, " ")
		if !strings.Contains(path, "{") || strings.Contains(path, "{$}") || open[route] {
			continue
		}
		real["credential"] = kept
		if strings.Contains(path, "application_credentials") {
			real["credential"] = application
		}
		path = strings.TrimPrefix(path, Prefix)
		fill := func(with func(kind string) string) string {
			return regexp.MustCompile(`\{(\w+)(?:\.\.\.)?\}`).ReplaceAllStringFunc(path, func(p string) string { return with(strings.Trim(p, "{.}")) })
		}
		tried++
		type result struct {
			status int
			header string
			body   string
		}
		run := func(with func(string) string) result {
			status, h, body := s.do(method, fill(with), alice, bodies[route])
			h.Del("Date")
			h.Del("X-Openstack-Request-Id")
			h.Del("Content-Length") // of a body that names an id as long as was asked for
			for kind, v := range real {
				if kind != "tag" && kind != "rest" {
					body = strings.ReplaceAll(body, v, "")
				}
			}
			var b bytes.Buffer
			_ = h.Write(&b)
			return result{status, b.String(), strings.ReplaceAll(body, random, "")}
		}
		missing := ""
		a, b := run(func(kind string) string {
			if real[kind] == "" {
				missing = kind
			}
			return real[kind]
		}), run(func(string) string { return random })
		if missing != "" {
			t.Errorf("%s: the test has no %s", route, missing)
		}
		if a != b || a.status < 400 {
			t.Errorf("%s: %v and %v", route, a, b)
		}
	}
	if tried < 60 {
		t.Errorf("only %d routes", tried)
	}
}

// Every route that is not meant to be open refuses a caller without a token.
func TestRoutesNeedTokens(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	open := map[string]bool{
		"GET /identity": true, "GET /identity/{$}": true, "GET /identity/v3": true, "GET /identity/v3/{$}": true,
		"POST /identity/v3/auth/tokens": true, "POST /identity/v3/users/{user}/password": true,
	}
	for _, route := range s.handler.Routes() {
		if method, path, _ := strings.Cut(route, " "); !open[route] {
			s.want(401, method, strings.TrimPrefix(path, Prefix), "", "")
		}
	}
}

func TestBadRequests(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	for body, want := range map[string]int{
		"": 400, "x": 400, "[]": 400, "{}": 400, `{"auth":{}}`: 400, `{"auth":{"identity":{"methods":[]}}}`: 400,
		`{"auth":{"identity":{"methods":["totp"]}}}`:                                                                                                   401,
		`{"auth":{"identity":{"methods":["password","token","totp","external"]}}}`:                                                                     400,
		`{"auth":{"identity":{"methods":["password"]}}}`:                                                                                               400,
		`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","password":"` + canary + `"}}}}}`:                              400,
		`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"x","password":"` + canary + `"}}},"scope":{"system":{"all":false}}}}`:   400,
		`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"x","password":"` + canary + `"}}},"scope":{"domain":{"id":"default"}}}`: 400,
		`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":7,"password":"` + canary + `"}}}}}`:                                      400,
		`{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"x","password":1234567}}}}}`:                                             400,
		strings.Repeat("[", 100): 400, strings.Repeat(" ", rest.MaxJSON+1): 413,
	} {
		s.want(want, "POST", "/v3/auth/tokens", "", body)
	}
	s.want(400, "POST", "/v3/projects", s.admin, `{"project":{"name":"x","admin":true}}`)
	s.want(400, "POST", "/v3/projects", s.admin, `{"project":{"name":"x","is_domain":true}}`)
	s.want(400, "POST", "/v3/projects", s.admin, `{"project":{"name":""}}`)
	s.want(400, "POST", "/v3/users", s.admin, `{"user":{"name":"x","id":"y"}}`)
	s.want(409, "POST", "/v3/projects", s.admin, `{"project":{"name":"admin"}}`)
	s.want(409, "POST", "/v3/users", s.admin, `{"user":{"name":"admin"}}`)
	status, h, _ := s.do("PUT", "/v3/auth/tokens", "", "")
	if status != 405 || h.Get("Allow") != "DELETE, GET, HEAD, POST" {
		t.Errorf("%d %q", status, h.Get("Allow"))
	}
}

func TestManage(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		s := newSite(t, db)
		project, user, alice := s.alice()
		if body := s.want(200, "GET", "/v3/projects?name=blue", s.admin, ""); !strings.Contains(body, project) || strings.Contains(body, `"admin"`) {
			t.Error(body)
		}
		if body := s.want(200, "GET", "/v3/projects?enabled=False", s.admin, ""); !strings.Contains(body, `"projects":[]`) {
			t.Error(body)
		}
		s.want(403, "GET", "/v3/projects", alice, "")
		s.want(403, "POST", "/v3/projects", alice, `{"project":{"name":"x"}}`)
		s.want(403, "POST", "/v3/users", alice, `garbage`)
		s.want(200, "GET", "/v3/projects/"+project, alice, "")
		s.want(200, "GET", "/v3/users/"+user, alice, "")
		s.want(200, "GET", "/v3/users/"+user+"/projects", alice, "")
		if body := s.want(200, "GET", "/v3/auth/projects", alice, ""); !strings.Contains(body, project) {
			t.Error(body)
		}
		if body := s.want(200, "PATCH", "/v3/projects/"+project, s.admin, `{"project":{"name":"red","description":"d"}}`); !strings.Contains(body, `"red"`) {
			t.Error(body)
		}
		grant := "/v3/projects/" + project + "/users/" + user + "/roles/"
		s.want(204, "HEAD", grant+identity.RoleID("member"), s.admin, "")
		s.want(404, "GET", grant+identity.RoleID("admin"), s.admin, "")
		if body := s.want(200, "GET", strings.TrimSuffix(grant, "/"), s.admin, ""); !strings.Contains(body, `"member"`) || strings.Contains(body, `"reader"`) {
			t.Error(body)
		}
		if body := s.want(200, "GET", "/v3/role_assignments?include_names=True&user.id="+user, s.admin, ""); !strings.Contains(body, `"alice"`) {
			t.Error(body)
		}
		if body := s.want(200, "GET", "/v3/role_assignments?effective&user.id="+user, s.admin, ""); strings.Count(body, `"assignment"`) != 2 || strings.Contains(body, `"alice"`) {
			t.Error(body)
		}
		for _, path := range []string{"services", "endpoints?interface=public", "regions", "domains?name=Default", "roles?name=member", "services/" + identity.StableID("service image")} {
			s.want(200, "GET", "/v3/"+path, s.admin, "")
		}
		s.want(204, "POST", "/v3/users/"+user+"/password", "", `{"user":{"original_password":"`+canary+`1","password":"`+canary+`2"}}`)
		s.want(401, "GET", "/v3/users/"+user, alice, "")
		s.want(204, "DELETE", grant+identity.RoleID("member"), s.admin, "")
		s.want(204, "DELETE", "/v3/users/"+user, s.admin, "")
		s.want(204, "DELETE", "/v3/projects/"+project, s.admin, "")
		s.want(404, "DELETE", "/v3/projects/"+project, s.admin, "")
	})
}

func FuzzParseAuth(f *testing.F) {
	f.Add([]byte(`{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"a","domain":{"id":"default"},"password":"p"}}},"scope":"unscoped"}}`))
	f.Add([]byte(`{"auth":{"identity":{"methods":["token"],"token":{"id":"t"}},"scope":{"project":{"id":"x"}}}}`))
	f.Add([]byte(`{"auth":{"scope":{"unscoped":{}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := parseAuth(b)
		if err != nil {
			return
		}
		if len(in.proofs) == 0 || len(in.proofs) > maxMethods {
			t.Errorf("%d proofs: %q", len(in.proofs), b)
		}
		for _, p := range in.proofs {
			if p.Secret == "" && p.Method == identity.MethodToken || p.ID == "" && p.User == (identity.Ref{}) && p.Method != identity.MethodToken {
				t.Errorf("half a proof: %q", b)
			}
		}
		if in.scope.Unscoped && in.scope.Project != (identity.Ref{}) {
			t.Errorf("two scopes: %q", b)
		}
	})
}
