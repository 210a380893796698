package imagev2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// step is one request of a conversation. USER METHOD PATH, then headers as
// "Name: value", then the body after an empty line; the answer must have the
// status. USER is alice (member of blue), rita (reader of blue), bob (member of
// green), admin or nobody. BLUE and GREEN stand for the projects' ids, aN for
// the image with the number N, big for a megabyte.
type step struct {
	request string
	status  int
}

// talk sends the requests of a row and keeps requests and answers in a file of
// testdata/rows, for people to read and for changes to be noticed.
func (w *world) talk(t *testing.T, name string, steps []step) {
	t.Helper()
	users := map[string]*user{"alice": w.alice, "rita": w.rita, "bob": w.bob, "admin": w.admin, "nobody": nil}
	var file bytes.Buffer
	for _, s := range steps {
		head, body, _ := strings.Cut(s.request, "\n\n")
		lines := strings.Split(head, "\n")
		words := strings.SplitN(lines[0], " ", 3)
		headers := []string{}
		for _, line := range lines[1:] {
			name, value, _ := strings.Cut(line, ": ")
			headers = append(headers, name, value)
		}
		if body != "" && !strings.Contains(head, "Content-Type: ") {
			headers = append(headers, "Content-Type", "application/json")
		}
		var sent any
		if body != "" {
			sent = []byte(w.fill(body))
		}
		got := w.do(users[words[0]], words[1], w.fill(words[2]), sent, headers...)
		if got.status != s.status {
			t.Errorf("%s: %d, want %d: %s", lines[0], got.status, s.status, got.body)
		}
		fmt.Fprintf(&file, "> %s\n", strings.ReplaceAll(s.request, "\n", "\n> "))
		fmt.Fprintf(&file, "< %d %s\n%s\n", got.status, http.StatusText(got.status), w.plain(got))
	}
	path := filepath.Join("testdata", "rows", name+".txt")
	if *update {
		if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, file.Bytes()) {
		t.Errorf("the conversation differs from %s:\n%s", path, file.Bytes())
	}
}

