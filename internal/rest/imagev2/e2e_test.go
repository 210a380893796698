package imagev2

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kuva/internal/testkit"
)

// client runs one of Debian's command-line clients, unchanged, as one user.
type client struct {
	t   *testing.T
	bin string
	env []string
}

func (w *world) client(program string, u *user) *client {
	w.t.Helper()
	testkit.Need(w.t, program)
	home := w.t.TempDir()
	return &client{w.t, testkit.Program(program), []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C.UTF-8", "no_proxy=*", "PYTHONWARNINGS=ignore",
		"OS_AUTH_URL=" + w.url + "/identity/v3", "OS_IDENTITY_API_VERSION=3", "OS_REGION_NAME=RegionOne",
		"OS_USERNAME=" + u.name, "OS_PASSWORD=" + password, "OS_PROJECT_NAME=" + u.projectName,
		"OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default",
	}}
}

func (c *client) try(args ...string) (string, error) {
	cmd := exec.CommandContext(c.t.Context(), c.bin, args...)
	cmd.Env = c.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		return errs.String(), err
	}
	return out.String(), nil
}

func (c *client) run(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v: %s", filepath.Base(c.bin), strings.Join(args, " "), err, out)
	}
	return out
}

// refused runs a command that must fail, with these words in its message.
func (c *client) refused(words string, args ...string) {
	c.t.Helper()
	out, err := c.try(args...)
	if err == nil || !strings.Contains(out, words) {
		c.t.Errorf("%s %s: got %v: %q, want %q", filepath.Base(c.bin), strings.Join(args, " "), err, out, words)
	}
}

func (c *client) json(v any, args ...string) {
	c.t.Helper()
	out := c.run(append(args, "-f", "json")...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		c.t.Fatalf("%s %s: %v: %q", filepath.Base(c.bin), strings.Join(args, " "), err, out)
	}
}

func (c *client) show(name string) map[string]any {
	c.t.Helper()
	var o map[string]any
	c.json(&o, "image", "show", name)
	return o
}

// names lists the images that a list with these options has.
func (c *client) names(options ...string) []string {
	c.t.Helper()
	var rows []struct{ Name string }
	c.json(&rows, append([]string{"image", "list"}, options...)...)
	names := []string{}
	for _, r := range rows {
		names = append(names, r.Name)
	}
	return names
}

// TestOpenstackClient takes an image through its life with the command-line
// client that people have. Each of its commands costs more than a second of
// CPU, so what they did is looked at without it where "image show" was tried
// already.
func TestOpenstackClient(t *testing.T) {
	w := start(t, options{})
	alice, bob := w.client("openstack", w.alice), w.client("openstack", w.bob)
	dir := t.TempDir()
	data := noise(5<<20+123, 7)
	file, saved := filepath.Join(dir, "disk.raw"), filepath.Join(dir, "saved.raw")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	same := func(who string) {
		t.Helper()
		if got, err := os.ReadFile(saved); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s saved %d bytes, %v: not those that were sent", who, len(got), err)
		}
		_ = os.Remove(saved)
	}
	var created map[string]any
	alice.json(&created, "image", "create", "--file", file, "--disk-format", "raw", "--container-format", "bare",
		"--property", "os_distro=debian", "--tag", "first", "--min-disk", "1", "disk one")
	id, _ := created["id"].(string)
	if img := alice.show("disk one"); img["status"] != "active" || img["size"] != float64(len(data)) || img["id"] != id {
		t.Fatalf("created %v", img)
	}
	if got := alice.names("--property", "os_distro=debian", "--tag", "first", "--long", "--sort", "name:asc"); !slices.Equal(got, []string{"disk one"}) {
		t.Errorf("list has %q", got)
	}
	if got := alice.names("--hidden"); len(got) != 0 {
		t.Errorf("list of hidden images has %q", got)
	}
	image := func() map[string]any {
		t.Helper()
		return w.want(200, w.alice, "GET", "/v2/images/"+id, nil).object(t)
	}
	alice.run("image", "set", "--property", "os_version=12", "--tag", "second", "--name", "disk two", id)
	if img := image(); img["name"] != "disk two" || img["os_version"] != "12" || len(img["tags"].([]any)) != 2 {
		t.Errorf("after set: %v", img)
	}
	alice.run("image", "unset", "--property", "os_version", "--tag", "first", id)
	if img := image(); img["os_version"] != nil || img["os_distro"] != "debian" || len(img["tags"].([]any)) != 1 {
		t.Errorf("after unset: %v", img)
	}
	alice.run("image", "save", "--file", saved, id)
	same("alice")

	bob.refused("No Image found", "image", "show", id)
	alice.run("image", "set", "--shared", id)
	alice.run("image", "add", "project", id, w.bob.project)
	bob.run("image", "set", "--accept", id)
	if got := bob.names(); !slices.Equal(got, []string{"disk two"}) {
		t.Errorf("bob's list has %q", got)
	}
	var members []map[string]any
	alice.json(&members, "image", "member", "list", id)
	if len(members) != 1 || members[0]["Status"] != "accepted" {
		t.Errorf("members are %v", members)
	}

	alice.run("image", "set", "--deactivate", id)
	if img := image(); img["status"] != "deactivated" {
		t.Errorf("after deactivate: %v", img["status"])
	}
	bob.refused("Unable to download image", "image", "save", "--file", saved, id)
	alice.run("image", "set", "--activate", id)
	bob.run("image", "save", "--file", saved, id)
	same("bob")

	w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/protected", "value": true})
	alice.refused("protected", "image", "delete", id) // in the words of the service
	w.patch(w.alice, id, map[string]any{"op": "replace", "path": "/protected", "value": false})
	alice.run("image", "delete", id)
	w.want(404, w.alice, "GET", "/v2/images/"+id, nil)
}

