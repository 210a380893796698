package imagev2

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// ids lists the ids of a list's answer.
func (a answer) ids(t *testing.T) (out []string) {
	t.Helper()
	list, _ := a.object(t)["images"].([]any)
	for _, one := range list {
		img, _ := one.(map[string]any)
		id, _ := img["id"].(string)
		out = append(out, id)
	}
	return out
}

// TestS181KnowingADigestGivesNothing: who knows every digest of a foreign image
// finds, makes and reads nothing by it.
func TestS181KnowingADigestGivesNothing(t *testing.T) {
	w := start(t, options{})
	id := w.filled(w.alice, []byte("the content of alice"), map[string]any{"visibility": "private"})
	img := w.want(200, w.alice, "GET", "/v2/images/"+id, nil).object(t)
	md5, _ := img["checksum"].(string)
	sum, _ := img["os_hash_value"].(string)
	for _, query := range []string{"checksum=" + md5, "os_hash_value=" + sum, "id=" + id, "checksum=" + md5 + "&visibility=all&member_status=all"} {
		if got := w.want(200, w.bob, "GET", "/v2/images?"+query, nil).ids(t); len(got) != 0 {
			t.Errorf("%s finds %v", query, got)
		}
		if got := w.want(200, w.alice, "GET", "/v2/images?"+query, nil).ids(t); len(got) != 1 {
			t.Errorf("%s finds %v for the owner", query, got)
		}
	}
	for _, field := range []string{"checksum", "os_hash_value", "os_hash_algo"} {
		w.want(403, w.bob, "POST", "/v2/images", map[string]any{field: sum, "disk_format": "raw", "container_format": "bare"})
	}
	for _, path := range []string{"/v2/images/" + md5, "/v2/images/" + sum, "/v2/images/" + md5 + "/file", "/v2/images/" + sum[:36] + "/file", "/v2/images/" + id + "/file"} {
		w.want(404, w.bob, "GET", path, nil)
	}
}

// TestS184ContentDoesNotChange: what is active stays what it is, for whoever
// asks.
func TestS184ContentDoesNotChange(t *testing.T) {
	w := start(t, options{})
	id := w.filled(w.alice, []byte("content"), nil)
	before := w.want(200, w.alice, "GET", "/v2/images/"+id, nil).body
	for _, u := range []*user{w.alice, w.admin} {
		for _, field := range []string{"status", "size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "locations"} {
			for _, op := range []string{"add", "replace", "remove"} {
				if a := w.patch(u, id, map[string]any{"op": op, "path": "/" + field, "value": "queued"}); a.status != 403 && a.status != 400 {
					t.Errorf("%s of %s: %d", op, field, a.status)
				}
			}
		}
		w.want(409, u, "PUT", "/v2/images/"+id+"/file", []byte("other!!"), "Content-Type", "application/octet-stream")
		w.want(409, u, "PUT", "/v2/images/"+id+"/stage", []byte("other!!"), "Content-Type", "application/octet-stream")
	}
	if after := w.want(200, w.alice, "GET", "/v2/images/"+id, nil).body; string(after) != string(before) {
		t.Errorf("the image was\n%s and is\n%s", before, after)
	}
	if got := w.want(200, w.alice, "GET", "/v2/images/"+id+"/file", nil).body; string(got) != "content" {
		t.Errorf("the content is %q", got)
	}
}

// TestS186SharingNeedsConsent: what others offer stays out of default lists, and
// only administrators offer to all.
func TestS186SharingNeedsConsent(t *testing.T) {
	w := start(t, options{})
	offered := w.create(w.alice, nil)
	community := w.create(w.alice, map[string]any{"visibility": "community"})
	w.want(200, w.alice, "POST", "/v2/images/"+offered+"/members", map[string]any{"member": w.bob.project})
	for query, want := range map[string]string{
		"": "", "visibility=shared": "", "member_status=rejected&visibility=shared": "", "member_status=pending&visibility=shared": offered, "visibility=community": community,
	} {
		if got := strings.Join(w.want(200, w.bob, "GET", "/v2/images?"+query, nil).ids(t), " "); got != want {
			t.Errorf("%q lists %q, want %q", query, got, want)
		}
	}
	w.want(403, w.alice, "POST", "/v2/images", map[string]any{"visibility": "public"})
	if a := w.patch(w.alice, community, map[string]any{"op": "replace", "path": "/visibility", "value": "public"}); a.status != 403 {
		t.Errorf("a member made an image public: %d", a.status)
	}
	w.want(403, w.bob, "POST", "/v2/images/"+offered+"/members", map[string]any{"member": "third"})
}

