package imagev2

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
	"kuva/internal/images"
	"kuva/internal/metadef"
	"kuva/internal/policy"
)

// matrixCall is a call of the matrix. In path and body ID is the image, MEMBER
// the project that accepted it, OTHER one that nothing is shared with.
type matrixCall struct {
	route, path, body, media string
}

// matrixCalls are the calls by their names in testdata/matrix.txt.
var matrixCalls = map[string]matrixCall{
	"create":                     {"POST /v2/images", "", `{}`, ""},
	"create public":              {"POST /v2/images", "", `{"visibility":"public"}`, ""},
	"create community":           {"POST /v2/images", "", `{"visibility":"community"}`, ""},
	"create for another project": {"POST /v2/images", "", `{"owner":"OTHER"}`, ""},
	"list":                       {"GET /v2/images", "", "", ""},
	"list all":                   {"GET /v2/images", "/v2/images?visibility=all&member_status=all", "", ""},
	"show":                       {"GET /v2/images/{id}", "", "", ""},
	"tasks of image":             {"GET /v2/images/{id}/tasks", "", "", ""},
	"rename":                     {"PATCH /v2/images/{id}", "", `[{"op":"replace","path":"/name","value":"new"}]`, patch21},
	"rename, old dialect":        {"PATCH /v2/images/{id}", "", `[{"replace":"/name","value":"new"}]`, patchDraft4},
	"publicize":                  {"PATCH /v2/images/{id}", "", `[{"op":"replace","path":"/visibility","value":"public"}]`, patch21},
	"communitize":                {"PATCH /v2/images/{id}", "", `[{"op":"replace","path":"/visibility","value":"community"}]`, patch21},
	"give away":                  {"PATCH /v2/images/{id}", "", `[{"op":"replace","path":"/owner","value":"OTHER"}]`, patch21},
	"add tag":                    {"PUT /v2/images/{id}/tags/{tag}", "/v2/images/ID/tags/new", "", ""},
	"remove tag":                 {"DELETE /v2/images/{id}/tags/{tag}", "/v2/images/ID/tags/there", "", ""},
	"delete":                     {"DELETE /v2/images/{id}", "", "", ""},
	"deactivate":                 {"POST /v2/images/{id}/actions/deactivate", "", "", ""},
	"reactivate":                 {"POST /v2/images/{id}/actions/reactivate", "", "", ""},
	"upload":                     {"PUT /v2/images/{id}/file", "", "content", "application/octet-stream"},
	"stage":                      {"PUT /v2/images/{id}/stage", "", "content", "application/octet-stream"},
	"import":                     {"POST /v2/images/{id}/import", "", `{"method":{"name":"glance-direct"}}`, ""},
	"download":                   {"GET /v2/images/{id}/file", "", "", ""},
	"locations":                  {"GET /v2/images/{id}/locations", "", "", ""},
	"add location":               {"POST /v2/images/{id}/locations", "", `{"url":"http://kuva.invalid/disk"}`, ""},
	"members":                    {"GET /v2/images/{id}/members", "", "", ""},
	"show member":                {"GET /v2/images/{id}/members/{member}", "", "", ""},
	"add member":                 {"POST /v2/images/{id}/members", "", `{"member":"OTHER"}`, ""},
	"answer as member":           {"PUT /v2/images/{id}/members/{member}", "", `{"status":"rejected"}`, ""},
	"remove member":              {"DELETE /v2/images/{id}/members/{member}", "", "", ""},
	"usage of project":           {"GET /v2/info/usage", "", "", ""},
	"import methods":             {"GET /v2/info/import", "", "", ""},
	"stores":                     {"GET /v2/info/stores", "", "", ""},
	"stores in detail":           {"GET /v2/info/stores/detail", "", "", ""},
	"list tasks":                 {"GET /v2/tasks", "", "", ""},
	"create task":                {"POST /v2/tasks", "", `{"type":"import","input":{}}`, ""},
	"show task":                  {"GET /v2/tasks/{id}", "/v2/tasks/" + nowhere, "", ""},
	"schema image":               {"GET /v2/schemas/image", "", "", ""},
	"schema images":              {"GET /v2/schemas/images", "", "", ""},
	"schema member":              {"GET /v2/schemas/member", "", "", ""},
	"schema members":             {"GET /v2/schemas/members", "", "", ""},
	"schema task":                {"GET /v2/schemas/task", "", "", ""},
	"schema tasks":               {"GET /v2/schemas/tasks", "", "", ""},
}

