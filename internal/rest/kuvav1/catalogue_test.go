package kuvav1

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/api"
	"kuva/internal/images"
)

// entries1 is the catalogue of the tests. The digest is that of "a small disk".
const entries1 = `images:
  - name: small
    os: Debian
    version: "12"
    architecture: x86_64
    url: http://site.test/small.raw
    hash: sha256:` + smallHash + `
    licence: free
    signature: nobody signs it
    disk_format: raw
    min_disk: 1
    min_ram: 64
    properties: {hw_disk_bus: scsi, os_distro: debian-small}
  - name: other
    os: Debian
    version: "12"
    architecture: x86_64
    url: http://site.test/other.raw
    hash: sha256:` + smallHash + `
    licence: free
  - name: nowhere
    os: Debian
    version: "12"
    architecture: x86_64
    url: https://example.org/small.raw
    hash: sha256:` + smallHash + `
    licence: free
`

const smallHash = "52a7b4f96d01fe059a1fd0d775e5d6e87295721642d49d7653f62fafec2d4fc8"

// TestCatalogue: what is listed is imported by its name, with what the entry
// says, and only if it has the entry's hash.
func TestCatalogue(t *testing.T) {
	pages["small.raw"], pages["other.raw"] = []byte("a small disk"), []byte("something else")
	w := start(t)
	var list api.Catalogue
	w.want(http.StatusOK, w.rita, "GET", "/kuva/v1/catalogue", "").into(t, &list)
	if len(list.Images) != 3 || list.Images[2].Name != "small" || list.Images[2].Hash != "sha256:"+smallHash || *list.Images[2].Signature != "nobody signs it" {
		t.Fatalf("%+v", list)
	}
	get := func(u *user, name, body string) *kuva.Image {
		t.Helper()
		var j api.Job
		w.want(http.StatusAccepted, u, "POST", "/kuva/v1/catalogue/"+name+"/import", body).into(t, &j)
		var img *kuva.Image
		until(t, "import", func() (ends bool) {
			var err error
			if img, err = w.images.Show(t.Context(), w.principal(u), *j.Image); err != nil {
				t.Fatal(err)
			}
			return img.Status == kuva.StatusActive || img.LastFailure != nil
		})
		return img
	}
	img := get(w.alice, "small", "")
	if img.Status != kuva.StatusActive || img.Name != "small" || img.Owner != w.alice.project || img.DiskFormat != "raw" || img.MinDisk != 1 || img.MinRAM != 64 ||
		img.Properties["os_distro"] != "debian-small" || img.Properties["hw_disk_bus"] != "scsi" || img.Properties["os_version"] != "12" || img.Properties["architecture"] != "x86_64" || img.Properties["catalogue"] != "small" {
		t.Errorf("%+v", img)
	}
	if got := w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/images/"+img.ID+"/file", ""); string(got.body) != "a small disk" {
		t.Errorf("%q", got.body)
	}
	if img = get(w.alice, "small", `{"name":"mine","visibility":"private"}`); img.Name != "mine" || img.Visibility != kuva.VisibilityPrivate {
		t.Errorf("%+v", img)
	}
	if img = get(w.alice, "other", ""); img.Status != kuva.StatusQueued || img.LastFailure.Code != kuva.CodeDigest {
		t.Errorf("%v %+v", img.Status, img.LastFailure)
	}

	// What cannot begin leaves nothing behind.
	w.want(http.StatusBadRequest, w.bob, "POST", "/kuva/v1/catalogue/nowhere/import", "")
	listed, err := w.images.List(t.Context(), w.principal(w.bob), images.Query{Owner: w.bob.project, Limit: 10})
	if err != nil || len(listed) != 0 {
		t.Errorf("%v, %v", listed, err)
	}
	w.want(http.StatusForbidden, w.alice, "POST", "/kuva/v1/catalogue/small/import", `{"visibility":"public"}`)
	w.want(http.StatusBadRequest, w.alice, "POST", "/kuva/v1/catalogue/small/import", `{"visible":"public"}`)
	for _, name := range []string{"nothing", "%00", "%ff", strings.Repeat("x", 3000), "..%2f.."} {
		w.want(http.StatusNotFound, w.alice, "GET", "/kuva/v1/catalogue/"+name, "")
		w.want(http.StatusNotFound, w.alice, "POST", "/kuva/v1/catalogue/"+name+"/import", "")
	}

	// A changed file counts without a restart, a broken one changes nothing.
	write := func(text string) {
		if err := os.WriteFile(w.catalogue, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.ReplaceAll(entries1, "name: other", "name: another"))
	until(t, "the new file", func() bool {
		return w.do(w.alice, "GET", "/kuva/v1/catalogue/another", "").status == http.StatusOK
	})
	write("images: 5\n")
	time.Sleep(2200 * time.Millisecond)
	w.want(http.StatusOK, w.alice, "GET", "/kuva/v1/catalogue/another", "")
}
