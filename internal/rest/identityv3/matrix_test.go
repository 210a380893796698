package identityv3

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
)

// The classes of routes of the matrix. Expectations are typed from what the
// documentation says (docs/identity.md), not made from the rules.
//
//	open    nobody needs a token
//	any     every token will do
//	list    administrators; for a role on a domain the part that is its own
//	admin   administrators alone: 403 for everybody else, whatever is named
//	own     the user itself and administrators: 404 for everybody else
//	see     administrators and who belongs to it: 404 for everybody else
var matrix = map[string][]string{
	"open": {"GET ", "GET /{$}", "GET /v3", "GET /v3/{$}", "POST /v3/auth/tokens", "POST /v3/users/{user}/password"},
	"any": {
		"GET /v3/auth/catalog", "GET /v3/auth/projects", "GET /v3/auth/domains", "GET /v3/auth/system", "GET /v3/regions", "GET /v3/regions/{region}",
		"GET /v3/domains/{domain}", "GET /v3/credentials",
	},
	"list": {"GET /v3/projects", "GET /v3/users", "GET /v3/groups"},
	"admin": {
		"GET /v3/domains", "POST /v3/domains", "PATCH /v3/domains/{domain}", "DELETE /v3/domains/{domain}",
		"POST /v3/projects", "PATCH /v3/projects/{project}", "DELETE /v3/projects/{project}",
		"PUT /v3/projects/{project}/tags", "DELETE /v3/projects/{project}/tags", "PUT /v3/projects/{project}/tags/{tag}", "DELETE /v3/projects/{project}/tags/{tag}",
		"POST /v3/users", "PATCH /v3/users/{user}", "DELETE /v3/users/{user}",
		"POST /v3/groups", "PATCH /v3/groups/{group}", "DELETE /v3/groups/{group}",
		"GET /v3/groups/{group}/users/{user}", "PUT /v3/groups/{group}/users/{user}", "DELETE /v3/groups/{group}/users/{user}",
		"GET /v3/roles", "POST /v3/roles", "GET /v3/roles/{role}", "PATCH /v3/roles/{role}", "DELETE /v3/roles/{role}",
		"GET /v3/role_inferences", "GET /v3/roles/{role}/implies", "GET /v3/roles/{role}/implies/{implied}", "PUT /v3/roles/{role}/implies/{implied}", "DELETE /v3/roles/{role}/implies/{implied}",
		"GET /v3/projects/{project}/users/{user}/roles", "GET /v3/projects/{project}/users/{user}/roles/{role}", "PUT /v3/projects/{project}/users/{user}/roles/{role}", "DELETE /v3/projects/{project}/users/{user}/roles/{role}",
		"GET /v3/projects/{project}/groups/{group}/roles", "GET /v3/projects/{project}/groups/{group}/roles/{role}", "PUT /v3/projects/{project}/groups/{group}/roles/{role}", "DELETE /v3/projects/{project}/groups/{group}/roles/{role}",
		"GET /v3/domains/{domain}/users/{user}/roles", "GET /v3/domains/{domain}/users/{user}/roles/{role}", "PUT /v3/domains/{domain}/users/{user}/roles/{role}", "DELETE /v3/domains/{domain}/users/{user}/roles/{role}",
		"GET /v3/domains/{domain}/groups/{group}/roles", "GET /v3/domains/{domain}/groups/{group}/roles/{role}", "PUT /v3/domains/{domain}/groups/{group}/roles/{role}", "DELETE /v3/domains/{domain}/groups/{group}/roles/{role}",
		"GET /v3/system/users/{user}/roles", "GET /v3/system/users/{user}/roles/{role}", "PUT /v3/system/users/{user}/roles/{role}", "DELETE /v3/system/users/{user}/roles/{role}",
		"GET /v3/system/groups/{group}/roles", "GET /v3/system/groups/{group}/roles/{role}", "PUT /v3/system/groups/{group}/roles/{role}", "DELETE /v3/system/groups/{group}/roles/{role}",
		"GET /v3/role_assignments", "GET /v3/OS-INHERIT/{rest...}", "PUT /v3/OS-INHERIT/{rest...}", "DELETE /v3/OS-INHERIT/{rest...}",
		"GET /v3/services", "POST /v3/services", "GET /v3/services/{service}", "PATCH /v3/services/{service}", "DELETE /v3/services/{service}",
		"GET /v3/endpoints", "POST /v3/endpoints", "GET /v3/endpoints/{endpoint}", "PATCH /v3/endpoints/{endpoint}", "DELETE /v3/endpoints/{endpoint}",
		"POST /v3/regions", "PUT /v3/regions/{region}", "PATCH /v3/regions/{region}", "DELETE /v3/regions/{region}",
		// For oneself only, also for administrators.
		"POST /v3/users/{user}/application_credentials",
	},
	"own": {
		"GET /v3/auth/tokens", "DELETE /v3/auth/tokens",
		"GET /v3/users/{user}/projects", "GET /v3/users/{user}/groups",
		"GET /v3/users/{user}/application_credentials", "GET /v3/users/{user}/application_credentials/{credential}", "DELETE /v3/users/{user}/application_credentials/{credential}",
		"GET /v3/users/{user}/access_rules", "GET /v3/users/{user}/access_rules/{rule}", "DELETE /v3/users/{user}/access_rules/{rule}",
		"GET /v3/credentials/{credential}", "PATCH /v3/credentials/{credential}", "DELETE /v3/credentials/{credential}",
		"GET /v3/users/{user}/credentials/OS-EC2", "POST /v3/users/{user}/credentials/OS-EC2", "GET /v3/users/{user}/credentials/OS-EC2/{access}", "DELETE /v3/users/{user}/credentials/OS-EC2/{access}",
		"POST /v3/credentials",
	},
	"see": {
		"GET /v3/projects/{project}", "GET /v3/projects/{project}/tags", "GET /v3/projects/{project}/tags/{tag}",
		"GET /v3/users/{user}", "GET /v3/groups/{group}",
	},
	"members": {"GET /v3/groups/{group}/users"}, // as list
}