// imageN is the id of the image with a number.
func imageN(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func (w *world) fill(s string) string {
	pairs := []string{"BLUE", w.alice.project, "GREEN", w.bob.project, "%BIG%", strings.Repeat("x", 1<<20)}
	for n := 30; n >= 0; n-- { // a12 before a1
		pairs = append(pairs, "{a"+strconv.Itoa(n)+"}", imageN(n))
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// plain is an answer without what differs from run to run.
func (w *world) plain(a answer) string {
	var out strings.Builder
	for _, name := range []string{
		"Accept-Patch", "Allow", "Content-Md5", "Content-Range", "Content-Type", "Location", "Openstack-Image-Import-Methods", "Retry-After", "Www-Authenticate",
	} {
		if v := a.header.Values(name); len(v) > 0 {
			fmt.Fprintf(&out, "< %s: %s\n", name, strings.Join(v, ", "))
		}
	}
	body := a.body
	var indented bytes.Buffer
	if json.Indent(&indented, body, "", "  ") == nil && len(body) > 0 {
		body = indented.Bytes()
	}
	for line := range strings.SplitSeq(strings.TrimRight(string(body), "\n"), "\n") {
		if strings.TrimSpace(line) != "" {
			out.WriteString("< " + line + "\n")
		}
	}
	return strings.NewReplacer(w.url, "http://kuva.test", w.alice.project, "BLUE", w.bob.project, "GREEN", w.admin.project, "ADMIN").Replace(out.String())
}

// TestRows goes through the tables of the Image API's contract that are about
// versions, images, changes, lists and members: a conversation for each row.
func TestRows(t *testing.T) {
	w := start(t, options{now: fixed})
	w.stock()
	for name, steps := range rows {
		t.Run(name, func(t *testing.T) { w.talk(t, name, steps) })
	}
	files, err := os.ReadDir(filepath.Join("testdata", "rows"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.IsDir() && rows[strings.TrimSuffix(f.Name(), ".txt")] == nil {
			t.Errorf("%s is of no row", f.Name())
		}
	}
}

// stock makes the images that rows about lists look for. Rows that change
// images make their own.
func (w *world) stock() {
	w.t.Helper()
	for n, fields := range []map[string]any{
		1: {"name": "one", "disk_format": "raw", "container_format": "bare", "tags": []string{"red"}, "os_distro": "debian", "min_ram": 64},
		2: {"name": "two", "disk_format": "qcow2", "container_format": "bare", "tags": []string{"red", "round"}, "os_distro": "fedora", "visibility": "private"},
		3: {"name": "with, comma", "disk_format": "raw", "container_format": "ovf", "visibility": "community", "protected": true},
		4: {"name": "hidden", "os_hidden": true},
	} {
		if fields == nil {
			continue
		}
		fields["id"] = imageN(n)
		w.create(w.alice, fields)
	}
	w.create(w.admin, map[string]any{"id": imageN(5), "name": "public", "visibility": "public", "disk_format": "iso", "container_format": "bare"})
	w.create(w.bob, map[string]any{"id": imageN(6), "name": "offered"})
	w.create(w.bob, map[string]any{"id": imageN(7), "name": "accepted"})
	w.create(w.bob, map[string]any{"id": imageN(8), "name": "refused"})
	for n, status := range map[int]string{6: "", 7: "accepted", 8: "rejected"} {
		w.want(200, w.bob, "POST", "/v2/images/"+imageN(n)+"/members", map[string]any{"member": w.alice.project})
		if status != "" {
			w.want(200, w.alice, "PUT", "/v2/images/"+imageN(n)+"/members/"+w.alice.project, map[string]any{"status": status})
		}
	}
	w.want(204, w.alice, "PUT", "/v2/images/"+imageN(1)+"/file", []byte("kuva"), "Content-Type", "application/octet-stream")
}

const (
	media20 = "\nContent-Type: " + patchDraft4 + "\n\n"
	media21 = "\nContent-Type: " + patch21 + "\n\n"
)

// ask is a list of alice's, by its query.
func ask(query string, status int) step { return step{"alice GET /v2/images?" + query, status} }

// rows are the tables, by section and row.
var rows = map[string][]step{
	"3.1-root":         {{"nobody GET /", 300}},
	"3.1-versions":     {{"nobody GET /versions", 200}, {"nobody GET /image/versions", 200}},
	"3.1-unknown-path": {{"nobody GET /foo", 300}, {"nobody GET /v3/images", 300}, {"nobody GET /v2.99", 300}},
	"3.1-version-in-path": {
		{"alice GET /v2.0/schemas/member", 200},
		{"alice GET /v2.18/schemas/member", 200},
		{"alice GET /schemas/member\nAccept: application/vnd.openstack.images-v2.9", 200},
	},
	"3.1-request-id":      {{"nobody GET /v2/images\nX-Openstack-Request-ID: " + strings.Repeat("r", 65), 431}},
	"3.1-no-token":        {{"nobody GET /v2/images", 401}, {"nobody GET /v2/images\nX-Auth-Token: wrong", 401}},
	"3.1-identity-header": {{"nobody GET /v2/images\nX-Identity-Status: Confirmed\nX-Roles: admin\nX-Project-Id: BLUE", 401}},
	"3.1-wrong-method":    {{"alice PUT /v2/images", 405}, {"alice POST /v2/images/{a1}", 405}},
	"3.1-body-not-taken":  {{"alice GET /v2/images\n\n{}", 400}, {"alice DELETE /v2/images/{a1}\n\n{}", 400}},

	"3.2-create": {
		{"alice POST /v2/images\n\n{\"id\":\"{a10}\"}", 201},
		{"alice POST /v2/images\n\n{\"id\":\"{a10}\"}", 409},
		{"bob POST /v2/images\n\n{\"id\":\"{a10}\"}", 409},
		{"alice POST /v2/images\n\n{\"id\":\"not-a-uuid\"}", 400},
		{"alice POST /v2/images\n\n{\"self\":\"/v2\"}", 403},
		{"alice POST /v2/images\n\n{\"file\":\"/v2\"}", 403},
		{"alice POST /v2/images\n\n{\"schema\":\"/v2\"}", 403},
		{"alice POST /v2/images\n\n{\"direct_url\":\"file:///\"}", 403},
		{"alice POST /v2/images\n\n{\"stores\":\"one\"}", 403},
		{"alice POST /v2/images\n\n{\"location\":\"file:///\"}", 403},
		{"alice POST /v2/images\n\n{\"deleted\":\"true\"}", 403},
		{"alice POST /v2/images\n\n{\"deleted_at\":\"now\"}", 403},
		{"alice POST /v2/images\n\n{\"os_glance_anything\":\"x\"}", 403},
		{"alice POST /v2/images\n\n{\"size\":7}", 403},
		{"alice POST /v2/images\n\n{\"disk_format\":\"qed\"}", 400},
		{"alice POST /v2/images\n\n{\"min_ram\":-1}", 400},
		{"alice POST /v2/images\n\n{\"extra\":7}", 400},
		{"alice POST /v2/images\n\n[]", 400},
		{"alice POST /v2/images\n\n{\"name\":", 400},
		{"alice POST /v2/images\nContent-Type: text/plain\n\n{}", 415},
		{"rita POST /v2/images\n\n{}", 403},
		{"alice POST /v2/images\n\n{\"visibility\":\"public\"}", 403},
		{"alice DELETE /v2/images/{a10}", 204},
	},
	"3.2-show": {
		{"alice GET /v2/images/{a1}", 200}, {"bob GET /v2/images/{a2}", 404}, {"alice GET /v2/images/no%20such%20id", 404},
	},
	"3.2-delete": {
		{"alice DELETE /v2/images/{a3}", 403},
		{"alice POST /v2/images\n\n{\"id\":\"{a11}\"}", 201},
		{"rita DELETE /v2/images/{a11}", 403},
		{"bob DELETE /v2/images/{a11}", 404},
		{"alice DELETE /v2/images/{a11}", 204},
		{"alice DELETE /v2/images/{a11}", 404},
		{"alice GET /v2/images/{a11}", 404},
	},
	"3.2-tasks": {{"alice GET /v2/images/{a1}/tasks", 200}, {"bob GET /v2/images/{a2}/tasks", 404}},
	"3.2-actions": {
		{"alice POST /v2/images/{a2}/actions/deactivate", 400},
		{"alice POST /v2/images\n\n{\"id\":\"{a12}\",\"disk_format\":\"raw\",\"container_format\":\"bare\"}", 201},
		{"alice PUT /v2/images/{a12}/file\nContent-Type: application/octet-stream\n\nbytes", 204},
		{"alice POST /v2/images/{a12}/actions/deactivate", 204},
		{"alice POST /v2/images/{a12}/actions/deactivate", 204},
		{"alice GET /v2/images/{a12}/file", 403},
		{"admin GET /v2/images/{a12}/file", 200},
		{"rita POST /v2/images/{a12}/actions/reactivate", 403},
		{"bob POST /v2/images/{a12}/actions/reactivate", 404},
		{"alice POST /v2/images/{a12}/actions/reactivate", 204},
		{"alice DELETE /v2/images/{a12}", 204},
	},
	"3.2-tags": {
		{"alice POST /v2/images\n\n{\"id\":\"{a13}\"}", 201},
		{"alice PUT /v2/images/{a13}/tags/blue", 204},
		{"alice PUT /v2/images/{a13}/tags/blue", 204},
		{"alice PUT /v2/images/{a13}/tags/" + strings.Repeat("t", 256), 400},
		{"alice DELETE /v2/images/{a13}/tags/blue", 204},
		{"alice DELETE /v2/images/{a13}/tags/blue", 404},
		{"rita PUT /v2/images/{a13}/tags/blue", 403},
		{"alice DELETE /v2/images/{a13}", 204},
	},
	"3.2-delete-from-store": {{"alice DELETE /v2/stores/one/{a1}", 404}},

	"3.3-media-types": {
		{"alice PATCH /v2/images/{a2}\nContent-Type: application/json-patch+json\n\n[]", 415},
		{"alice PATCH /v2/images/{a2}" + media21 + "[]", 200},
		{"alice PATCH /v2/images/{a2}" + media20 + "[]", 200},
	},
	"3.3-body": {
		{"alice PATCH /v2/images/{a2}" + media21 + "{}", 400},
		{"alice PATCH /v2/images/{a2}" + media21 + "[7]", 400},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"test","path":"/name","value":"x"}]`, 400},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"move","from":"/name","path":"/title"}]`, 400},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"add","path":"/name"}]`, 400},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"path":"/name","value":"x"}]`, 400},
	},
	"3.3-pointers": {
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"add","path":"name","value":"x"}]`, 400},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"add","path":"/a//b","value":"x"}]`, 400},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"add","path":"/a/","value":"x"}]`, 400},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"add","path":"/a~2","value":"x"}]`, 400},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"add","path":"/a/b","value":"x"}]`, 400},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"add","path":"/a~1b~0c","value":"x"},{"op":"remove","path":"/a~1b~0c"}]`, 200},
	},
	"3.3-read-only": readOnlyRow(),
	"3.3-add-and-replace": {
		{"alice POST /v2/images\n\n{\"id\":\"{a14}\",\"os_distro\":\"a\"}", 201},
		{"alice PATCH /v2/images/{a14}" + media21 + `[{"op":"add","path":"/os_distro","value":"b"}]`, 200},
		{"alice PATCH /v2/images/{a14}" + media20 + `[{"add":"/os_distro","value":"c"}]`, 409},
		{"alice PATCH /v2/images/{a14}" + media20 + `[{"replace":"/os_distro","value":"c"}]`, 200},
		{"alice PATCH /v2/images/{a14}" + media21 + `[{"op":"replace","path":"/nothing","value":"b"}]`, 409},
		{"alice PATCH /v2/images/{a14}" + media21 + `[{"op":"remove","path":"/nothing"}]`, 409},
		{"alice PATCH /v2/images/{a14}" + media21 + `[{"op":"remove","path":"/name"}]`, 403},
		{"alice DELETE /v2/images/{a14}", 204},
	},
	"3.3-owner-and-visibility": {
		{"alice POST /v2/images\n\n{\"id\":\"{a15}\"}", 201},
		{"alice PATCH /v2/images/{a15}" + media21 + `[{"op":"replace","path":"/owner","value":"GREEN"}]`, 403},
		{"alice PATCH /v2/images/{a15}" + media21 + `[{"op":"replace","path":"/visibility","value":"public"}]`, 403},
		{"alice PATCH /v2/images/{a15}" + media21 + `[{"op":"replace","path":"/visibility","value":"community"}]`, 200},
		{"admin PATCH /v2/images/{a15}" + media21 + `[{"op":"replace","path":"/visibility","value":"public"}]`, 200},
		{"alice DELETE /v2/images/{a15}", 204},
	},
	"3.3-private-with-members": {
		{"alice POST /v2/images\n\n{\"id\":\"{a16}\"}", 201},
		{"alice POST /v2/images/{a16}/members\n\n{\"member\":\"GREEN\"}", 200},
		{"alice PATCH /v2/images/{a16}" + media21 + `[{"op":"replace","path":"/visibility","value":"private"}]`, 200},
		{"bob GET /v2/images/{a16}", 404},
		{"alice PATCH /v2/images/{a16}" + media21 + `[{"op":"replace","path":"/visibility","value":"shared"}]`, 200},
		{"alice GET /v2/images/{a16}/members", 200},
		{"bob GET /v2/images/{a16}", 200},
		{"alice DELETE /v2/images/{a16}", 204},
	},
	"3.3-locations": {
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"replace","path":"/locations","value":[]}]`, 403},
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"remove","path":"/locations/0"}]`, 403},
	},
	"3.3-all-or-nothing": {
		{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"replace","path":"/name","value":"changed"},{"op":"remove","path":"/nothing"}]`, 409},
		ask("name=changed", 200),
	},

	"3.4-limit":     {ask("limit=2&sort=name:asc", 200), ask("limit=0", 200), ask("limit=100000", 200), ask("limit=-1", 400), ask("limit=two", 400)},
	"3.4-marker":    {ask("marker={a1}&sort=id:asc", 200), ask("marker={a29}", 400), ask("marker=nothing", 400)},
	"3.4-next":      {ask("limit=1&sort=id:asc&tag=red", 200), ask("limit=1&marker={a1}&sort=id%3Aasc&tag=red", 200), ask("limit=5&tag=red", 200)},
	"3.4-sort":      {ask("sort=name:asc,status:desc", 200), ask("sort=size", 200), ask("sort=owner", 400), ask("sort=name:up", 400)},
	"3.4-sort-keys": sortKeysRow(),
	"3.4-sort_key-and-sort_dir": {
		ask("sort_key=name&sort_dir=asc", 200), ask("sort_key=status&sort_key=name&sort_dir=desc&sort_dir=asc", 200),
		ask("sort_key=name&sort_dir=asc&sort_dir=desc", 400), ask("sort=name&sort_key=name", 400), ask("sort_key=owner", 400),
	},
	"3.4-tie-break": {ask("sort=status:asc&name=in:one,two,public", 200)},
	"3.4-name":      {ask("name=one", 200), ask("name=in:one,two", 200), ask("name=in:%22with,%20comma%22&visibility=all", 200), ask("name=like:o", 400), ask("name=in:%22one", 400)},
	"3.4-id-status-formats": {
		ask("id={a1}", 200), ask("id=in:{a1},{a2}&sort=id:asc", 200), ask("status=active", 200), ask("status=in:active,queued&limit=1&sort=id:asc", 200),
		ask("container_format=ovf&visibility=all", 200), ask("disk_format=in:raw,iso&sort=id:asc", 200), ask("disk_format=neq:raw", 400),
	},
	"3.4-created_at-and-updated_at": {
		ask("created_at=gt:2026-11-21T20:30:40Z", 200), ask("created_at=gte:2026-11-21T20:30:40Z&limit=1&sort=id:asc", 200), ask("created_at=lt:2026-11-21T20:30:40Z", 200),
		ask("created_at=eq:2026-11-21T20:30:40Z&name=one", 200), ask("created_at=neq:2026-11-21T20:30:40Z", 200), ask("updated_at=lte:2026-11-21T20:30:40Z&name=one", 200),
		ask("created_at=gt:yesterday", 400), ask("created_at=like:2026", 400),
	},
	"3.4-size_min-and-size_max": {
		ask("size_min=4", 200), ask("size_min=5", 200), ask("size_max=4", 200), ask("size_min=4&size_max=4", 200), ask("min_ram_min=64", 200), ask("size_min=big", 400),
	},
	"3.4-tag":           {ask("tag=red&sort=id:asc", 200), ask("tag=red&tag=round", 200), ask("tag=green", 200)},
	"3.4-visibility":    visibilityRow(),
	"3.4-member_status": {ask("visibility=shared&member_status=pending", 200), ask("visibility=shared&member_status=rejected", 200), ask("visibility=shared&member_status=all&sort=id:asc", 200), ask("member_status=maybe", 400)},
	"3.4-owner-checksum-os_hash_value": {
		ask("owner=GREEN", 200), ask("owner=BLUE&name=two", 200), ask("checksum=d8ae779bcf70d74b8298119a61f670e1", 200), ask("os_hash_value=00", 200),
	},
	"3.4-protected-and-os_hidden": {
		ask("protected=true&visibility=all", 200), ask("protected=yes", 400), ask("os_hidden=true", 200), ask("os_hidden=1", 400), ask("name=hidden", 200),
	},
	"3.4-any-other-key": {ask("os_distro=debian", 200), ask("os_distro=none", 200), ask("no_such_property=x", 200)},
	"3.4-changes-since": {ask("changes-since=2026-11-21T20:30:40Z", 400)},
	"3.4-deleted": {
		{"alice POST /v2/images\n\n{\"id\":\"{a17}\",\"name\":\"gone\"}", 201}, {"alice DELETE /v2/images/{a17}", 204}, ask("name=gone", 200), ask("status=deleted", 200),
	},

	"3.7-add": {
		{"alice POST /v2/images\n\n{\"id\":\"{a18}\"}", 201},
		{"alice POST /v2/images/{a18}/members\n\n{\"member\":\"GREEN\"}", 200},
		{"alice POST /v2/images/{a18}/members\n\n{\"member\":\"GREEN\"}", 409},
		{"alice POST /v2/images/{a18}/members\n\n{\"member\":7}", 400},
		{"alice POST /v2/images/{a18}/members\n\n{}", 400},
		{"bob POST /v2/images/{a18}/members\n\n{\"member\":\"third\"}", 403},
		{"rita POST /v2/images/{a18}/members\n\n{\"member\":\"third\"}", 403},
		{"alice POST /v2/images/{a2}/members\n\n{\"member\":\"GREEN\"}", 403},
		{"alice DELETE /v2/images/{a18}", 204},
	},
	"3.7-list":   {{"bob GET /v2/images/{a6}/members", 200}, {"alice GET /v2/images/{a6}/members", 200}, {"bob GET /v2/images/{a2}/members", 404}, {"alice GET /v2/images/{a2}/members", 403}},
	"3.7-show":   {{"alice GET /v2/images/{a6}/members/BLUE", 200}, {"alice GET /v2/images/{a6}/members/GREEN", 404}, {"bob GET /v2/images/{a6}/members/BLUE", 200}, {"alice GET /v2/images/{a2}/members/BLUE", 404}},
	"3.7-update": {{"bob PUT /v2/images/{a6}/members/BLUE\n\n{\"status\":\"accepted\"}", 403}, {"alice PUT /v2/images/{a6}/members/BLUE\n\n{\"status\":\"maybe\"}", 400}, {"alice PUT /v2/images/{a6}/members/BLUE\n\n{\"status\":\"pending\"}", 200}, {"rita PUT /v2/images/{a6}/members/BLUE\n\n{\"status\":\"accepted\"}", 403}},
	"3.7-remove": {
		{"alice POST /v2/images\n\n{\"id\":\"{a19}\"}", 201},
		{"alice POST /v2/images/{a19}/members\n\n{\"member\":\"GREEN\"}", 200},
		{"bob DELETE /v2/images/{a19}/members/GREEN", 403},
		{"alice DELETE /v2/images/{a19}/members/GREEN", 204},
		{"alice DELETE /v2/images/{a19}/members/GREEN", 404},
		{"bob GET /v2/images/{a19}", 404},
		{"alice DELETE /v2/images/{a19}", 204},
	},
	"3.7-access-by-id": {{"alice GET /v2/images/{a6}", 200}, {"alice GET /v2/images/{a8}", 200}, {"alice POST /v2/images/{a6}/members\n\n{\"member\":\"third\"}", 403}},

	// Old clients read the schemas first, name no version, and change by the
	// draft dialect.
	"old-client-glance-0": {
		{"nobody GET /", 300},
		{"alice GET /v2/schemas/image", 200},
		{"alice POST /v2/images\n\n{\"id\":\"{a20}\",\"name\":\"old\",\"disk_format\":\"raw\",\"container_format\":\"bare\",\"visibility\":\"private\"}", 201},
		{"alice PUT /v2/images/{a20}/file\nContent-Type: application/octet-stream\n\nbytes", 204},
		{"alice PATCH /v2/images/{a20}" + media20 + `[{"replace":"/name","value":"older"},{"add":"/os_distro","value":"minix"}]`, 200},
		{"alice PATCH /v2/images/{a20}" + media20 + `[{"remove":"/os_distro"}]`, 200},
		{"alice GET /v2/images?limit=20&name=older", 200},
		{"alice GET /v2/images/{a20}/file", 200},
		{"alice DELETE /v2/images/{a20}", 204},
	},
	"old-client-unversioned": {
		{"nobody GET /image", 300},
		{"nobody GET /image/", 300},
		{"alice GET /image/v2/schemas/images", 200},
		{"alice GET /image/v2/images?limit=1&sort_key=id&sort_dir=asc", 200},
	},
	"bounds": {
		{"alice POST /v2/images\n\n{\"name\":\"%BIG%\"}", 413},
		{"alice POST /v2/images\n\n" + strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), 400},
		{"alice GET /v2/images?name=" + strings.Repeat("x", 16<<10), 414},
		{"alice GET /v2/images?" + strings.Repeat("tag=x&", 101), 400},
	},
}

func readOnlyRow() (out []step) {
	for _, name := range []string{
		"created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file", "schema", "id", "os_hash_algo",
		"os_hash_value", "location", "deleted", "deleted_at", "os_glance_stage_host",
	} {
		out = append(out, step{"alice PATCH /v2/images/{a2}" + media21 + `[{"op":"replace","path":"/` + name + `","value":"x"}]`, 403})
	}
	return out
}

func sortKeysRow() (out []step) {
	for _, key := range sortKeys {
		out = append(out, ask("sort="+key+":asc&name=in:one,two,public", 200))
	}
	return out
}

func visibilityRow() (out []step) {
	for _, v := range []string{"public", "private", "shared", "community", "all"} {
		out = append(out, ask("visibility="+v+"&sort=id:asc", 200))
	}
	return append(out, ask("sort=id:asc", 200), ask("visibility=secret", 400))
}

// TestRowsAreWhole: the file of each row says what was typed here, too: no row
// lost its last answer.
func TestRowsAreWhole(t *testing.T) {
	for name, steps := range rows {
		b, err := os.ReadFile(filepath.Join("testdata", "rows", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(slices.DeleteFunc(strings.Split(string(b), "\n"), func(l string) bool { return !isStatus(l) })); n != len(steps) {
			t.Errorf("%s: %d answers to %d requests", name, n, len(steps))
		}
	}
}

func isStatus(line string) bool {
	return len(line) > 6 && line[:2] == "< " && line[5] == ' ' && strings.Trim(line[2:5], "0123456789") == ""
}
