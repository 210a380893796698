package imagev2

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/transfer"
)

// source serves content as other sites do.
func (w *world) source(content []byte) string {
	w.t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("ETag", `"one"`)
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
	}))
	w.t.Cleanup(srv.Close)
	return srv.URL
}

var rawFields = map[string]any{"disk_format": "raw", "container_format": "bare"}

func put(w *world, status int, u *user, path string, content any) answer {
	w.t.Helper()
	return w.want(status, u, "PUT", path, content, "Content-Type", octets)
}

// until waits for an image to be in a state.
func (w *world) until(u *user, id, status string) map[string]any {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		img := w.want(200, u, "GET", "/v2/images/"+id, nil).object(w.t)
		if img["status"] == status {
			return img
		}
		if time.Now().After(end) {
			w.t.Fatalf("the image stays %v: %v", img["status"], img)
		}
	}
}

func method(name string, more ...string) map[string]any {
	m := map[string]any{"name": name}
	for i := 0; i+1 < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return map[string]any{"method": m}
}

func (w *world) content(u *user, id string) []byte {
	w.t.Helper()
	return w.want(200, u, "GET", "/v2/images/"+id+"/file", nil).body
}

// TestStage is the row PUT …/stage of 3.5.
func TestStage(t *testing.T) {
	w := start(t, options{quota: kuva.Quota{Images: 100, Bytes: 100 << 10, ImageSize: 80 << 10, VirtualSize: -1, Members: 8, Tags: 8, Properties: 8, Uploads: 2}})
	content := noise(60<<10, 1)
	id := w.create(w.alice, nil) // formats may come later
	path := "/v2/images/" + id
	put(w, 404, w.bob, path+"/stage", content)
	put(w, 403, w.rita, path+"/stage", content)
	w.want(415, w.alice, "PUT", path+"/stage", content, "Content-Type", "text/plain")
	w.want(400, w.alice, "PUT", path+"/stage", content, "Content-Type", "application/octet-stream", "X-Image-Meta-Store", "other")
	put(w, 413, w.alice, path+"/stage", noise(90<<10, 2))
	w.until(w.alice, id, "queued")
	put(w, 204, w.alice, path+"/stage", content)
	img := w.until(w.alice, id, "uploading")
	if img["size"] != nil || img["checksum"] != nil {
		t.Errorf("what is staged shows as %v", img)
	}
	put(w, 409, w.alice, path+"/stage", content)
	put(w, 409, w.alice, path+"/file", content)
	w.want(204, w.alice, "GET", path+"/file", nil)

	// It counts against the quota, with its size, until it goes.
	usage := func() map[string]any {
		t.Helper()
		return w.want(200, w.alice, "GET", "/v2/info/usage", nil).object(t)["usage"].(map[string]any)
	}
	staged := func() float64 { return usage()["image_stage_total"].(map[string]any)["usage"].(float64) }
	if staged() != 1 || usage()["image_count_uploading"].(map[string]any)["usage"] != 1.0 {
		t.Errorf("usage is %v", usage())
	}
	other := w.create(w.alice, rawFields)
	put(w, 413, w.alice, "/v2/images/"+other+"/file", content)
	w.want(409, w.alice, "POST", path+"/import", method("glance-direct")) // no formats
	if a := w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/disk_format", "value": "raw"}); a.status != 403 {
		t.Errorf("formats after the image left queued: %d", a.status)
	}

	// DELETE frees it at once.
	w.want(204, w.alice, "DELETE", path, nil)
	if staged() != 0 {
		t.Errorf("after DELETE usage is %v", usage())
	}
	put(w, 204, w.alice, "/v2/images/"+other+"/file", content)
	w.sound()
}

// sound sees that the counters are what they count.
func (w *world) sound() {
	w.t.Helper()
	drift, err := w.images.CheckQuotas(w.t.Context())
	if err != nil || len(drift) > 0 {
		w.t.Errorf("quotas drifted: %+v, %v", drift, err)
	}
}

