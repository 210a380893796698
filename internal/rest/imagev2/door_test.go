package imagev2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"kuva"
	"kuva/internal/rest"
)

// TestStatuses holds the table from code to status complete and as the Image
// API has it.
func TestStatuses(t *testing.T) {
	want := map[kuva.Code]int{
		kuva.CodeInvalid: 400, kuva.CodeUnauthenticated: 401, kuva.CodeForbidden: 403, kuva.CodeNotFound: 404,
		kuva.CodeConflict: 409, kuva.CodeGone: 410, kuva.CodeQuota: 413, kuva.CodeTooLarge: 413,
		kuva.CodeStorageFull: 413, kuva.CodeUnsupported: 415, kuva.CodeRange: 416, kuva.CodeDigest: 400,
		kuva.CodeThrottled: 429, kuva.CodeReadOnly: 503, kuva.CodeUnavailable: 503, kuva.CodeDamaged: 500,
		kuva.CodeCancelled: rest.StatusClientGone, kuva.CodeInternal: 500,
	}
	for _, code := range kuva.Codes {
		if got := rest.Status(code); want[code] == 0 || got != want[code] {
			t.Errorf("%s is answered with %d, want %d", code, got, want[code])
		}
	}
}

func TestVersionNegotiation(t *testing.T) {
	w := start(t, options{})
	list := func(path string, status int, headers ...string) {
		t.Helper()
		a := w.do(nil, "GET", path, nil, headers...)
		if a.status != status || !bytes.Contains(a.body, []byte(`"id":"v2.18","status":"CURRENT"`)) {
			t.Errorf("%s: got %d %q, want the list with %d", path, a.status, a.body, status)
		}
	}
	for _, path := range []string{"/", "/foo", "/image", "/image/", "/image/foo", "/v1/images", "/v2.19/images", "/v3", "/image/v1", "/images", "/imagefoo"} {
		list(path, 300)
	}
	list("/versions", 200)
	list("/image/versions", 200)
	list("/images", 300, "Accept", "application/vnd.openstack.images-v9")

	for _, path := range []string{"/v2/images", "/image/v2/images", "/v2/images/", "/image/v2.0/images", "/v2.18/images", "/v2.10/images?limit=1"} {
		w.want(200, w.alice, "GET", path, nil)
		w.want(401, nil, "GET", path, nil)
	}
	w.want(200, w.alice, "GET", "/images", nil, "Accept", "application/vnd.openstack.images-v2.1")
	for _, path := range []string{"/v2", "/v2/", "/v2/foo", "/v2/images/x/foo", "/v2/info/stores", "/v2/info/stores/detail", "/v2/info", "/v2/cache", "/v2/cache/x", "/v2/schemas"} {
		w.want(404, w.alice, "GET", path, nil)
	}
}

// TestPathsAreNotCleaned: no redirect, and nothing is reached by a second name.
func TestPathsAreNotCleaned(t *testing.T) {
	w := start(t, options{})
	for _, path := range []string{"/v2//images", "/v2/./images", "/v2/images/../images", "/v2/x/../images", "/image/v2/images//", "/v2/images/%2e%2e/images"} {
		if a := w.do(w.alice, "GET", path, nil); a.status != 404 {
			t.Errorf("%s: got %d %s, want 404", path, a.status, a.header.Get("Location"))
		}
	}
}

