package imagev2

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kuva/internal/testkit"
	"kuva/internal/testkit/osclient"
)

// osclient is Debian's openstack client with one user's settings, many
// commands in one process.
func (w *world) osclient(u *user) *osclient.Client {
	return osclient.New(w.t,
		"OS_AUTH_URL="+w.url+"/identity/v3", "OS_IDENTITY_API_VERSION=3", "OS_REGION_NAME=RegionOne", "OS_USERNAME="+u.name,
		"OS_PASSWORD="+password, "OS_PROJECT_NAME="+u.projectName, "OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
	)
}

// TestPouta types the commands of CSC's page on images as they stand there:
// a raw image is saved, made small and sent again (S4-51 to S4-55, S4-57 to
// S4-60), ordinary users cannot publish (S4-66 to S4-68), and an image is shared
// with another project (S4-69 to S4-76).
func TestPouta(t *testing.T) {
	testkit.Need(t, "qemu-img")
	w := start(t, options{})
	alice, bob := w.osclient(w.alice), w.osclient(w.bob)
	dir := t.TempDir()
	content := make([]byte, 8<<20)
	copy(content[1<<20:], noise(1<<20, 3))
	raw, saved, small := filepath.Join(dir, "disk.raw"), filepath.Join(dir, "my-image.raw"), filepath.Join(dir, "my-image.qcow2")
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	id := func(c *osclient.Client, args ...string) string {
		t.Helper()
		return strings.TrimSpace(c.Run(append(args, "-f", "value", "-c", "id")...))
	}

	snapshot := id(alice, "image", "create", "--disk-format", "raw", "--file", raw, "snapshot")
	alice.Run("image", "save", "--file", saved, snapshot)
	if got, err := os.ReadFile(saved); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("saved %d bytes, %v", len(got), err)
	}
	if out, err := exec.CommandContext(t.Context(), "qemu-img", "convert", "-f", "raw", "-O", "qcow2", saved, small).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v\n%s", err, out)
	}
	compact := id(alice, "image", "create", "--disk-format", "qcow2", "--file", small, "my-image")
	alice.Run("image", "delete", snapshot)
	private := id(alice, "image", "create", "--disk-format", "qcow2", "--private", "--file", small, "my-private-image")
	if out := bob.Run("image", "list"); strings.Contains(out, "my-") {
		t.Errorf("the other project sees %s", out)
	}
	alice.Refused("403", "image", "set", "--public", private)

	if out := alice.Run("image", "list"); !strings.Contains(out, compact) {
		t.Errorf("list: %s", out)
	}
	if out := bob.Run("project", "list"); !strings.Contains(out, w.bob.project) {
		t.Errorf("projects: %s", out)
	}
	alice.Run("image", "set", "--shared", compact)
	alice.Run("image", "add", "project", compact, w.bob.project)
	bob.Run("image", "set", "--accept", compact)
	for who, c := range map[string]*osclient.Client{"donor": alice, "acceptor": bob} {
		if out := c.Run("image", "list"); !strings.Contains(out, compact) {
			t.Errorf("the %s does not see the shared image: %s", who, out)
		}
	}
}

// TestPacker has Debian's packer validate a template of its OpenStack builder
// against the service: it logs in and looks the source image up by a filter.
func TestPacker(t *testing.T) {
	testkit.Need(t, "packer")
	w := start(t, options{})
	source := w.create(w.alice, rawFields)
	template := map[string]any{"builders": []any{map[string]any{
		"type": "openstack", "identity_endpoint": w.url + "/identity/v3", "username": w.alice.name, "password": password,
		"tenant_name": w.alice.projectName, "domain_name": "Default", "region": "RegionOne", "ssh_username": "debian", "flavor": "m1.tiny",
		"image_name": "built", "source_image": source, "image_visibility": "private", "image_tags": []string{"built"},
	}}}
	b, err := json.Marshal(template)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "template.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), testkit.Program("packer"), "validate", file)
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CHECKPOINT_DISABLE=1", "PACKER_CONFIG_DIR=" + dir, "PACKER_CACHE_DIR=" + dir}
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("packer validate: %v\n%s", err, out)
	}
}