// TestImportDirect: glance-direct of 3.6, from stage to active.
func TestImportDirect(t *testing.T) {
	w := start(t, options{})
	content := noise(3<<20+17, 3)
	id := w.create(w.alice, rawFields)
	path := "/v2/images/" + id
	w.want(409, w.alice, "POST", path+"/import", method("glance-direct")) // nothing is staged
	put(w, 204, w.alice, path+"/stage", content)
	w.want(404, w.bob, "POST", path+"/import", method("glance-direct"))
	w.want(403, w.rita, "POST", path+"/import", method("glance-direct"))
	w.want(202, w.alice, "POST", path+"/import", method("glance-direct"))
	if a := w.do(w.alice, "POST", path+"/import", method("glance-direct")); a.status != 409 {
		t.Errorf("a second operation while one runs, or after it: %d", a.status)
	}
	img := w.until(w.alice, id, "active")
	sum := sha512.Sum512(content)
	if img["size"] != float64(len(content)) || img["os_hash_value"] != hex.EncodeToString(sum[:]) || img["os_glance_importing_to_stores"] != nil {
		t.Errorf("imported %v", img)
	}
	if !bytes.Equal(w.content(w.alice, id), content) {
		t.Error("other bytes come back")
	}
	tasks := w.want(200, w.alice, "GET", path+"/tasks", nil).object(t)["tasks"].([]any)
	if len(tasks) != 1 {
		t.Fatalf("tasks are %v", tasks)
	}
	task := tasks[0].(map[string]any)
	if task["type"] != "api_image_import" || task["image_id"] != id || !strings.HasPrefix(task["request_id"].(string), "req-") || task["user_id"] == "" {
		t.Errorf("the task is %v", task)
	}
	w.sound()
}

// TestImportWeb: web-download of 3.6.
func TestImportWeb(t *testing.T) {
	w := start(t, options{web: true})
	content := noise(2<<20+1, 4)
	at := w.source(content)
	id := w.create(w.alice, rawFields)
	path := "/v2/images/" + id
	for body, status := range map[string]int{
		`{}`: 400, `[]`: 400, `{"method":{}}`: 400, `{"method":"web-download"}`: 400, `{"method":{"name":"web-download"}}`: 400,
		`{"method":{"name":"nothing"}}`: 400, `{"method":{"name":"copy-image"}}`: 400, `{"method":{"name":"glance-download"}}`: 400,
		`{"method":{"name":"web-download","uri":7}}`: 400, `{"method":{"name":"web-download","uri":"` + at + `"},"stores":["x"]}`: 409,
		`{"method":{"name":"web-download","uri":"` + at + `"},"stores":["default"],"all_stores":true}`: 400,
		`{"method":{"name":"web-download","uri":"` + at + `"},"all_stores":"yes"}`:                     400,
		`{"method":{"name":"web-download","uri":"` + at + `"},"all_stores_must_succeed":1}`:            400,
		`{"method":{"name":"glance-direct"}}`:                                                          409, `{"method":{"name":"web-download","uri":"file:///etc/passwd"}}`: 400,
		`{"method":{"name":"web-download","uri":"http://10.0.0.1/"}}`: 400, `{"method":{"name":"web-download","uri":"http://u:p@a.test/"}}`: 400,
	} {
		if a := w.do(w.alice, "POST", path+"/import", body); a.status != status {
			t.Errorf("%s: got %d %q, want %d", body, a.status, a.body, status)
		}
	}
	w.want(400, w.alice, "POST", path+"/import", method("web-download", "uri", at), "X-Image-Meta-Store", "x")
	w.want(202, w.alice, "POST", path+"/import", method("web-download", "uri", at))
	img := w.until(w.alice, id, "active")
	if img["size"] != float64(len(content)) || !bytes.Equal(w.content(w.alice, id), content) {
		t.Errorf("imported %v", img)
	}
	w.want(409, w.alice, "POST", path+"/import", method("web-download", "uri", at))

	// What goes wrong is said on the image, which is queued and can be filled.
	id = w.create(w.alice, rawFields)
	path = "/v2/images/" + id
	w.want(202, w.alice, "POST", path+"/import", method("web-download", "uri", "http://127.0.0.1:1/x?secret=1"))
	img = w.until(w.alice, id, "queued")
	if !strings.Contains(fmt.Sprint(img["kuva_last_failure"]), "could not be fetched") || img["os_glance_failed_import"] != "default" {
		t.Errorf("failed import shows %v", img)
	}
	if b := w.want(200, w.alice, "GET", path+"/tasks", nil).body; bytes.Contains(b, []byte("secret")) || !bytes.Contains(b, []byte("failure")) {
		t.Errorf("its task is %s", b)
	}
	w.want(202, w.alice, "POST", path+"/import", method("web-download", "uri", at))
	if img = w.until(w.alice, id, "active"); img["os_glance_failed_import"] != nil || img["kuva_last_failure"] != nil {
		t.Errorf("mended import shows %v", img)
	}
	w.sound()
}