func TestMethodsAndBodies(t *testing.T) {
	w := start(t, options{})
	id := w.create(w.alice, nil)
	for path, allow := range map[string]string{
		"/v2/images":                               "GET, HEAD, POST",
		"/v2/images/" + id:                         "DELETE, GET, HEAD, PATCH",
		"/v2/images/" + id + "/file":               "GET, HEAD, PUT",
		"/v2/images/" + id + "/actions/deactivate": "POST",
		"/v2/images/" + id + "/tags/x":             "DELETE, PUT",
		"/v2/images/" + id + "/members":            "GET, HEAD, POST",
		"/v2/images/" + id + "/members/x":          "DELETE, GET, HEAD, PUT",
		"/v2/schemas/image":                        "GET, HEAD",
		"/image/v2.7/images/" + id + "/tasks":      "GET, HEAD",
		"/v2/images/" + id + "/actions/reactivate": "POST",
	} {
		a := w.want(405, w.alice, "OPTIONS", path, nil)
		if a.header.Get("Allow") != allow {
			t.Errorf("%s allows %q, want %q", path, a.header.Get("Allow"), allow)
		}
	}
	for _, call := range []string{
		"GET /v2/images", "GET /v2/images/" + id, "DELETE /v2/images/" + id, "GET /v2/images/" + id + "/file",
		"POST /v2/images/" + id + "/actions/deactivate", "PUT /v2/images/" + id + "/tags/a", "DELETE /v2/images/" + id + "/tags/a",
		"GET /v2/images/" + id + "/members", "GET /v2/schemas/image",
	} {
		method, path, _ := strings.Cut(call, " ")
		w.want(400, w.alice, method, path, "{}")
		w.want(400, w.alice, method, path, io.MultiReader(strings.NewReader("{}"))) // chunked
	}
	w.want(200, w.alice, "GET", "/v2/images/"+id, io.MultiReader()) // chunked, of no bytes
}

func TestErrorForms(t *testing.T) {
	w := start(t, options{})
	path := "/v2/images/%3Cscript%3E"
	html := w.want(404, w.alice, "GET", path, nil, "Accept", "*/*")
	if !strings.HasPrefix(html.header.Get("Content-Type"), "text/html") || bytes.Contains(html.body, []byte("<script>")) {
		t.Errorf("got %s %q", html.header.Get("Content-Type"), html.body)
	}
	if o := w.want(404, w.alice, "GET", path, nil, "Accept", "application/json").object(t); o["message"] == "" || o["code"] != "404 Not Found" {
		t.Errorf("got %v", o)
	}
	a := w.want(401, nil, "GET", "/v2/images", nil)
	if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Keystone uri=") {
		t.Errorf("401 without WWW-Authenticate: %v", a.header)
	}
	if a := w.want(431, w.alice, "GET", "/v2/images", nil, "X-Openstack-Request-Id", strings.Repeat("x", 65)); a.status != 431 {
		t.Error(a.status)
	}
}

