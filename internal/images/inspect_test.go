package images_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"kuva"
	"kuva/guest"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/images"
	"kuva/internal/testkit"
	"kuva/internal/testkit/diskimage"
)

// report waits for the report of an image.
func (w *world) report(p kuva.Principal, id string) *guest.Report {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		r, _, err := w.Report(w.t.Context(), p, id)
		if err == nil {
			return r
		}
		var e *kuva.Error
		if !errors.As(err, &e) || e.Text.Key != "image.report_pending" || time.Now().After(end) {
			w.t.Fatalf("report: %v", err)
		}
	}
}

// leaky is a disk with one file system, a system's name and a private key.
func leaky(t *testing.T) []byte {
	t.Helper()
	testkit.Need(t, "mke2fs")
	root := filepath.Join(t.TempDir(), "root")
	for name, text := range map[string]string{
		"etc/os-release":         "ID=debian\nVERSION_ID=12\nPRETTY_NAME=Debian\n",
		"root/.ssh/id_rsa":       "-----BEGIN RSA PRIVATE KEY-----\n",
		"etc/network/interfaces": "iface eth0 inet static\n  address 10.9.0.5/24\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if out, err := exec.Command("mke2fs", "-q", "-d", root, disk, "4M").CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v\n%s", err, out)
	}
	b, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What is inside an image is told after its upload, fills in what the user left
// empty, and keeps secrets from being published.
func TestInspection(t *testing.T) {
	content := leaky(t)
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		img := w.create(alice, images.NewImage{Name: "leaky", DiskFormat: "raw", ContainerFormat: "bare", Properties: map[string]string{"os_distro": "mine"}})
		if _, _, err := w.Report(ctx, alice, img.ID); kuva.CodeOf(err) != kuva.CodeConflict {
			t.Errorf("before the upload: %v", err)
		}
		if _, err := w.Ingest(ctx, alice, img.ID, images.Source{Content: bytes.NewReader(content), Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		r := w.report(alice, img.ID)
		if r.Facts.OS == nil || r.Facts.OS.Distro != "debian" || r.Verdicts.Shares != guest.No {
			t.Errorf("%+v", r)
		}
		if b, _ := json.Marshal(r); !bytes.Contains(b, []byte("(reserved by this site: 10.9.0.0/16)")) || bytes.Contains(b, []byte("BEGIN RSA")) {
			t.Errorf("%s", b)
		}
		now, err := w.Show(ctx, alice, img.ID)
		if err != nil {
			t.Fatal(err)
		}
		if p := now.Properties; p["os_type"] != "linux" || p["os_distro"] != "mine" || p["os_version"] != "12" || now.MinDisk != 1 {
			t.Errorf("%v, min_disk %d", p, now.MinDisk)
		}
		if _, _, err := w.Report(ctx, bob, img.ID); kuva.CodeOf(err) != kuva.CodeNotFound {
			t.Errorf("a stranger: %v", err)
		}

		community := []images.Change{{Op: images.OpReplace, Name: "visibility", Value: "community"}}
		copied, err := w.Copy(ctx, alice, img.ID, "copy")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Update(ctx, alice, copied.ID, community); kuva.CodeOf(err) != kuva.CodeConflict {
			t.Errorf("publishing a copy of a secret: %v", err)
		}
		if err := w.Deactivate(ctx, alice, img.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Report(ctx, alice, img.ID); kuva.CodeOf(err) != kuva.CodeForbidden {
			t.Errorf("the report of what cannot be read: %v", err)
		}
		if err := w.Reactivate(ctx, alice, img.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Update(ctx, alice, img.ID, community); kuva.CodeOf(err) != kuva.CodeConflict {
			t.Errorf("publishing a secret: %v", err)
		}
		waive := append([]images.Change{{Op: images.OpAdd, Name: images.Waiver, Value: "a key for examples"}}, community...)
		if _, err := w.Update(ctx, alice, img.ID, waive); err != nil {
			t.Errorf("with a reason: %v", err)
		}
		if err := w.Delete(ctx, alice, img.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.Report(ctx, alice, img.ID); kuva.CodeOf(err) != kuva.CodeNotFound {
			t.Errorf("of a deleted image: %v", err)
		}
	}, func(c *images.Config) { c.Inspect.Reserved = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")} })
}

// What is not opened as a disk has no report; a site may do without.
func TestNoInspection(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	img := w.create(alice, images.NewImage{Name: "kernel", DiskFormat: "aki", ContainerFormat: "aki"})
	if _, err := w.Ingest(t.Context(), alice, img.ID, images.Source{Content: bytes.NewReader([]byte("x")), Size: 1}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Report(t.Context(), alice, img.ID); kuva.CodeOf(err) != kuva.CodeNotFound {
		t.Error(err)
	}
}

// A real image through the depot, by its compressed format.
func TestInspectionOfDebian(t *testing.T) {
	w := newWorld(t, catalogtest.SQLite(t))
	f, err := os.Open(diskimage.Debian(t).QCOW2)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img := w.create(alice, images.NewImage{Name: "debian", DiskFormat: "qcow2", ContainerFormat: "bare"})
	if _, err := w.Ingest(t.Context(), alice, img.ID, images.Source{Content: f, Size: -1}); err != nil {
		t.Fatal(err)
	}
	r := w.report(alice, img.ID)
	if v := r.Verdicts; v.Boots != guest.Yes || v.Clones != guest.Yes || v.Shares != guest.Yes {
		t.Errorf("%+v", v)
	}
	now, err := w.Show(t.Context(), alice, img.ID)
	if err != nil || now.Properties["hw_disk_bus"] != "virtio" || now.MinDisk != 2 {
		t.Errorf("%+v, %v", now, err)
	}
	t.Logf("%+v", r.Cost)
}

// A site may refuse content by what is found in it; the image stays queued.
func TestRefusedFindings(t *testing.T) {
	content := leaky(t)
	w := newWorld(t, catalogtest.SQLite(t), func(c *images.Config) { c.Inspect.Refuse = []string{"access-static-network"} })
	img := w.create(alice, images.NewImage{Name: "leaky", DiskFormat: "raw", ContainerFormat: "bare"})
	_, err := w.Ingest(t.Context(), alice, img.ID, images.Source{Content: bytes.NewReader(content), Size: int64(len(content))})
	if kuva.CodeOf(err) != kuva.CodeUnsupported {
		t.Errorf("%v", err)
	}
	if now := w.show(alice, img.ID); now.Status != kuva.StatusQueued || now.LastFailure == nil {
		t.Errorf("%+v", now)
	}
	for words, ok := range map[string]bool{"boot": true, "clone-machine-id": true, "everything": false} {
		c := images.InspectConfig{Refuse: []string{words}}
		if err := c.Check(); (err == nil) != ok {
			t.Errorf("%s: %v", words, err)
		}
	}
}