// TestImportQuota: what is fetched is counted as it comes, and cut at the
// limit (S-191).
func TestImportQuota(t *testing.T) {
	w := start(t, options{web: true, quota: kuva.Quota{Images: 9, Bytes: 1 << 20, ImageSize: 1 << 19, VirtualSize: -1, Members: 8, Tags: 8, Properties: 8, Uploads: 3}})
	id := w.create(w.alice, rawFields)
	w.want(202, w.alice, "POST", "/v2/images/"+id+"/import", method("web-download", "uri", w.source(noise(1<<20, 5))))
	if img := w.until(w.alice, id, "queued"); !strings.Contains(fmt.Sprint(img["kuva_last_failure"]), "larger than") {
		t.Errorf("%v", img)
	}
	w.sound()
}

// TestImportChecks: what is brought is compared with its disk_format like what
// is sent, and is no image's where it is something else.
func TestImportChecks(t *testing.T) {
	w := start(t, options{web: true})
	content := noise(1<<20, 10)
	fields := map[string]any{"disk_format": "qcow2", "container_format": "bare"}
	id := w.create(w.alice, fields)
	w.want(202, w.alice, "POST", "/v2/images/"+id+"/import", method("web-download", "uri", w.source(content)))
	staged := w.create(w.alice, fields)
	put(w, 204, w.alice, "/v2/images/"+staged+"/stage", content)
	w.want(202, w.alice, "POST", "/v2/images/"+staged+"/import", method("glance-direct"))
	for _, id := range []string{id, staged} {
		if img := w.until(w.alice, id, "queued"); !strings.Contains(fmt.Sprint(img["kuva_last_failure"]), "qcow2") || img["size"] != nil {
			t.Errorf("%v", img)
		}
	}
	put(w, 204, w.alice, "/v2/images/"+staged+"/stage", content) // it can be filled again
	w.sound()
}

// TestImportDelete: DELETE while importing answers 204 at once, ends the job
// and gives all space back.
func TestImportDelete(t *testing.T) {
	w := start(t, options{web: true})
	var left atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Length", "1000000")
		_, _ = rw.Write(make([]byte, 1000))
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
		left.Store(true)
	}))
	defer srv.Close()
	id := w.create(w.alice, rawFields)
	path := "/v2/images/" + id
	w.want(202, w.alice, "POST", path+"/import", method("web-download", "uri", srv.URL))
	img := w.until(w.alice, id, "importing")
	if img["os_glance_importing_to_stores"] != "default" || img["os_glance_failed_import"] != "" {
		t.Errorf("importing shows %v", img)
	}
	put(w, 409, w.alice, path+"/file", []byte("x"))
	put(w, 409, w.alice, path+"/stage", []byte("x"))
	w.want(409, w.alice, "POST", path+"/import", method("web-download", "uri", srv.URL))
	w.want(204, w.alice, "DELETE", path, nil)
	w.want(404, w.alice, "GET", path, nil)
	w.sound()
	for end := time.Now().Add(10 * time.Second); !left.Load(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the transfer goes on")
		}
	}
	usage := w.want(200, w.alice, "GET", "/v2/info/usage", nil).object(t)["usage"].(map[string]any)
	for name, u := range usage {
		if u.(map[string]any)["usage"] != 0.0 {
			t.Errorf("%s is %v", name, u)
		}
	}
}