// TestCreate goes through what POST takes and refuses.
func TestCreate(t *testing.T) {
	w := start(t, options{})
	for body, status := range map[string]int{
		`{}`:            201,
		`{"name":null}`: 201,
		`{"name":"x","foo":"bar","tags":["a","a","b"],"visibility":"private","os_hidden":true,"kernel_id":null}`: 201,
		`{"owner":"` + w.alice.project + `"}`:           201,
		`{"owner":"` + w.bob.project + `"}`:             403,
		`{"visibility":"public"}`:                       403,
		`{"visibility":"secret"}`:                       400,
		`{"visibility":null}`:                           400,
		`{"disk_format":"zip"}`:                         400,
		`{"container_format":"box"}`:                    400,
		`{"disk_format":1}`:                             400,
		`{"foo":1}`:                                     400,
		`{"foo":null}`:                                  400,
		`{"foo":{"a":"b"}}`:                             400,
		`{"tags":"a"}`:                                  400,
		`{"protected":"true"}`:                          400,
		`{"min_disk":-1}`:                               400,
		`{"min_ram":"1"}`:                               400,
		`{"id":"x"}`:                                    400,
		`{"id":1}`:                                      400,
		`{"id":"AAAAAAAA-0000-0000-0000-000000000001"}`: 201,
		`[]`:    400,
		`null`:  400,
		`"x"`:   400,
		``:      400,
		`{`:     400,
		`{} {}`: 400,
		`{"name":"` + strings.Repeat("x", 255) + `"}`:                       201,
		`{"name":"` + strings.Repeat("x", 256) + `"}`:                       400,
		`{"` + strings.Repeat("x", 255) + `":"y"}`:                          201,
		`{"` + strings.Repeat("x", 256) + `":"y"}`:                          400,
		`{"tags":["` + strings.Repeat("x", 256) + `"]}`:                     400,
		`{"foo":"` + strings.Repeat("x", 2<<20) + `"}`:                      413,
		`{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`: 400,
		`{"a\u000d\u000ab":"x"}`:                                            400,
		`{"a\u0000":"x"}`:                                                   400,
		`{"a":"x\u0000"}`:                                                   400,
		`{"name":"x\u0000"}`:                                                400,
		`{"tags":["x\u0000"]}`:                                              400,
		`{"a😀":"😀\r\n"}`:                                                    201,
	} {
		if a := w.do(w.alice, "POST", "/v2/images", body); a.status != status {
			t.Errorf("%.80q: got %d %q, want %d", body, a.status, a.body, status)
		}
	}
	many := map[string]any{}
	for i := range 10000 {
		many[fmt.Sprintf("p%d", i)] = "v"
	}
	w.want(413, w.alice, "POST", "/v2/images", many)
	w.want(409, w.alice, "POST", "/v2/images", map[string]any{"id": "aaaaaaaa-0000-0000-0000-000000000001"})
	w.want(409, w.bob, "POST", "/v2/images", map[string]any{"id": "aaaaaaaa-0000-0000-0000-000000000001"})
	w.want(403, w.rita, "POST", "/v2/images", map[string]any{})
	w.want(415, w.alice, "POST", "/v2/images", `{}`, "Content-Type", "text/plain")
	w.want(201, w.alice, "POST", "/v2/images", []byte(`{}`)) // says nothing of its type
}

// TestReadOnlyFields (S-185): no way of writing changes what only the service
// sets.
func TestReadOnlyFields(t *testing.T) {
	w := start(t, options{})
	id := w.filled(w.alice, []byte("content"), nil)
	before := w.want(200, w.alice, "GET", "/v2/images/"+id, nil).body
	names := []string{"location", "deleted", "deleted_at", "os_glance_import_task", "os_glance", "locations"}
	for name := range readOnly {
		names = append(names, name)
	}
	for _, name := range names {
		if name != "id" {
			w.want(403, w.alice, "POST", "/v2/images", map[string]any{name: "x"})
		}
		for _, op := range []string{"add", "replace", "remove"} {
			path := "/" + name
			if name == "locations" && op != "replace" {
				path += "/0"
			}
			a := w.patch(w.alice, id, map[string]any{"op": op, "path": path, "value": []any{}})
			if a.status != 403 && !(name == "locations") {
				t.Errorf("%s of %s: got %d %q", op, name, a.status, a.body)
			}
			if a.status/100 == 2 {
				t.Errorf("%s of %s was taken", op, name)
			}
		}
	}
	a := w.do(w.alice, "GET", "/v2/images/"+id, nil, "X-Image-Meta-Status", "queued", "X-Roles", "admin", "X-Project-Id", w.bob.project, "X-Identity-Status", "Confirmed")
	if !bytes.Equal(a.body, before) {
		t.Errorf("the image changed from %s to %s", before, a.body)
	}
	// Identity headers of a middleware mean nothing (S-194).
	w.want(401, nil, "GET", "/v2/images/"+id, nil, "X-Roles", "admin", "X-Project-Id", w.alice.project, "X-User-Id", "x", "X-Identity-Status", "Confirmed")
}