// nowhere is the id of nothing.
const nowhere = "99999999-9999-4999-9999-999999999999"

// matrixRow is a line of the file.
type matrixRow struct {
	call                 string
	visibilities, states []string // nil for any
	want                 []int
}

// callers are the columns of the file.
var callers = []string{"anonymous", "reader", "member", "other", "pending", "accepted", "rejected", "admin"}

func readMatrix(t *testing.T) (rows []matrixRow) {
	t.Helper()
	f, err := os.Open("testdata/matrix.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := func(s string) []string {
		if s == "any" || s == "-" {
			return nil
		}
		return strings.Split(s, ",")
	}
	call := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		switch fields := strings.Fields(line); {
		case len(fields) == 0 || line[0] == '#':
		case line[0] != ' ':
			if call = line; matrixCalls[call].route == "" {
				t.Fatalf("matrix.txt: no call %q", call)
			}
		case len(fields) != 2+len(callers):
			t.Fatalf("matrix.txt: %q has %d fields", line, len(fields))
		default:
			row := matrixRow{call: call, visibilities: list(fields[0]), states: list(fields[1])}
			if fields[0] == "-" {
				row.visibilities = []string{""}
				row.states = []string{""}
			}
			for _, s := range fields[2:] {
				n, err := strconv.Atoi(s)
				if err != nil {
					t.Fatalf("matrix.txt: %q: %v", line, err)
				}
				row.want = append(row.want, n)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// cell is one request of the matrix.
type cell struct {
	call, visibility, state string
	caller                  int
	want                    int
}

func (c cell) String() string {
	return fmt.Sprintf("%s by %s, %s, %s", c.call, callers[c.caller], c.visibility, c.state)
}

// staged: the content for an import was sent before.
func (c cell) staged() bool { return c.call == "import" && c.state == "uploading" }

// cells spreads the rows out; the first row that fits says what is wanted.
func cells(t *testing.T, rows []matrixRow) (out []cell) {
	t.Helper()
	done := map[string]bool{}
	for _, row := range rows {
		visibilities, states := row.visibilities, row.states
		if visibilities == nil {
			visibilities = []string{"private", "shared", "community", "public"}
		}
		if states == nil {
			states = []string{"queued", "saving", "uploading", "importing", "active", "deactivated", "killed", "pending_delete"}
		}
		for _, v := range visibilities {
			for _, s := range states {
				for who := range callers {
					c := cell{call: row.call, visibility: v, state: s, caller: who, want: row.want[who]}
					if !done[c.String()] {
						done[c.String()] = true
						out = append(out, c)
					}
				}
			}
		}
	}
	return out
}

// matrix is the service with its callers, and the door in question.
type matrix struct {
	*world
	db     *catalog.DB
	tokens []string
	owner  string
	member map[string]string // projects by what they said of each shared image
	sample *catalog.Image    // an active one, whose content all have
	door   http.Handler
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	db := catalogtest.SQLite(t)
	m := &matrix{world: start(t, options{db: db, quota: kuva.Quota{Images: -1, Bytes: -1, ImageSize: -1, VirtualSize: -1, Members: 128, Tags: 128, Properties: 128, Uploads: -1}}), db: db, member: map[string]string{}}
	m.world.door.h.log = slog.New(slog.DiscardHandler)
	m.owner, m.door = m.alice.project, m.world.door
	m.tokens = []string{"", m.rita.token, m.alice.token, m.bob.token}
	for _, status := range []string{"pending", "accepted", "rejected"} {
		u := m.person("of "+status, status, identity.RoleMember)
		m.tokens, m.member[status] = append(m.tokens, u.token), u.project
	}
	m.tokens = append(m.tokens, m.admin.token)
	id := m.filled(m.alice, []byte("content"), nil)
	err := db.View(t.Context(), func(tx *catalog.Tx) (err error) {
		m.sample, err = catalog.GetImage(t.Context(), tx, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m.define()
	return m
}

// make makes an image for each cell that names one, as other calls would have
// left it.
func (m *matrix) make(list []cell) (ids []string) {
	m.t.Helper()
	err := m.db.Update(m.t.Context(), func(tx *catalog.Tx) error {
		ids = make([]string, len(list))
		for i, c := range list {
			if c.visibility == "" {
				continue
			}
			img := m.sample.Copy()
			img.ID, img.Visibility, img.Status = uuid.NewString(), kuva.Visibility(c.visibility), kuva.Status(c.state)
			img.Tags, img.CardVersion = []string{"there"}, img.Version
			if c.staged() {
				img.Status = kuva.StatusQueued
			}
			if c.state != "active" && c.state != "deactivated" {
				img.Object, img.Size, img.VirtualSize, img.MD5, img.HashAlgo, img.HashValue = 0, -1, -1, "", "", ""
			}
			ids[i] = img.ID
			if err := catalog.InsertImage(m.t.Context(), tx, img); err != nil {
				return err
			}
			for status, project := range m.member {
				if err := catalog.PutMember(m.t.Context(), tx, img, &kuva.Member{Project: project, Status: kuva.MemberStatus(status)}); err != nil {
					return err
				}
			}
		}
		return catalog.AddUse(m.t.Context(), tx, m.owner, catalog.QuotaUse{Images: int64(len(list)), Bytes: 1 << 20})
	})
	if err != nil {
		m.t.Fatal(err)
	}
	for i, c := range list {
		if c.staged() {
			c.call, c.caller = "stage", len(callers)-1
			if w := m.send(c, ids[i]); w.Code != http.StatusNoContent {
				m.t.Fatalf("stage: %d %s", w.Code, w.Body)
			}
		}
	}
	return ids
}

// send makes the request of a cell about an image.
func (m *matrix) send(c cell, id string) *httptest.ResponseRecorder {
	call := matrixCalls[c.call]
	method, path, _ := strings.Cut(call.route, " ")
	if call.path != "" {
		path = call.path
	}
	fill := strings.NewReplacer("{id}", id, "ID", id, "{member}", m.member["accepted"], "OTHER", strings.Repeat("0", 32), "OWNER", m.owner)
	var body *strings.Reader
	r := httptest.NewRequest(method, fill.Replace(path), http.NoBody)
	if call.body != "" {
		body = strings.NewReader(fill.Replace(call.body))
		r = httptest.NewRequest(method, fill.Replace(path), body)
		r.Header.Set("Content-Type", "application/json")
		if call.media != "" {
			r.Header.Set("Content-Type", call.media)
		}
	}
	if token := m.tokens[c.caller]; token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	w := httptest.NewRecorder()
	m.door.ServeHTTP(w, r.WithContext(context.WithoutCancel(m.t.Context())))
	return w
}

// plain is an answer without what differs between any two.
func plain(w *httptest.ResponseRecorder, id string) string {
	h := w.Header().Clone()
	h.Del("X-Openstack-Request-Id")
	return strings.ReplaceAll(fmt.Sprint(w.Code, h, w.Body), id, "ID")
}

// TestMatrix holds every call by everybody in every state and visibility to
// testdata/matrix.txt. An image that the caller may not see is answered byte for
// byte like one that does not exist.
func TestMatrix(t *testing.T) {
	rows := readMatrix(t)
	m := newMatrix(t)
	named, routes := map[string]bool{}, map[string]bool{}
	for _, row := range rows {
		named[row.call], routes[matrixCalls[row.call].route] = true, true
	}
	for name := range matrixCalls {
		if !named[name] {
			t.Errorf("matrix.txt does not speak of %q", name)
		}
	}
	for _, r := range m.world.door.Routes() {
		if !routes[r] {
			t.Errorf("%s is not in the matrix", r)
		}
		if !policy.Known(r) {
			t.Errorf("%s has no rule: give it one in internal/policy/table.go", r)
		}
	}
	for _, r := range policy.Routes("/v2") {
		if !routes[r] {
			t.Errorf("the policy names %s, which is no route", r)
		}
	}
	all := cells(t, rows)
	sees := map[string]bool{}
	for _, c := range all {
		if c.call == "show" {
			sees[fmt.Sprint(c.visibility, c.caller)] = c.want == http.StatusOK
		}
	}
	ids := m.make(all)
	wrong := 0
	for i, c := range all {
		got := m.send(c, ids[i])
		if got.Code != c.want {
			if wrong++; wrong < 40 {
				t.Errorf("%v: %d, want %d: %.200s", c, got.Code, c.want, got.Body)
			}
			continue
		}
		if c.visibility != "" && callers[c.caller] != "anonymous" && !sees[fmt.Sprint(c.visibility, c.caller)] {
			if a, b := plain(got, ids[i]), plain(m.send(c, nowhere), nowhere); a != b {
				t.Errorf("%v: a foreign image and none differ:\n%s\n%s", c, a, b)
			}
		}
	}
	if len(all) < 5000 {
		t.Errorf("only %d cells", len(all))
	}
	t.Logf("%d cells", len(all))

	// The one exception: an id that is taken is taken for everybody.
	taken := m.make([]cell{{visibility: "private", state: "active"}})[0]
	for who := 2; who < len(callers); who++ {
		r := httptest.NewRequest("POST", "/v2/images", strings.NewReader(`{"id":"`+taken+`"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Auth-Token", m.tokens[who])
		w := httptest.NewRecorder()
		m.door.ServeHTTP(w, r)
		if w.Code != http.StatusConflict {
			t.Errorf("a taken id chosen by %s: %d", callers[who], w.Code)
		}
	}
}

// TestMatrixCatchesMutants: a policy that is wrong in one rule does not pass the
// matrix.
func TestMatrixCatchesMutants(t *testing.T) {
	all := cells(t, readMatrix(t))
	m := newMatrix(t)
	for _, mutant := range []struct{ rule, expr, call string }{
		{"get_image", "rule:owner", "show"},
		{"get_image", "not 'shared':%(visibility)s or rule:owner", "show"},
		{"add_image", "@", "create"},
		{"modify_image", "rule:owner", "rename"},
		{"modify_image", "rule:context_is_admin", "add tag"},
		{"delete_image", "rule:sees and role:member", "delete"},
		{"publicize_image", "rule:owner_member", "publicize"},
		{"communitize_image", "rule:context_is_admin", "create community"},
		{"kuva:change_owner", "role:member", "give away"},
		{"upload_image", "role:member", "upload"},
		{"download_image", "role:member and rule:sees", "download"},
		{"kuva:download_deactivated", "rule:owner", "download"},
		{"deactivate", "rule:owner", "deactivate"},
		{"get_members", "rule:owner", "members"},
		{"get_member", "@", "show member"},
		{"add_member", "role:member", "add member"},
		{"modify_member", "rule:owner_member", "answer as member"},
		{"delete_member", "rule:owner_member or 'pending':%(member_status)s or role:member", "remove member"},
		{"tasks_api_access", "role:member", "list tasks"},
		{"context_is_admin", "!", "create public"},
		{"get_metadef_namespace", "rule:owner", "md show, public"},
		{"add_metadef_namespace", "role:member", "md create"},
		{"modify_metadef_property", "rule:owner_member", "md set property, private"},
		{"delete_metadef_namespace", "@", "md remove objects, public"},
	} {
		p, err := policy.With(map[string]string{mutant.rule: mutant.expr})
		if err != nil {
			t.Fatal(err)
		}
		s := images.New(images.Config{DB: m.db, Depot: m.depot, Policy: p})
		m.door = New(Config{Images: s, Metadef: metadef.New(metadef.Config{DB: m.db, Policy: p}), Auth: m.identity})
		var some []cell
		for _, c := range all {
			if c.call == mutant.call && slices.Contains([]string{"", "queued", "active", "deactivated"}, c.state) {
				some = append(some, c)
			}
		}
		caught := false
		for i, id := range m.make(some) {
			if m.send(some[i], id).Code != some[i].want {
				caught = true
				break
			}
		}
		if !caught {
			t.Errorf("%s: %q passes the matrix", mutant.rule, mutant.expr)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