// TestImportUnpack is the decompression plugin, and that PUT has none.
func TestImportUnpack(t *testing.T) {
	w := start(t, options{web: true, imports: images.ImportConfig{Unpack: true}})
	content := noise(300<<10, 6)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(content)
	_ = z.Close()
	id := w.create(w.alice, map[string]any{"disk_format": "raw", "container_format": "compressed"})
	w.want(202, w.alice, "POST", "/v2/images/"+id+"/import", method("web-download", "uri", w.source(packed.Bytes())))
	if img := w.until(w.alice, id, "active"); img["size"] != float64(len(content)) || img["container_format"] != "bare" || !bytes.Equal(w.content(w.alice, id), content) {
		t.Errorf("unpacked %v", img)
	}
	id = w.filled(w.alice, packed.Bytes(), map[string]any{"container_format": "compressed"})
	if !bytes.Equal(w.content(w.alice, id), packed.Bytes()) {
		t.Error("PUT unpacks")
	}
	id = w.create(w.alice, rawFields)
	w.want(202, w.alice, "POST", "/v2/images/"+id+"/import", method("web-download", "uri", w.source(packed.Bytes()[:packed.Len()/2])))
	if img := w.until(w.alice, id, "queued"); img["kuva_last_failure"] == nil {
		t.Errorf("half a stream: %v", img)
	}
}

// TestImportRemote: glance-download reads another region's image with the
// caller's token, and takes its formats and hardware properties over.
func TestImportRemote(t *testing.T) {
	far := start(t, options{})
	content := noise(1<<20+5, 7)
	there := far.filled(far.alice, content, map[string]any{"hw_disk_bus": "virtio", "os_distro": "debian", "private_note": "x", "name": "far"})
	region, err := transfer.Region(far.url+Prefix, local(nil))
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, options{imports: images.ImportConfig{Regions: map[string]images.Region{"RegionTwo": region}}})
	if got := w.want(200, w.alice, "GET", "/v2/info/import", nil).object(t)["import-methods"].(map[string]any)["value"]; fmt.Sprint(got) != "[glance-direct glance-download]" {
		t.Errorf("methods are %v", got)
	}
	// One identity for both, as regions have: the near service asks the far one
	// with the token that it was given, which here is the far one's own.
	admin, err := w.identity.Check(t.Context(), w.alice.token)
	if err != nil {
		t.Fatal(err)
	}
	id := w.create(w.alice, nil)
	path := "/v2/images/" + id
	w.want(400, w.alice, "POST", path+"/import", method("glance-download", "glance_image_id", there))
	w.want(400, w.alice, "POST", path+"/import", method("glance-download", "glance_image_id", there, "glance_region", "Nowhere"))
	w.want(400, w.alice, "POST", path+"/import", method("glance-download", "glance_image_id", "../x", "glance_region", "RegionTwo"))
	in := images.Import{Method: images.MethodRemote, Region: "RegionTwo", Remote: there, Token: far.alice.token}
	if _, err := w.images.Import(t.Context(), admin, id, in); err != nil {
		t.Fatal(err)
	}
	img := w.until(w.alice, id, "active")
	if img["disk_format"] != "raw" || img["hw_disk_bus"] != "virtio" || img["os_distro"] != "debian" || img["private_note"] != nil || !bytes.Equal(w.content(w.alice, id), content) {
		t.Errorf("imported %v", img)
	}
	// A token that the other region does not know fetches nothing.
	id = w.create(w.alice, nil)
	w.want(202, w.alice, "POST", "/v2/images/"+id+"/import", method("glance-download", "glance_image_id", there, "glance_region", "RegionTwo"))
	if img := w.until(w.alice, id, "queued"); !strings.Contains(fmt.Sprint(img["kuva_last_failure"]), "could not be fetched") {
		t.Errorf("%v", img)
	}
}