// TestForeignIsUnknown (S-182): for each route, the answer about somebody
// else's image is that about no image at all.
func TestForeignIsUnknown(t *testing.T) {
	w := start(t, options{})
	foreign := w.filled(w.alice, []byte("secret"), map[string]any{"name": "secret", "tags": []string{"x"}})
	const unknown = "99999999-9999-9999-9999-999999999999"
	bodies := map[string]any{
		"PATCH /v2/images/{id}": `[{"op":"replace","path":"/name","value":"x"}]`, "POST /v2/images/{id}/members": `{"member":"x"}`,
		"PUT /v2/images/{id}/members/{member}": `{"status":"accepted"}`, "PUT /v2/images/{id}/file": []byte("x"), "PUT /v2/images/{id}/stage": []byte("x"),
		"POST /v2/images/{id}/import": `{"method":{"name":"glance-direct"}}`, "POST /v2/images/{id}/locations": `{"url":"http://example.org/"}`,
	}
	types := map[string]string{
		"PATCH /v2/images/{id}": patch21, "PUT /v2/images/{id}/file": "application/octet-stream", "PUT /v2/images/{id}/stage": "application/octet-stream",
	}
	requestID := regexp.MustCompile(`req-[0-9a-f-]{36}`)
	seen := 0
	for _, route := range w.door.Routes() {
		if !strings.Contains(route, "/images/{id}") {
			continue
		}
		seen++
		method, pattern, _ := strings.Cut(route, " ")
		ask := func(id string) string {
			path := strings.NewReplacer("{id}", id, "{tag}", "x", "{member}", w.bob.project).Replace(pattern)
			media := "application/json"
			if m := types[route]; m != "" {
				media = m
			}
			a := w.do(w.bob, method, path, bodies[route], "Content-Type", media)
			a.header.Del("Date")
			head, _ := json.Marshal(a.header)
			text := fmt.Sprintf("%d %s %s", a.status, head, a.body)
			return strings.ReplaceAll(requestID.ReplaceAllString(text, "req-X"), id, "ID")
		}
		if a, b := ask(foreign), ask(unknown); a != b || !strings.HasPrefix(a, "404 ") {
			t.Errorf("%s tells them apart:\n%s\n%s", route, a, b)
		}
	}
	if seen < 14 {
		t.Errorf("only %d routes were tried", seen)
	}
}

// TestEveryRouteAsksWhoCalls (S-183): without a token, with a wrong one and with
// a revoked one no route answers; a reader changes nothing by any.
func TestEveryRouteAsksWhoCalls(t *testing.T) {
	w := start(t, options{})
	id := w.filled(w.alice, []byte("content"), map[string]any{"tags": []string{"x"}})
	w.want(200, w.alice, "POST", "/v2/images/"+id+"/members", map[string]any{"member": w.bob.project})
	before := w.want(200, w.alice, "GET", "/v2/images/"+id, nil).body
	gone := w.login("alice", "blue")
	w.want(204, gone, "DELETE", "/identity/v3/auth/tokens", nil, "X-Subject-Token", gone.token)
	bodies := map[string]any{
		"POST /v2/images": `{}`, "PATCH /v2/images/{id}": `[{"op":"replace","path":"/name","value":"x"}]`,
		"POST /v2/images/{id}/members": `{"member":"x"}`, "PUT /v2/images/{id}/members/{member}": `{"status":"rejected"}`,
		"PUT /v2/images/{id}/file": []byte("x"), "PUT /v2/images/{id}/stage": []byte("x"), "POST /v2/tasks": `{"type":"import"}`,
		"POST /v2/images/{id}/import": `{"method":{"name":"glance-direct"}}`, "POST /v2/images/{id}/locations": `{"url":"http://example.org/"}`,
	}
	w.defineX(bodies)
	types := map[string]string{
		"PATCH /v2/images/{id}": patch21, "PUT /v2/images/{id}/file": "application/octet-stream", "PUT /v2/images/{id}/stage": "application/octet-stream",
	}
	refused := map[string]int{ // what a reader may not look at, or nobody finds
		"GET /v2/images/{id}/locations": 403, "GET /v2/tasks": 403, "GET /v2/tasks/{id}": 403,
		"GET /v2/info/stores": 404, "GET /v2/info/stores/detail": 404,
	}
	for _, route := range w.door.Routes() {
		method, pattern, _ := strings.Cut(route, " ")
		path := strings.NewReplacer("{id}", id, "{tag}", "x", "{member}", w.bob.project,
			"{ns}", "x", "{object}", "x", "{property}", "x", "{resource_type}", "x").Replace(pattern)
		media := types[route]
		if media == "" {
			media = "application/json"
		}
		for _, u := range []*user{nil, {token: "wrong"}, gone} {
			if a := w.do(u, method, path, bodies[route], "Content-Type", media); a.status != 401 {
				t.Errorf("%s without a good token: %d", route, a.status)
			}
		}
		a := w.do(w.rita, method, path, bodies[route], "Content-Type", media)
		want := 200
		if status := refused[route]; status != 0 {
			want = status
		}
		if method == "GET" && a.status != want || method != "GET" && a.status != 403 && a.status != 409 {
			t.Errorf("%s by a reader: %d %q", route, a.status, a.body)
		}
	}
	if after := w.want(200, w.alice, "GET", "/v2/images/"+id, nil).body; !bytes.Equal(before, after) {
		t.Errorf("a reader changed %s to %s", before, after)
	}
}

