package servertest_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/osclient"
)

// TestImportClients types every way of importing that Debian's clients have
// against the program itself. Its openstack knows no other import than the one
// of image create.
func TestImportClients(t *testing.T) {
	content := servertest.Random(11, 3<<20+5)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer site.Close()
	// The other region is this one, by another address.
	var here *url.URL
	region := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httputil.NewSingleHostReverseProxy(here).ServeHTTP(w, r)
	}))
	defer region.Close()
	port := site.URL[len("http://127.0.0.1:"):]
	p := servertest.Start(t, servertest.Config{
		Data: filepath.Join(t.TempDir(), "data"),
		YAML: "import:\n  allow_hosts: [\"127.0.0.1:" + port + "\"]\n  allow_networks: [127.0.0.0/8]\n  regions:\n    RegionTwo: " + region.URL + "/image\n",
	})
	var err error
	if here, err = url.Parse(p.URL); err != nil {
		t.Fatal(err)
	}
	c := p.Login(t, servertest.Admin)
	env := []string{
		"OS_AUTH_URL=" + p.URL + "/identity/v3", "OS_REGION_NAME=RegionOne", "OS_USERNAME=admin", "OS_PASSWORD=" + servertest.AdminPassword,
		"OS_PROJECT_NAME=admin", "OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
	}
	osc, glance := osclient.New(t, env...), osclient.NewGlance(t, env...)
	file := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	whole := func(how, id string) {
		t.Helper()
		fetched(t, c, id, func() bool { return false })
		if err := c.Download(id, bytes.NewReader(content)); err != nil {
			t.Errorf("%s: %v", how, err)
		}
	}
	queued := func() string { return c.MustCreate(t, servertest.Fields{"name": "queued"}) }

	first := osc.Object("image", "create", "--import", "--file", file, "--disk-format", "raw", "--container-format", "bare", "by import")["id"].(string)
	whole("openstack image create --import", first)
	for _, m := range [][]string{
		{"glance-direct"},
		{"web-download", "--uri", site.URL + "/disk.raw"},
	} {
		id := queued()
		if m[0] == "glance-direct" {
			glance.Run("image-stage", "--file", file, id)
		}
		glance.Run(append([]string{"image-import", "--import-method"}, append(m, id)...)...)
		whole("glance image-import "+m[0], id)
	}
	// This client never finds its own arguments for this method.
	id := queued()
	glance.Refused("Provide REMOTE_IMAGE_ID", "image-import", "--import-method", "glance-download", "--remote-region", "RegionTwo", "--remote-image-id", first, id)
	far := servertest.Fields{"name": "glance-download", "glance_region": "RegionTwo", "glance_image_id": first}
	if a, err := c.Do("POST", "/image/v2/images/"+id+"/import", nil, servertest.Fields{"method": far}); err != nil || a.Status != http.StatusAccepted {
		t.Fatal(a, err)
	}
	whole("glance-download", id)
	if _, errs, code := glance.Try("image-import", "--import-method", "copy-image", "--all-stores", "true", first); code == 0 || !strings.Contains(errs, "copy-image") {
		t.Errorf("copy-image: %d, %s", code, errs)
	}
	p.MustStop(t)
}
