package guest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kuva/guest"
	"kuva/guest/check"
	"kuva/internal/testkit"
	"kuva/internal/testkit/diskimage"
)

// TestNoCloudInit takes cloud-init out of the Debian image, files and package:
// that nobody can log in to a clone is found, and nothing else above advice.
func TestNoCloudInit(t *testing.T) {
	base := diskimage.Debian(t)
	testkit.Need(t, "debugfs", "cp")
	image := filepath.Join(t.TempDir(), "bare.raw")
	if out, err := exec.CommandContext(t.Context(), "cp", "--sparse=always", base.Raw, image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	g, err := guest.Open(t.Context(), open(t, base.Raw), guest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	status, err := g.FS.ReadFile("var/lib/dpkg/status")
	if err != nil {
		t.Fatal(err)
	}
	packages := slices.DeleteFunc(strings.Split(string(status), "\n\n"), func(p string) bool { return strings.HasPrefix(p, "Package: cloud-init\n") })
	changed := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(changed, []byte(strings.Join(packages, "\n\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	var root int64
	for _, p := range g.Report.Facts.Partitions {
		if p.Number == 1 {
			root = p.Offset
		}
	}
	c := exec.CommandContext(t.Context(), "debugfs", "-w", image+"?offset="+strconv.FormatInt(root, 10))
	c.Stdin = strings.NewReader("rm /usr/bin/cloud-init\nrm /etc/cloud/cloud.cfg\nrm /var/lib/dpkg/status\ncd /var/lib/dpkg\nwrite " + changed + " status\n")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("debugfs: %v: %s", err, out)
	}
	r, err := guest.Inspect(t.Context(), open(t, image), guest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range r.Findings {
		if f.Severity != check.Advice {
			found = append(found, f.ID)
		}
	}
	if !slices.Equal(found, []string{"access-cloud-init"}) || r.Verdicts.Boots != guest.No || r.Facts.CloudInit != nil {
		t.Errorf("found %q, %+v", found, r.Verdicts)
	}
}