func TestAnyTextAsID(t *testing.T) {
	w := start(t, options{})
	for _, id := range []string{"x", "%20", "%00", "%ff", "%2F", "..%2f..", strings.Repeat("x", 3000), "%27%20OR%201=1", "%F0%9F%98%80"} {
		for _, path := range []string{"/v2/images/" + id, "/v2/images/" + id + "/file", "/v2/images/" + id + "/members"} {
			if a := w.do(w.alice, "GET", path, nil); a.status != 404 {
				t.Errorf("%.40s: got %d %q", path, a.status, a.body)
			}
		}
	}
}

func TestPatch(t *testing.T) {
	w := start(t, options{})
	id := w.create(w.alice, map[string]any{"foo": "1"})
	op := func(op, path string, value any) map[string]any {
		return map[string]any{"op": op, "path": path, "value": value}
	}
	tests := []struct {
		about   string
		changes []map[string]any
		status  int
		name    string // of a field and its value afterwards
		value   any
	}{
		{"add", []map[string]any{op("add", "/bar", "2")}, 200, "bar", "2"},
		{"add of what is there replaces", []map[string]any{op("add", "/foo", "3")}, 200, "foo", "3"},
		{"replace", []map[string]any{op("replace", "/foo", "4")}, 200, "foo", "4"},
		{"replace of what is not there", []map[string]any{op("replace", "/none", "4")}, 409, "none", nil},
		{"remove of what is not there", []map[string]any{op("remove", "/none", nil)}, 409, "none", nil},
		{"remove", []map[string]any{op("remove", "/bar", nil)}, 200, "bar", nil},
		{"name", []map[string]any{op("replace", "/name", "new")}, 200, "name", "new"},
		{"no name", []map[string]any{op("replace", "/name", nil)}, 200, "name", nil},
		{"owner", []map[string]any{op("replace", "/owner", "x")}, 403, "owner", w.alice.project},
		{"public", []map[string]any{op("replace", "/visibility", "public")}, 403, "visibility", "shared"},
		{"community", []map[string]any{op("replace", "/visibility", "community")}, 200, "visibility", "community"},
		{"all or nothing", []map[string]any{op("add", "/a", "1"), op("replace", "/none", "1")}, 409, "a", nil},
		{"in order", []map[string]any{op("add", "/a", "1"), op("replace", "/a", "2"), op("remove", "/a", nil), op("add", "/a", "3")}, 200, "a", "3"},
		{"none", nil, 200, "a", "3"},
	}
	for _, test := range tests {
		a := w.patch(w.alice, id, test.changes...)
		if a.status != test.status {
			t.Errorf("%s: got %d %q, want %d", test.about, a.status, a.body, test.status)
		}
		if got := w.want(200, w.alice, "GET", "/v2/images/"+id, nil).object(t)[test.name]; got != test.value {
			t.Errorf("%s: %s is %v, want %v", test.about, test.name, got, test.value)
		}
	}
	draft4 := func(body string) answer {
		return w.do(w.alice, "PATCH", "/v2/images/"+id, body, "Content-Type", patchDraft4)
	}
	if a := draft4(`[{"add":"/foo","value":"x"}]`); a.status != 409 {
		t.Errorf("add of what is there in the older dialect: %d %q", a.status, a.body)
	}
	if a := draft4(`[{"add":"/draft","value":"x"},{"replace":"/draft","value":"y"}]`); a.status != 200 || a.object(t)["draft"] != "y" {
		t.Errorf("older dialect: %d %q", a.status, a.body)
	}
	if a := w.do(w.alice, "PATCH", "/v2/images/"+id, `[]`); a.status != 415 || a.header.Get("Accept-Patch") != acceptPatch {
		t.Errorf("JSON as it is: %d %v", a.status, a.header)
	}
	// Seen by all, changed by the owner's members.
	if a := w.patch(w.bob, id, op("add", "/x", "y")); a.status != 403 {
		t.Errorf("a stranger's change: %d", a.status)
	}
	if a := w.patch(w.rita, id, op("add", "/x", "y")); a.status != 403 {
		t.Errorf("a reader's change: %d", a.status)
	}
}

