package imagev2

import (
	"net/http"
	"strings"
	"testing"
)

const goldenID = "11111111-2222-3333-4444-555555555555"

// TestGolden keeps the exact JSON of what clients read.
func TestGolden(t *testing.T) {
	w := start(t, options{now: fixed})
	w.golden("versions", w.want(http.StatusOK, nil, "GET", "/image/versions", nil).body)
	created := w.want(http.StatusCreated, w.alice, "POST", "/image/v2/images", map[string]any{"id": goldenID})
	w.golden("created", created.body)
	if got, want := created.header.Get("Location"), w.url+"/image/v2/images/"+goldenID; got != want {
		t.Errorf("Location is %q, want %q", got, want)
	}
	if got := created.header.Get("OpenStack-image-import-methods"); got != "glance-direct" {
		t.Errorf("import methods are %q", got)
	}
	w.want(http.StatusOK, w.alice, "PATCH", "/v2/images/"+goldenID, []map[string]any{
		{"op": "replace", "path": "/name", "value": "Débian <12> & friends"},
		{"op": "replace", "path": "/disk_format", "value": "raw"},
		{"op": "replace", "path": "/container_format", "value": "bare"},
		{"op": "replace", "path": "/min_disk", "value": 2},
		{"op": "replace", "path": "/min_ram", "value": 512},
		{"op": "replace", "path": "/protected", "value": true},
		{"op": "replace", "path": "/tags", "value": []string{"base"}},
		{"op": "add", "path": "/os_distro", "value": "debian"},
		{"op": "add", "path": "/Name", "value": "not the name"},
	}, "Content-Type", patch21)
	w.want(http.StatusNoContent, w.alice, "PUT", "/v2/images/"+goldenID+"/file", []byte(strings.Repeat("kuva", 1000)), "Content-Type", "application/octet-stream")
	w.golden("active", w.want(http.StatusOK, w.alice, "GET", "/v2/images/"+goldenID, nil).body)
	w.golden("list", w.want(http.StatusOK, w.alice, "GET", "/v2/images?limit=1&name=in:%22D%C3%A9bian%20%3C12%3E%20%26%20friends%22", nil).body)
	w.golden("list_empty", w.want(http.StatusOK, w.alice, "GET", "/v2/images?name=none", nil).body)
	w.golden("member", w.want(http.StatusOK, w.alice, "POST", "/v2/images/"+goldenID+"/members", map[string]any{"member": w.bob.project}).body)
	w.golden("members", w.want(http.StatusOK, w.alice, "GET", "/v2/images/"+goldenID+"/members", nil).body)
	w.golden("tasks", w.want(http.StatusOK, w.alice, "GET", "/v2/images/"+goldenID+"/tasks", nil).body)
	for _, name := range []string{"image", "images", "member", "members"} {
		w.golden("schema_"+name, w.want(http.StatusOK, w.alice, "GET", "/v2/schemas/"+name, nil).body)
	}
}