// TestLocations is the rows of locations in 3.2 and 3.3, where the site has
// them on.
func TestLocations(t *testing.T) {
	off := start(t, options{web: true})
	id := off.create(off.alice, rawFields)
	off.want(403, off.alice, "POST", "/v2/images/"+id+"/locations", map[string]any{"url": "http://example.org/"})
	if a := off.patch(off.alice, id, map[string]any{"op": "add", "path": "/locations/-", "value": map[string]any{"url": "http://example.org/", "metadata": map[string]any{}}}); a.status != 403 {
		t.Errorf("PATCH where it is off: %d", a.status)
	}

	w := start(t, options{web: true, imports: images.ImportConfig{Locations: true}})
	content := noise(1<<20, 8)
	at := w.source(content)
	sum := sha512.Sum512(content)
	data := map[string]any{"os_hash_algo": "sha512", "os_hash_value": hex.EncodeToString(sum[:])}
	id = w.create(w.alice, rawFields)
	path := "/v2/images/" + id
	for status, body := range map[int]map[string]any{
		400: {"url": 7}, 404: nil,
	} {
		if status == 404 {
			w.want(404, w.bob, "POST", path+"/locations", map[string]any{"url": at})
			continue
		}
		w.want(status, w.alice, "POST", path+"/locations", body)
	}
	w.want(400, w.alice, "POST", path+"/locations", map[string]any{"url": "file:///etc/passwd"})
	w.want(400, w.alice, "POST", path+"/locations", map[string]any{"url": at, "validation_data": map[string]any{"os_hash_algo": "sha512"}})
	w.want(400, w.alice, "POST", path+"/locations", map[string]any{"url": at, "validation_data": map[string]any{"os_hash_algo": "sha512", "os_hash_value": "00"}})
	w.want(403, w.rita, "POST", path+"/locations", map[string]any{"url": at})
	w.want(202, w.alice, "POST", path+"/locations", map[string]any{"url": at, "validation_data": data})
	img := w.until(w.alice, id, "active")
	if fmt.Sprint(img["locations"]) != fmt.Sprintf("[map[metadata:map[] url:%s]]", at) || !bytes.Equal(w.content(w.alice, id), content) {
		t.Errorf("filled %v", img)
	}
	w.want(409, w.alice, "POST", path+"/locations", map[string]any{"url": at})
	w.want(403, w.alice, "GET", path+"/locations", nil)
	// Others see no location, the owner cannot take it away.
	w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/visibility", "value": "community"})
	if other := w.want(200, w.bob, "GET", path, nil).object(t); other["locations"] != nil {
		t.Errorf("bob sees %v", other["locations"])
	}
	location := map[string]any{"url": at, "metadata": map[string]any{}}
	for want, change := range map[int][]map[string]any{
		403: {{"op": "remove", "path": "/locations/0"}},
		409: {{"op": "add", "path": "/locations/-", "value": location}},
		400: {{"op": "add", "path": "/locations/-", "value": location}, {"op": "replace", "path": "/name", "value": "x"}},
	} {
		if a := w.patch(w.alice, id, change...); a.status != want {
			t.Errorf("%v: %d %s, want %d", change, a.status, a.body, want)
		}
	}
	if a := w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/locations", "value": []any{}}); a.status != 403 {
		t.Errorf("an empty list: %d", a.status)
	}

	// By PATCH, with content that is not what was announced.
	id = w.create(w.alice, rawFields)
	wrong := map[string]any{"url": at, "metadata": map[string]any{}, "validation_data": map[string]any{"os_hash_algo": "sha512", "os_hash_value": strings.Repeat("0", 128)}}
	if a := w.patch(w.alice, id, map[string]any{"op": "add", "path": "/locations/-", "value": wrong}); a.status != 200 {
		t.Fatalf("PATCH: %d %s", a.status, a.body)
	}
	if img := w.until(w.alice, id, "queued"); !strings.Contains(fmt.Sprint(img["kuva_last_failure"]), "sha512") || img["locations"] != nil {
		t.Errorf("%v", img)
	}
	if a := w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/locations", "value": []any{location}}); a.status != 200 {
		t.Fatalf("PATCH: %d %s", a.status, a.body)
	}
	w.until(w.alice, id, "active")
}