func TestTagsActionsDelete(t *testing.T) {
	w := start(t, options{})
	id := w.filled(w.alice, []byte("content"), nil)
	path := "/v2/images/" + id
	w.want(204, w.alice, "PUT", path+"/tags/a%2Fb", nil)
	w.want(204, w.alice, "PUT", path+"/tags/a%2Fb", nil)
	w.want(204, w.alice, "PUT", path+"/tags/%F0%9F%98%80", nil)
	if tags := fmt.Sprint(w.want(200, w.alice, "GET", path, nil).object(t)["tags"]); !strings.Contains(tags, "a/b") || !strings.Contains(tags, "😀") {
		t.Errorf("tags are %s", tags)
	}
	w.want(204, w.alice, "DELETE", path+"/tags/a%2Fb", nil)
	w.want(404, w.alice, "DELETE", path+"/tags/a%2Fb", nil)
	w.want(400, w.alice, "PUT", path+"/tags/"+strings.Repeat("x", 256), nil)
	w.want(403, w.rita, "PUT", path+"/tags/x", nil)

	w.want(204, w.alice, "POST", path+"/actions/deactivate", nil)
	w.want(204, w.alice, "POST", path+"/actions/deactivate", nil)
	w.want(403, w.alice, "GET", path+"/file", nil)
	w.want(200, w.admin, "GET", path+"/file", nil)
	w.want(204, w.alice, "POST", path+"/actions/reactivate", nil)
	w.want(204, w.alice, "POST", path+"/actions/reactivate", nil)
	w.want(200, w.alice, "GET", path+"/file", nil)
	queued := w.create(w.alice, nil)
	w.want(400, w.alice, "POST", "/v2/images/"+queued+"/actions/deactivate", nil)

	w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/protected", "value": true})
	w.want(403, w.alice, "DELETE", path, nil)
	w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/protected", "value": false})
	w.want(403, w.rita, "DELETE", path, nil)
	w.want(204, w.alice, "DELETE", path, nil)
	w.want(404, w.alice, "DELETE", path, nil)
	w.want(404, w.alice, "GET", path, nil)
}