// TestS187Properties: names that steer something elsewhere are refused or stay
// plain text, and no header is made of them.
func TestS187Properties(t *testing.T) {
	w := start(t, options{})
	for _, name := range []string{"a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\x7fb", "", strings.Repeat("n", 256)} {
		w.want(400, w.alice, "POST", "/v2/images", map[string]any{name: "x"})
	}
	for _, name := range []string{"os_glance_import_task", "os_glance_", "location", "deleted"} {
		w.want(403, w.alice, "POST", "/v2/images", map[string]any{name: "x"})
	}
	w.want(400, w.alice, "POST", "/v2/images", map[string]any{"v": "a\x00b"})
	values := map[string]any{
		"x-amz-meta-a": "public-read", "X-Auth-Token": "t", "lines": "a\r\nX-Evil: 1\r\n\r\n<html>", "𝕜𝕦𝕧𝕒": "😀", "__proto__": "x", "$where": "1", "a.b[c]": "%00",
	}
	a := w.want(201, w.alice, "POST", "/v2/images", values)
	if a.header.Get("X-Evil") != "" || a.header.Get("X-Amz-Meta-A") != "" {
		t.Errorf("a property became a header: %v", a.header)
	}
	id, _ := a.object(t)["id"].(string)
	shown := w.want(200, w.alice, "GET", "/v2/images/"+id, nil).object(t)
	for name, value := range values {
		if shown[name] != value {
			t.Errorf("%q is %q, was %q", name, shown[name], value)
		}
		if got := w.want(200, w.alice, "GET", "/v2/images?"+url.Values{name: {fmt.Sprint(value)}}.Encode(), nil).ids(t); len(got) != 1 {
			t.Errorf("%q finds %v", name, got)
		}
	}
	many := map[string]any{}
	for i := range 10_000 {
		many[fmt.Sprint("p", i)] = "x"
	}
	w.want(413, w.alice, "POST", "/v2/images", many)
	w.want(413, w.alice, "POST", "/v2/images", map[string]any{"v": strings.Repeat("v", 1<<20)})
	w.want(413, w.alice, "POST", "/v2/images", map[string]any{"v": strings.Repeat("v", 300<<10)})
}

// TestS196NoSQL: text of callers is never read as SQL.
func TestS196NoSQL(t *testing.T) {
	w := start(t, options{})
	id := w.create(w.alice, map[string]any{"name": "there"})
	for _, evil := range []string{"' OR '1'='1", `'; DROP TABLE image; --`, "1) UNION SELECT * FROM account --", "$1", "%", "_", `\`, `"`, "$$", "/*", "?"} {
		v := url.QueryEscape(evil)
		for _, name := range []string{"name", "id", "status", "disk_format", "tag", "owner", "checksum", "os_hash_value", "free_property", v} {
			if got := w.want(200, w.alice, "GET", "/v2/images?"+name+"="+v, nil).ids(t); len(got) != 0 {
				t.Errorf("%s=%s finds %v", name, evil, got)
			}
		}
		for _, name := range []string{"sort", "sort_key", "sort_dir", "marker", "limit", "size_min", "created_at", "visibility", "member_status", "protected"} {
			w.want(400, w.alice, "GET", "/v2/images?"+name+"="+v, nil)
		}
		w.want(404, w.alice, "GET", "/v2/images/"+url.PathEscape(evil)+"x", nil)
	}
	w.want(200, w.alice, "GET", "/v2/images/"+id, nil)
}

// TestS197Bounds: what a list costs does not follow what is asked for.
func TestS197Bounds(t *testing.T) {
	w := start(t, options{})
	w.create(w.alice, nil)
	for _, limit := range []string{"1000", "1001", "99999999999999999999999", "000000000000000000000000001"} {
		w.want(200, w.alice, "GET", "/v2/images?limit="+limit, nil)
	}
	w.want(414, w.alice, "GET", "/v2/images?name="+strings.Repeat("a", 16<<10), nil)
	w.want(400, w.alice, "GET", "/v2/images?"+strings.Repeat("a=1&", 100), nil)
	w.want(400, w.alice, "GET", "/v2/images?name=in:"+strings.Repeat("a,", 1001), nil)
	w.want(404, w.alice, "GET", "/v2/images/"+strings.Repeat("a/", 4000), nil)
}

// TestS198NoPatterns: no filter is a pattern.
func TestS198NoPatterns(t *testing.T) {
	w := start(t, options{})
	w.create(w.alice, map[string]any{"name": strings.Repeat("a", 200)})
	for _, pattern := range []string{"(a+)+$", "a*", "%", "a%", "^a", "[a-z]*", "(?i)A"} {
		if got := w.want(200, w.alice, "GET", "/v2/images?name="+url.QueryEscape(pattern), nil).ids(t); len(got) != 0 {
			t.Errorf("%q is a pattern", pattern)
		}
	}
}

// TestS253Ranges: no request gets more bytes than the content has.
func TestS253Ranges(t *testing.T) {
	w := start(t, options{})
	id := w.filled(w.alice, []byte("0123456789"), nil)
	for value, want := range map[string]int{
		"bytes=" + strings.TrimSuffix(strings.Repeat("0-9,", 1000), ","): http.StatusBadRequest,
		"bytes=0-5,3-9":               http.StatusBadRequest,
		"bytes=-100":                  http.StatusPartialContent,
		"bytes=0-999999":              http.StatusPartialContent,
		"bytes=9-0":                   http.StatusRequestedRangeNotSatisfiable,
		"bytes=10-":                   http.StatusRequestedRangeNotSatisfiable,
		"bytes=-0":                    http.StatusRequestedRangeNotSatisfiable,
		"bytes=99999999999999999999-": http.StatusRequestedRangeNotSatisfiable,
	} {
		a := w.do(w.alice, "GET", "/v2/images/"+id+"/file", nil, "Range", value)
		if a.status != want || a.status == http.StatusPartialContent && len(a.body) > 10 {
			t.Errorf("%.40s: %d with %d bytes, want %d", value, a.status, len(a.body), want)
		}
	}
}