// TestGlanceClient: the older client reads the schemas first, makes its options
// of them, and checks every image that it gets against them.
func TestGlanceClient(t *testing.T) {
	w := start(t, options{})
	alice := w.client("glance", w.alice)
	data := noise(1<<20+1, 8)
	file, saved := filepath.Join(t.TempDir(), "disk.raw"), filepath.Join(t.TempDir(), "saved.raw")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	const id = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	out := alice.run("image-create", "--id", id, "--name", "old", "--disk-format", "raw", "--container-format", "bare", "--file", file, "--property", "os_distro=debian", "--tag", "x")
	if !strings.Contains(out, "os_distro") || !strings.Contains(out, "active") {
		t.Errorf("created %s", out)
	}
	out = alice.run("image-update", id, "--name", "new", "--property", "other=value", "--remove-property", "os_distro", "--hidden", "true")
	if !strings.Contains(out, "other") || strings.Contains(out, "os_distro") {
		t.Errorf("updated %s", out)
	}
	if out = alice.run("image-list", "--hidden", "true"); !strings.Contains(out, id) {
		t.Errorf("list is %s", out)
	}
	alice.run("image-download", "--file", saved, id)
	if got, err := os.ReadFile(saved); err != nil || !bytes.Equal(got, data) {
		t.Errorf("downloaded %d bytes, %v: not those that were sent", len(got), err)
	}
}

// TestGlanceClientReadsTheSchema compares the schema with the copy that the
// glance client carries: every field is there, with its type and its readOnly
// mark.
func TestGlanceClientReadsTheSchema(t *testing.T) {
	testkit.Need(t, "glance")
	out, err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", // Debian's, which its packages are for
		"import json; from glanceclient.v2.image_schema import _BASE_SCHEMA as s; print(json.dumps(s))").Output()
	if err != nil {
		testkit.NotRun(t, "python3-glanceclient not installed (make deps)")
	}
	type schema struct {
		Name       string
		Properties map[string]struct {
			Type     any
			ReadOnly bool
			Pattern  string
		}
	}
	var theirs, ours schema
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatal(err)
	}
	w := start(t, options{})
	if err := json.Unmarshal(w.want(200, w.alice, "GET", "/v2/schemas/image", nil).body, &ours); err != nil {
		t.Fatal(err)
	}
	for name, want := range theirs.Properties {
		got, there := ours.Properties[name]
		a, _ := json.Marshal(got.Type)
		b, _ := json.Marshal(want.Type)
		if !there || !bytes.Equal(a, b) || got.ReadOnly != want.ReadOnly || got.Pattern != want.Pattern {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
	if len(theirs.Properties) < 20 || ours.Name != theirs.Name {
		t.Errorf("their schema %s has %d fields, ours is %s", theirs.Name, len(theirs.Properties), ours.Name)
	}
}