func TestMembers(t *testing.T) {
	w := start(t, options{})
	id := w.filled(w.alice, []byte("shared"), nil)
	path := "/v2/images/" + id + "/members"
	for _, body := range []string{`{}`, `{"member":""}`, `{"member":1}`, `{"member":null}`, `[]`, ``} {
		w.want(400, w.alice, "POST", path, body)
	}
	w.want(200, w.alice, "POST", path, map[string]any{"member": w.bob.project})
	w.want(409, w.alice, "POST", path, map[string]any{"member": w.bob.project})
	w.want(403, w.bob, "POST", path, map[string]any{"member": "third"})
	w.want(200, w.bob, "GET", "/v2/images/"+id, nil) // at once, while pending
	if found := w.want(200, w.bob, "GET", "/v2/images", nil).object(t)["images"].([]any); len(found) != 0 {
		t.Errorf("an offered image is in the default list: %v", found)
	}
	if found := w.want(200, w.bob, "GET", "/v2/images?visibility=shared&member_status=pending", nil).object(t)["images"].([]any); len(found) != 1 {
		t.Errorf("an offered image is not found: %v", found)
	}
	w.want(400, w.bob, "PUT", path+"/"+w.bob.project, map[string]any{"status": "maybe"})
	w.want(400, w.bob, "PUT", path+"/"+w.bob.project, map[string]any{})
	w.want(403, w.alice, "PUT", path+"/"+w.bob.project, map[string]any{"status": "accepted"})
	w.want(200, w.bob, "PUT", path+"/"+w.bob.project, map[string]any{"status": "accepted"})
	if found := w.want(200, w.bob, "GET", "/v2/images", nil).object(t)["images"].([]any); len(found) != 1 {
		t.Errorf("an accepted image is not listed: %v", found)
	}
	w.want(200, w.bob, "GET", path+"/"+w.bob.project, nil)
	w.want(404, w.bob, "GET", path+"/another", nil)
	w.want(404, w.alice, "GET", path+"/another", nil)
	w.want(403, w.bob, "DELETE", path+"/"+w.bob.project, nil)
	w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/visibility", "value": "private"})
	w.want(404, w.bob, "GET", "/v2/images/"+id, nil)
	w.want(403, w.alice, "GET", path, nil)
	w.want(404, w.alice, "GET", path+"/"+w.bob.project, nil)
	w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/visibility", "value": "shared"})
	w.want(200, w.bob, "GET", "/v2/images/"+id, nil)
	w.want(204, w.alice, "DELETE", path+"/"+w.bob.project, nil)
	w.want(404, w.alice, "DELETE", path+"/"+w.bob.project, nil)
	w.want(404, w.bob, "GET", "/v2/images/"+id, nil)
}

func TestListPages(t *testing.T) {
	w := start(t, options{})
	for i := range 7 {
		w.create(w.alice, map[string]any{"name": fmt.Sprintf("n%d", i), "os_distro": "ä&b"})
	}
	next, got := "/v2/images?limit=3&sort=name:asc&os_distro=%C3%A4%26b", []string{}
	first := "/v2/images?limit=3&sort=name%3Aasc&os_distro=%C3%A4%26b"
	for pages := 0; next != ""; pages++ {
		if pages > 3 {
			t.Fatal("the list has no end")
		}
		o := w.want(200, w.alice, "GET", next, nil).object(t)
		for _, img := range o["images"].([]any) {
			got = append(got, img.(map[string]any)["name"].(string))
		}
		if o["first"] != first {
			t.Errorf("first is %v", o["first"])
		}
		next, _ = o["next"].(string)
	}
	if fmt.Sprint(got) != "[n0 n1 n2 n3 n4 n5 n6]" {
		t.Errorf("got %v", got)
	}
	w.want(400, w.alice, "GET", "/v2/images?marker=99999999-9999-9999-9999-999999999999", nil)
	if o := w.want(200, w.alice, "GET", "/v2/images?limit=0", nil).object(t); len(o["images"].([]any)) != 0 || o["next"] != nil {
		t.Errorf("limit=0 gave %v", o)
	}
	w.want(400, w.alice, "GET", "/v2/images?"+strings.Repeat("a=b&", 101), nil)
	w.want(414, w.alice, "GET", "/v2/images?name="+strings.Repeat("a", 17<<10), nil)
}