// Bodies that are whole, so that nothing but the rule decides.
var matrixBodies = map[string]string{
	"POST /v3/users/{user}/application_credentials": `{"application_credential":{"name":"x"}}`,
	"POST /v3/users/{user}/credentials/OS-EC2":      `{"tenant_id":"PROJECT"}`,
	"POST /v3/credentials":                          `{"credential":{"type":"cert","blob":"x","user_id":"USER"}}`,
}

// TestR37 is row R-37 for the Identity API: every route with a caller of every
// kind, about things of the first administrator. A route that is not in the
// matrix fails the test, as does one in it that does not exist.
func TestR37(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	class := map[string]string{}
	for name, routes := range matrix {
		for _, r := range routes {
			method, path, _ := strings.Cut(r, " ")
			class[method+" "+Prefix+path] = name
		}
	}
	if want, got := slices.Sorted(maps.Keys(class)), s.handler.Routes(); !slices.Equal(want, got) {
		t.Fatalf("routes and matrix differ:\n%s\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
	things := adminsThings(t, s)
	callers := s.callers()
	for _, route := range s.handler.Routes() {
		method, pattern, _ := strings.Cut(route, " ")
		short := method + " " + strings.TrimPrefix(pattern, Prefix)
		path := regexp.MustCompile(`\{(\w+)(?:\.\.\.)?\}`).ReplaceAllStringFunc(strings.TrimPrefix(pattern, Prefix), func(p string) string {
			name := strings.Trim(p, "{.}")
			if name == "credential" && strings.Contains(pattern, "application_") {
				name = "application"
			}
			return things[name]
		})
		path = strings.TrimSuffix(path, "{$}")
		body := strings.NewReplacer("USER", things["user"], "PROJECT", things["project"]).Replace(matrixBodies[short])
		for _, who := range slices.Sorted(maps.Keys(callers)) {
			want := expected(class[route], who)
			if want == 0 {
				continue
			}
			status, _, text := s.do(method, path, callers[who], body, headerSubject, s.admin)
			if status != want {
				t.Errorf("%s by %s: %d, want %d: %s", short, who, status, want, text)
			}
		}
	}
	s.want(200, "GET", "/v3/auth/catalog", s.admin, "") // nothing of it had an effect
}

// expected is the status of a call about somebody else's things; 0 leaves it
// to other tests.
func expected(class, who string) int {
	if class == "open" {
		return 0
	}
	if who == "anonymous" || who == "limited" {
		return http.StatusUnauthorized
	}
	switch class {
	case "any":
		return 0 // shown below
	case "list", "members":
		return map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[strings.HasPrefix(who, "domain")]
	case "see":
		if strings.HasPrefix(who, "domain") {
			return 0 // in their own domain they see: TestDomainAdmin
		}
		return http.StatusNotFound
	case "own":
		if who == "service" {
			return 0 // may look at tokens: TestServiceRole
		}
		return http.StatusNotFound
	}
	return http.StatusForbidden
}

// adminsThings makes one thing of each kind that belongs to the first
// administrator.
func adminsThings(t *testing.T, s *site) map[string]string {
	t.Helper()
	var me struct{ Token tokenBody }
	_, _, body := s.do("GET", "/v3/auth/tokens", s.admin, "", headerSubject, s.admin)
	if err := json.Unmarshal([]byte(body), &me); err != nil {
		t.Fatal(err)
	}
	user, project := me.Token.User.ID, me.Token.Project.ID
	out := map[string]string{
		"user": user, "project": project, "role": identity.RoleID("admin"), "implied": identity.RoleID("member"), "domain": "default", "region": Region,
		"service": identity.StableID("service image"), "endpoint": identity.StableID("endpoint image public"), "tag": "t", "rest": "projects/x",
	}
	s.want(201, "PUT", "/v3/projects/"+project+"/tags/t", s.admin, "")
	out["group"] = id(t, s.want(201, "POST", "/v3/groups", s.admin, `{"group":{"name":"g"}}`), "group")
	made := s.want(201, "POST", "/v3/users/"+user+"/application_credentials", s.admin,
		`{"application_credential":{"name":"a","access_rules":[{"service":"image","method":"GET","path":"/v2/images"}]}}`)
	out["application"] = id(t, made, "application_credential")
	out["rule"] = regexp.MustCompile(`"access_rules":\[{"id":"(\w+)"`).FindStringSubmatch(made)[1]
	out["credential"] = id(t, s.want(201, "POST", "/v3/credentials", s.admin, `{"credential":{"type":"cert","blob":"x"}}`), "credential")
	out["access"] = regexp.MustCompile(`"access":"(\w+)"`).FindStringSubmatch(s.want(201, "POST", "/v3/users/"+user+"/credentials/OS-EC2", s.admin, `{"tenant_id":"`+project+`"}`))[1]
	return out
}

// callers are tokens of every kind of stranger.
func (s *site) callers() map[string]string {
	s.t.Helper()
	project, _, alice := s.alice()
	out := map[string]string{"anonymous": "", "member": alice}
	token := func(scope string, name, password string) string {
		status, h := s.login(`"password","password":{"user":{"name":"`+name+`","domain":{"id":"default"},"password":"`+password+`"}}`, scope)
		if status != 201 {
			s.t.Fatalf("%s: %d", name, status)
		}
		return h.Get(headerSubject)
	}
	service := id(s.t, s.want(201, "POST", "/v3/roles", s.admin, `{"role":{"name":"service"}}`), "role")
	for name, grant := range map[string]string{
		"reader": "projects/" + project, "domain admin": "domains/default", "domain reader": "domains/default", "domain member": "domains/default", "service": "projects/" + project,
	} {
		u := id(s.t, s.want(201, "POST", "/v3/users", s.admin, `{"user":{"name":"`+name+`","password":"`+canary+`1"}}`), "user")
		role := identity.RoleID(name[strings.LastIndex(name, " ")+1:])
		scope := `{"domain":{"id":"default"}}`
		if name == "service" {
			role = service
		}
		if strings.HasPrefix(grant, "projects") {
			scope = `{"project":{"id":"` + project + `"}}`
		}
		s.want(204, "PUT", "/v3/"+grant+"/users/"+u+"/roles/"+role, s.admin, "")
		out[name] = token(scope, name, canary+"1")
	}
	out["unscoped"] = token(`"unscoped"`, "reader", canary+"1")
	// An administrator's credential that is good for images alone.
	var me struct{ Token tokenBody }
	_, _, body := s.do("GET", "/v3/auth/tokens", s.admin, "", headerSubject, s.admin)
	if err := json.Unmarshal([]byte(body), &me); err != nil {
		s.t.Fatal(err)
	}
	made := s.want(201, "POST", "/v3/users/"+me.Token.User.ID+"/application_credentials", s.admin,
		`{"application_credential":{"name":"limited","secret":"shown once","access_rules":[{"service":"image","method":"GET","path":"/**"}]}}`)
	status, h := s.login(`"application_credential","application_credential":{"id":"`+id(s.t, made, "application_credential")+`","secret":"shown once"}`, "")
	if status != 201 {
		s.t.Fatal(status)
	}
	out["limited"] = h.Get(headerSubject)
	return out
}
