package identityv3

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

// TestS185: read-only and unknown members change nothing, in any call.
func TestS185MassAssignment(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	project, user, alice := s.alice()
	for path, kind := range map[string]string{"/v3/users": "user", "/v3/projects": "project", "/v3/groups": "group", "/v3/roles": "role", "/v3/domains": "domain"} {
		for _, member := range []string{`"id":"x"`, `"admin":true`, `"links":{}`, `"created_at":"2000-01-01"`, `"password_hash":"x"`, `"roles":["admin"]`} {
			s.want(400, "POST", path, s.admin, `{"`+kind+`":{"name":"n",`+member+`}}`)
		}
	}
	for _, body := range []string{`{"user":{"id":"x"}}`, `{"user":{"domain_id":"x"}}`, `{"user":{"password_at":1}}`, `{"user":{"options":{"superuser":true}}}`, `{"user":{"options":{"multi_factor_auth_enabled":true}}}`} {
		s.want(400, "PATCH", "/v3/users/"+user, s.admin, body)
	}
	for _, body := range []string{`{"project":{"domain_id":"x"}}`, `{"project":{"is_domain":true}}`, `{"project":{"parent_id":"` + project + `"}}`, `{"project":{"options":{"x":1}}}`, `{"project":{"options":{"immutable":"yes"}}}`} {
		s.want(400, "PATCH", "/v3/projects/"+project, s.admin, body)
	}
	// A role in the body of a self-service call gives none.
	for _, body := range []string{
		`{"application_credential":{"name":"x","roles":[{"name":"admin"}]}}`, `{"application_credential":{"name":"x","roles":[{"id":"` + identity.RoleID("admin") + `"}]}}`,
		`{"application_credential":{"name":"x","user_id":"x"}}`, `{"application_credential":{"name":"x","project_id":"x"}}`,
	} {
		s.want(400, "POST", "/v3/users/"+user+"/application_credentials", alice, body)
	}
}

// TestS194: nothing but the token says who calls.
func TestS194IdentityHeaders(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	_, user, alice := s.alice()
	forged := []string{
		"X-Identity-Status", "Confirmed", "X-User-Id", user, "X-User-Name", "admin", "X-Roles", "admin", "X-Role", "admin", "X-Project-Id", "admin",
		"X-Is-Admin-Project", "True", "X-Service-Roles", "admin", "X-Service-Token", s.admin, "Authorization", "Bearer " + s.admin,
		"Cookie", "X-Auth-Token=" + s.admin, "X-Forwarded-For", "127.0.0.1", "X-Storage-Token", s.admin,
	}
	if status, _, body := s.do("GET", "/v3/users", "", "", forged...); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", status, body)
	}
	if status, _, body := s.do("GET", "/v3/users", alice, "", forged...); status != http.StatusForbidden {
		t.Errorf("with alice's: %d %s", status, body)
	}
	for _, token := range []string{"eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ.", strings.ToUpper(s.admin), s.admin + " ", s.admin + ",", s.admin[:len(s.admin)-1]} {
		if status, _, _ := s.do("GET", "/v3/users", token, ""); status != http.StatusUnauthorized && strings.TrimSpace(token) != s.admin {
			t.Errorf("taken: %.12q", token)
		}
	}
}

