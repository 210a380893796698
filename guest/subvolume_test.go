package guest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kuva/guest"
	"kuva/internal/testkit"
)

// A system in a subvolume that is not the default one is found, with the others
// where its fstab mounts them.
func TestSubvolumes(t *testing.T) {
	testkit.NeedRoot(t)
	testkit.Need(t, "mkfs.btrfs", "btrfs", "mount")
	image := filepath.Join(t.TempDir(), "image")
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(testkit.Program(args[0]), args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 128<<20); err != nil {
		t.Fatal(err)
	}
	const uuid = "4f7f7e6e-0000-4000-8000-000000000001"
	run("mkfs.btrfs", "-q", "-U", uuid, image)
	dir := testkit.Mountpoint(t, "btrfs")
	run("mount", "-t", "btrfs", "-o", "loop", image, dir)
	unmount := func() {
		for range 100 {
			if err := syscall.Unmount(dir, 0); err == nil || err == syscall.EINVAL {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	t.Cleanup(unmount)
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []string{"@home", "@rootfs", "@log"} {
		run("btrfs", "subvolume", "create", filepath.Join(dir, s))
	}
	write("@rootfs/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
	write("@rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	write("@rootfs/etc/fstab", "UUID="+uuid+" / btrfs subvol=@rootfs 0 0\n"+
		"UUID="+uuid+" /home btrfs defaults,subvol=/@home 0 0\nUUID="+uuid+" /var/log btrfs subvolid=258 0 0\n")
	for _, name := range []string{"home", "var/log"} {
		if err := os.MkdirAll(filepath.Join(dir, "@rootfs", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("@home/alice/file", "hers")
	write("@log/syslog", "log")
	unmount()

	g, err := guest.Open(t.Context(), open(t, image), guest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if os := g.Report.Facts.OS; os == nil || os.Distro != "debian" {
		t.Fatalf("%+v", g.Report.Facts)
	}
	for name, want := range map[string]string{"home/alice/file": "hers", "var/log/syslog": "log", "etc/os-release": "ID=debian\nVERSION_ID=\"12\"\n"} {
		if b, err := g.FS.ReadFile(name); string(b) != want || err != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