// TestInfo is the discovery rows of 3.6, and what one store leaves out.
func TestInfo(t *testing.T) {
	w := start(t, options{web: true})
	if got := w.want(200, w.rita, "GET", "/v2/info/import", nil).body; string(got) != `{"import-methods":{"description":"Import methods available.","type":"array","value":["glance-direct","web-download"]}}`+"\n" &&
		strings.TrimSpace(string(got)) != `{"import-methods":{"description":"Import methods available.","type":"array","value":["glance-direct","web-download"]}}` {
		t.Errorf("info/import is %s", got)
	}
	for _, u := range []*user{w.admin, w.alice, w.rita} {
		w.want(404, u, "GET", "/v2/info/stores", nil)
		w.want(404, u, "GET", "/v2/info/stores/detail", nil)
	}
	for _, call := range []string{"GET /v2/cache", "PUT /v2/cache/x", "DELETE /v2/cache", "DELETE /v2/cache/x", "GET /v2/cache/nodes/x", "POST /v2/cache/clean", "POST /v2/cache/prune", "DELETE /v2/stores/default/x"} {
		m, path, _ := strings.Cut(call, " ")
		w.want(404, w.admin, m, path, nil)
	}
	if got := w.want(201, w.alice, "POST", "/v2/images", map[string]any{}).header.Get("OpenStack-image-import-methods"); got != "glance-direct,web-download" {
		t.Errorf("the header says %q", got)
	}
}

// TestSigned: content that says it is signed is refused, as the reference does
// without a key manager.
func TestSigned(t *testing.T) {
	w := start(t, options{})
	id := w.create(w.alice, map[string]any{
		"disk_format": "raw", "container_format": "bare", "img_signature": "x", "img_signature_hash_method": "SHA-256",
		"img_signature_key_type": "RSA-PSS", "img_signature_certificate_uuid": "y",
	})
	put(w, 400, w.alice, "/v2/images/"+id+"/file", []byte("x"))
	put(w, 400, w.alice, "/v2/images/"+id+"/stage", []byte("x"))
}