// TestS194Credentials: what is made with a credential can do no more than it
// (CVE-2020-12691), and less where it has access rules.
func TestS194Credentials(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	project, user, alice := s.alice()
	make := func(token, body string) (id, secret string) {
		var made struct {
			C struct{ ID, Secret string } `json:"application_credential"`
		}
		text := s.want(201, "POST", "/v3/users/"+user+"/application_credentials", token, body)
		if err := json.Unmarshal([]byte(text), &made); err != nil {
			t.Fatal(err)
		}
		return made.C.ID, made.C.Secret
	}
	login := func(id, secret, scope string) (int, string) {
		status, h := s.login(`"application_credential","application_credential":{"id":"`+id+`","secret":"`+secret+`"}`, scope)
		return status, h.Get(headerSubject)
	}
	id1, secret := make(alice, `{"application_credential":{"name":"reader","roles":[{"name":"reader"}]}}`)
	_, robot := login(id1, secret, "")
	own := "/v3/users/" + user
	s.want(403, "POST", own+"/application_credentials", robot, `{"application_credential":{"name":"more"}}`)
	s.want(403, "DELETE", own+"/application_credentials/"+id1, robot, "")
	s.want(403, "POST", own+"/credentials/OS-EC2", robot, `{"tenant_id":"`+project+`"}`)
	s.want(403, "POST", "/v3/credentials", robot, `{"credential":{"type":"cert","blob":"x"}}`)
	if _, _, body := s.do("GET", "/v3/auth/tokens", robot, "", headerSubject, robot); strings.Contains(body, `"member"`) || !strings.Contains(body, `"reader"`) || !strings.Contains(body, `"restricted":true`) {
		t.Errorf("roles of the credential: %s", body)
	}
	// Its tokens make tokens like themselves, and no others.
	for scope, want := range map[string]int{"": 201, `{"project":{"id":"` + project + `"}}`: 201, `"unscoped"`: 401, `{"domain":{"id":"default"}}`: 401, `{"system":{"all":true}}`: 401} {
		status, h := s.login(`"token","token":{"id":"`+robot+`"}`, scope)
		if status != want {
			t.Errorf("scope %s: %d, want %d", scope, status, want)
		}
		if status == 201 {
			s.want(403, "POST", own+"/application_credentials", h.Get(headerSubject), `{"application_credential":{"name":"more"}}`)
		}
	}
	if status, _ := login(id1, secret, `{"system":{"all":true}}`); status != 401 {
		t.Errorf("another scope: %d", status)
	}
	// Unrestricted ones may tend credentials, within their own roles.
	id2, secret2 := make(alice, `{"application_credential":{"name":"free","unrestricted":true,"roles":[{"name":"reader"}]}}`)
	_, free := login(id2, secret2, "")
	s.want(400, "POST", own+"/application_credentials", free, `{"application_credential":{"name":"more","roles":[{"name":"member"}]}}`)
	make(free, `{"application_credential":{"name":"child"}}`)
	// The role goes, and with it what the credential had of it.
	s.want(204, "DELETE", "/v3/projects/"+project+"/users/"+user+"/roles/"+identity.RoleID("member"), s.admin, "")
	s.want(401, "GET", "/v3/auth/projects", robot, "")
	if status, _ := login(id1, secret, ""); status != 401 {
		t.Errorf("without the role: %d", status)
	}
	s.want(204, "PUT", "/v3/projects/"+project+"/users/"+user+"/roles/"+identity.RoleID("member"), s.admin, "")
	s.want(200, "GET", "/v3/auth/projects", robot, "")
	s.want(204, "DELETE", own+"/application_credentials/"+id1, s.admin, "")
	s.want(401, "GET", "/v3/auth/projects", robot, "")
	// All the same refusal, for whatever is wrong.
	var first string
	for _, body := range []string{
		`{"id":"` + id1 + `","secret":"` + secret + `"}`, `{"id":"` + id2 + `","secret":"wrong"}`, `{"id":"nothing","secret":"x"}`,
		`{"name":"free","user":{"name":"nobody","domain":{"id":"default"}},"secret":"` + secret2 + `"}`, `{"name":"free","user":{"id":"` + user + `"}}`,
	} {
		status, _, text := s.do("POST", "/v3/auth/tokens", "", `{"auth":{"identity":{"methods":["application_credential"],"application_credential":`+body+`}}}`)
		if first == "" {
			first = text
		}
		if status != 401 || text != first {
			t.Errorf("%d %s", status, text)
		}
	}
}

