package imagev2

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imageimport"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/tasks"

	use "kuva/internal/images"
)

// TestClientsImport runs what Debian's clients have for stage and import.
func TestClientsImport(t *testing.T) {
	w := start(t, options{web: true, imports: use.ImportConfig{Locations: true}})
	osc, alice, admin := w.client("openstack", w.alice), w.client("glance", w.alice), w.client("glance", w.admin)
	content := noise(1<<20+3, 11)
	at := w.source(content)
	file := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	whole := func(id string) {
		t.Helper()
		w.until(w.alice, id, "active")
		if !bytes.Equal(w.content(w.alice, id), content) {
			t.Errorf("image %s has other bytes", id)
		}
	}
	uuid := regexp.MustCompile(`\| id +\| ([0-9a-f-]{36}) `)
	idOf := func(out string) string {
		t.Helper()
		m := uuid.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("no id in %s", out)
		}
		return m[1]
	}

	var created map[string]any
	osc.json(&created, "image", "create", "--import", "--file", file, "--disk-format", "raw", "--container-format", "bare", "by import")
	whole(created["id"].(string))

	if out := alice.run("import-info"); !strings.Contains(out, "import-methods") {
		t.Errorf("import-info: %s", out)
	}
	alice.refused("Multi Backend support is not enabled", "stores-info")
	alice.refused("does not support image caching", "cache-list")
	// The client takes a standard input that is no terminal for content.
	sh := *alice
	sh.bin = "/bin/sh"
	whole(idOf(sh.run("-c", `exec "$0" image-create-via-import --disk-format raw --container-format bare < "$1"`, alice.bin, file)))
	id := w.create(w.alice, rawFields)
	alice.run("image-stage", "--file", file, id)
	alice.run("image-import", "--import-method", "glance-direct", id)
	whole(id)
	// The client asks for tasks of images only where there are several stores.
	alice.refused("does not support image tasks API", "image-tasks", id)
	id = w.create(w.alice, rawFields)
	alice.run("image-import", "--import-method", "web-download", "--uri", at, id)
	whole(id)
	id = w.create(w.alice, rawFields)
	alice.run("location-add", "--url", at, id)
	whole(id)
	if out := alice.run("usage"); !strings.Contains(out, "image_size_total") {
		t.Errorf("usage: %s", out)
	}
	out := admin.run("task-create", "--type", "import", "--input", `{"import_from":"`+at+`","import_from_format":"raw","image_properties":{"name":"by task"}}`)
	task := idOf(out)
	if out = admin.run("task-show", task); !strings.Contains(out, "import_from") {
		t.Errorf("task-show: %s", out)
	}
	if out = admin.run("task-list"); !strings.Contains(out, task) {
		t.Errorf("task-list: %s", out)
	}
}

// TestGophercloudImport: its packages imageimport, imagedata and tasks.
func TestGophercloudImport(t *testing.T) {
	w := start(t, options{web: true})
	ctx := t.Context()
	alice, admin := w.cloud(w.alice), w.cloud(w.admin)
	content := noise(200_000, 12)
	at := w.source(content)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	info, err := imageimport.Get(ctx, alice).Extract()
	must(err)
	if len(info.ImportMethods.Value) != 2 || info.ImportMethods.Type != "array" {
		t.Errorf("import info %+v", info)
	}
	img, err := images.Create(ctx, alice, images.CreateOpts{Name: "go", DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
	must(err)
	must(imagedata.Stage(ctx, alice, img.ID, bytes.NewReader(content)).ExtractErr())
	must(imageimport.Create(ctx, alice, img.ID, imageimport.CreateOpts{Name: imageimport.GlanceDirectMethod}).ExtractErr())
	w.until(w.alice, img.ID, "active")
	img, err = images.Create(ctx, alice, images.CreateOpts{Name: "go", DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
	must(err)
	must(imageimport.Create(ctx, alice, img.ID, imageimport.CreateOpts{Name: imageimport.WebDownloadMethod, URI: at}).ExtractErr())
	w.until(w.alice, img.ID, "active")

	made, err := tasks.Create(ctx, admin, tasks.CreateOpts{Type: "import", Input: map[string]any{"import_from": at, "import_from_format": "raw"}}).Extract()
	must(err)
	got, err := tasks.Get(ctx, admin, made.ID).Extract()
	must(err)
	if got.Type != "import" || got.ID != made.ID || got.Input["import_from"] != at {
		t.Errorf("task %+v", got)
	}
	pages, err := tasks.List(admin, tasks.ListOpts{Limit: 2}).AllPages(ctx)
	must(err)
	all, err := tasks.ExtractTasks(pages)
	must(err)
	if len(all) != 3 {
		t.Errorf("%d tasks", len(all))
	}
}