// TestTasks is the row of tasks in 3.8.
func TestTasks(t *testing.T) {
	w := start(t, options{web: true})
	at := w.source(noise(100_000, 9))
	w.want(403, w.alice, "GET", "/v2/tasks", nil)
	w.want(403, w.alice, "POST", "/v2/tasks", map[string]any{"type": "import"})
	for _, body := range []string{`{}`, `{"type":"export"}`, `{"type":"import"}`, `{"type":"import","input":{}}`, `{"type":"import","input":{"import_from":"http://10.0.0.1/"}}`, `{"type":"import","input":{"import_from":"` + at + `","image_properties":7}}`} {
		w.want(400, w.admin, "POST", "/v2/tasks", body)
	}
	made := w.want(201, w.admin, "POST", "/v2/tasks", map[string]any{"type": "import", "input": map[string]any{
		"import_from": at, "import_from_format": "raw", "image_properties": map[string]any{"name": "by task"},
	}})
	task := made.object(t)
	id, _ := task["id"].(string)
	if made.header.Get("Location") != w.url+"/image/v2/tasks/"+id || task["type"] != "import" || task["self"] != "/v2/tasks/"+id {
		t.Errorf("made %v, %v", made.header, task)
	}
	for end := time.Now().Add(20 * time.Second); task["status"] != "success"; time.Sleep(10 * time.Millisecond) {
		task = w.want(200, w.admin, "GET", "/v2/tasks/"+id, nil).object(t)
		if time.Now().After(end) {
			t.Fatalf("the task stays %v", task)
		}
	}
	image := task["result"].(map[string]any)["image_id"].(string)
	if img := w.until(w.admin, image, "active"); img["name"] != "by task" || task["expires_at"] == nil {
		t.Errorf("image %v of task %v", img, task)
	}
	w.want(404, w.admin, "GET", "/v2/tasks/99999999-9999-9999-9999-999999999999", nil)
	if a := w.want(405, w.admin, "DELETE", "/v2/tasks/"+id, nil); !strings.Contains(a.header.Get("Allow"), "GET") {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}

	for range 4 {
		i := w.create(w.alice, rawFields)
		w.want(202, w.alice, "POST", "/v2/images/"+i+"/import", method("web-download", "uri", at))
		w.until(w.alice, i, "active")
	}
	page := func(query string) (ids []string, next string) {
		t.Helper()
		var out struct {
			Tasks []struct{ ID, Type, Status string }
			Next  string
		}
		if err := json.Unmarshal(w.want(200, w.admin, "GET", query, nil).body, &out); err != nil {
			t.Fatal(err)
		}
		for _, x := range out.Tasks {
			ids = append(ids, x.ID)
		}
		return ids, out.Next
	}
	all, _ := page("/v2/tasks")
	if len(all) != 5 {
		t.Fatalf("tasks are %v", all)
	}
	var walked []string
	for next := "/v2/tasks?limit=2&sort_key=id&sort_dir=asc"; next != ""; {
		var ids []string
		ids, next = page(next)
		walked = append(walked, ids...)
	}
	slices.Sort(all)
	if !slices.Equal(walked, all) {
		t.Errorf("page by page %v, at once %v", walked, all)
	}
	if only, _ := page("/v2/tasks?type=import&status=success"); !slices.Equal(only, []string{id}) {
		t.Errorf("by type: %v", only)
	}
	for _, query := range []string{"limit=x", "sort_key=message", "sort_dir=up", "type=x", "status=x", "marker=x"} {
		w.want(400, w.admin, "GET", "/v2/tasks?"+query, nil)
	}
	w.golden("task-schema", w.want(200, w.alice, "GET", "/v2/schemas/task", nil).body)
	w.want(200, w.alice, "GET", "/v2/schemas/tasks", nil)
}

// FuzzImport: no body makes the reader panic, and what it lets through is
// complete.
func FuzzImport(f *testing.F) {
	for _, s := range []string{
		`{"method":{"name":"web-download","uri":"http://a.test/"}}`, `{"method":{"name":"glance-download","glance_image_id":"x","glance_region":"y"},"stores":[]}`,
		`{"method":{"name":"glance-direct"},"all_stores":true,"all_stores_must_succeed":false}`, `{"method":null}`, `{"url":"x","validation_data":{}}`,
	} {
		f.Add([]byte(s), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		var object map[string]any
		if json.Unmarshal(body, &object) != nil {
			return
		}
		if in, err := readImport(object, header); err == nil && (in.Method == "" || in.Method == images.MethodWeb && in.URI == "") {
			t.Errorf("%s is %+v", body, in)
		}
		if at, err := readLocation(object); err == nil && (at.URL == "" || (at.HashAlgo == "") != (at.HashValue == "")) {
			t.Errorf("%s is %+v", body, at)
		}
		_, _, _ = locationPatch(body, false)
		_, _, _ = locationPatch(body, true)
	})
}
