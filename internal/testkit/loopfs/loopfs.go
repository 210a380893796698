// Package loopfs mounts small real file systems for tests, on a loop device:
// the place to run out of room for real, and to run a store on the file
// system that most servers have.
package loopfs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"kuva/internal/testkit"
)

// Ext4 makes an ext4 of size bytes, its own tables included, and mounts it
// for the time of the test. The least that is useful is about 2 MiB. No part
// of it is reserved for root, so a full one is full for everybody. It needs
// root and ends the test by testkit.NotRun for anybody else. options are more
// of mke2fs's; by itself it takes blocks of 1 KiB for one this small.
func Ext4(t testing.TB, size int64, options ...string) string {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.Need(t, "mke2fs", "mount", "umount")
	image := filepath.Join(t.TempDir(), "ext4")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	// Everything is initialised at once: the kernel would go on writing
	// tables behind the test otherwise.
	args := []string{"-q", "-F", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"}
	run(t, "mke2fs", append(append(args, options...), image)...)
	dir := testkit.Mountpoint(t, "loopfs")
	run(t, "mount", "-o", "loop,noatime", image, dir) // the device goes away with the mount
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Remove(filepath.Join(dir, "lost+found")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func unmount(dir string) error {
	var out []byte
	var err error
	for range 20 { // a program that was just killed may hold a file for a moment
		if out, err = exec.Command(testkit.Program("umount"), dir).CombinedOutput(); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	exec.Command(testkit.Program("umount"), "-l", dir).Run()
	return fmt.Errorf("unmount %s: %w: %s", dir, err, out)
}

func run(t testing.TB, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(testkit.Program(program), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}