// TestAccessRules are held to at every door, by the one function that lets
// callers in.
func TestAccessRules(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	rules := []kuva.AccessRule{{Service: "image", Method: "GET", Path: "/v2/images/*"}, {Service: "image", Method: "POST", Path: "/kuva/v1/**"}}
	door := rest.Door{}
	h := door.Wrap(door.Authenticate(fixed{kuva.Principal{UserID: "u", Access: rules}}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })))
	for call, want := range map[string]int{
		"GET /image/v2/images/x": 418, "GET /v2/images/x": 418, "GET /v2/images/x/file": 401, "GET /v2/images/": 401, "PUT /v2/images/x": 401,
		"POST /kuva/v1/depot/collect": 418, "GET /kuva/v1/jobs": 401, "GET /identity/v2/images/x": 401, "GET /image/identity/v2/images/x": 401,
		"GET /v2/images/x%2Ffile": 401, "GET /v2/images/x%3Fy": 418, "HEAD /v2/images/x": 401,
	} {
		method, path, _ := strings.Cut(call, " ")
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set(rest.HeaderToken, "token")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", call, w.Code, want)
		}
	}
	// A service that knows no access rules learns nothing of such a token.
	_, user, alice := s.alice()
	id1 := s.want(201, "POST", "/v3/users/"+user+"/application_credentials", alice,
		`{"application_credential":{"name":"a","secret":"shown once","access_rules":[{"service":"image","method":"GET","path":"/v2/images"}]}}`)
	_, h1 := s.login(`"application_credential","application_credential":{"id":"`+id(t, id1, "application_credential")+`","secret":"shown once"}`, "")
	limited := h1.Get(headerSubject)
	if status, _, _ := s.do("GET", "/v3/auth/tokens", s.admin, "", headerSubject, limited); status != 404 {
		t.Errorf("without the header: %d", status)
	}
	if status, _, body := s.do("GET", "/v3/auth/tokens", s.admin, "", headerSubject, limited, headerRules, "1.0"); status != 200 || !strings.Contains(body, `"access_rules":[{`) {
		t.Errorf("with the header: %d %s", status, body)
	}
}

type fixed struct{ p kuva.Principal }

func (f fixed) Check(context.Context, string) (kuva.Principal, error) { return f.p, nil }
func (f fixed) Revoked(context.Context, string) error                 { return nil }

// TestS196: values of filters are data, and nothing else is taken for one.
func TestS196Filters(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		s := newSite(t, db)
		s.alice()
		for _, evil := range []string{"' OR '1'='1", "'; DROP TABLE account; --", "%", "_", "$1", "\\", "a' UNION SELECT password FROM account --", "?"} {
			for _, path := range []string{"users", "projects", "groups", "roles", "domains"} {
				for _, filter := range []string{"name", "name__contains", "name__startswith", "name__iendswith", "domain_id"} {
					if path == "domains" && filter == "domain_id" || path == "roles" && filter == "domain_id" {
						continue
					}
					body := s.want(200, "GET", "/v3/"+path+"?"+filter+"="+url.QueryEscape(evil), s.admin, "")
					if !strings.Contains(body, `"`+path+`":[]`) {
						t.Errorf("%s %s=%q: %s", path, filter, evil, body)
					}
				}
				s.want(400, "GET", "/v3/"+path+"?marker="+url.QueryEscape(evil), s.admin, "")
			}
		}
		for _, bad := range []string{"name__regex=.*", "name__password=x", "limit=-1", "limit=0", "limit=x", "name__contains=" + strings.Repeat("x", 300)} {
			s.want(400, "GET", "/v3/users?"+bad, s.admin, "")
		}
		// Pages: each once, in order, whatever the limit; a limit beyond all is cut.
		for _, limit := range []string{"1", "2", "99999999"} {
			seen, marker := 0, ""
			for range 10 {
				body := s.want(200, "GET", "/v3/roles?limit="+limit+marker, s.admin, "")
				var page struct {
					Roles []idName
					Links links
				}
				if err := json.Unmarshal([]byte(body), &page); err != nil {
					t.Fatal(err)
				}
				seen += len(page.Roles)
				if page.Links.Next == nil {
					break
				}
				marker = "&marker=" + page.Roles[len(page.Roles)-1].ID
			}
			if seen != 3 {
				t.Errorf("limit %s: %d roles", limit, seen)
			}
		}
	})
}

// TestS197: neither the number of parameters nor the length of the URL nor the
// depth of a body costs more than its refusal.
func TestS197Bombs(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	s.want(400, "GET", "/v3/users?"+strings.Repeat("a=b&", rest.MaxParameters), s.admin, "")
	s.want(414, "GET", "/v3/users?name="+strings.Repeat("x", rest.MaxURL), s.admin, "")
	s.want(400, "POST", "/v3/users", s.admin, strings.Repeat(`{"user":`, 50))
	_, user, alice := s.alice()
	rules := strings.TrimSuffix(strings.Repeat(`{"service":"image","method":"GET","path":"/x"},`, 1000), ",")
	s.want(400, "POST", "/v3/users/"+user+"/application_credentials", alice, `{"application_credential":{"name":"x","access_rules":[`+rules+`]}}`)
	many := strings.TrimSuffix(strings.Repeat(`"t",`, 1000), ",")
	s.want(400, "POST", "/v3/projects", s.admin, `{"project":{"name":"x","tags":[`+many+`]}}`)
}
