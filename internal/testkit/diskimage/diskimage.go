// Package diskimage gives tests real disks that boot, built once per machine
// by the scripts in testdata/ and kept under $KUVA_TEST_CACHE, or the user's
// cache folder. Scripts that change make new disks. The files are shared by
// all tests: read them, copy them, never write them.
package diskimage

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"kuva/internal/testkit"
)

// Disk is one disk in two formats of the same content.
type Disk struct {
	Raw   string // path; the file has holes where the disk was never written
	QCOW2 string // path; plain clusters, made by qemu-img
}

// Tiny gives a Linux of 64 MiB, 24 MiB of them data, that boots by BIOS and
// UEFI. Building it takes some seconds.
func Tiny(t testing.TB) Disk {
	t.Helper()
	testkit.Need(t, "mke2fs", "sfdisk", "grub-mkimage", "mkfs.fat", "mcopy", "busybox", "depmod", "cpio", "zstd", "qemu-img")
	return build(t, "tiny", "build-tiny-image", "--cache", filepath.Join(cache(t), "debs"))
}

// Debian gives a Debian 12 cloud disk of 2 GiB, about 400 MiB of them data.
// The first build on a machine takes minutes and root.
func Debian(t testing.TB) Disk {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.Need(t, "mmdebstrap", "mke2fs", "sfdisk", "grub-mkimage", "mkfs.fat", "mcopy", "qemu-img")
	return build(t, "debian", "build-debian-image", "--cache", filepath.Join(cache(t), "debian"))
}

// Snapshots gives what two snapshots of the base disk's machine would be, one
// after the other; testdata/make-snapshots says what happened in between.
func Snapshots(t testing.TB, base Disk) (first, second Disk) {
	t.Helper()
	testkit.Need(t, "debugfs", "sfdisk", "perl", "qemu-img")
	dir := made(t, "snapshots", base.Raw, []string{"make-snapshots", "lib-image.sh"}, func(dir string) error {
		if err := script("make-snapshots", base.Raw, dir+"/first.raw", dir+"/second.raw"); err != nil {
			return err
		}
		for _, name := range []string{"first", "second"} {
			if err := qcow2(dir, name); err != nil {
				return err
			}
		}
		return nil
	})
	return disk(dir, "first"), disk(dir, "second")
}

// Planted is a thing that testdata/plant-dirty put into a disk.
type Planted struct {
	Path string `json:"path"`
	Line int    `json:"line"` // 0 where lines mean nothing
	Kind string `json:"kind"` // in the words of the script
}

// Dirty gives the disk of Debian with what a server in use leaves behind (the
// raw file alone), and what that is and where. Making it takes some seconds.
func Dirty(t testing.TB) (raw string, planted []Planted) {
	t.Helper()
	base := Debian(t)
	testkit.Need(t, "debugfs", "sfdisk", "perl", "ssh-keygen")
	dir := made(t, "dirty", base.Raw, []string{"plant-dirty", "lib-image.sh"}, func(dir string) error {
		return script("plant-dirty", base.Raw, dir+"/dirty.raw", dir+"/planted.json")
	})
	b, err := os.ReadFile(filepath.Join(dir, "planted.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &planted); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "dirty.raw"), planted
}

// Variant gives the system of Debian's disk on other ground: mbr, lvm (both in
// some seconds), xfs or btrfs (in more), as testdata/make-variant says. It
// wants root.
func Variant(t testing.TB, kind string) (raw string) {
	t.Helper()
	base := Debian(t)
	testkit.Need(t, "debugfs", "sfdisk", "losetup", "mount", "blkid")
	switch kind {
	case "lvm":
		testkit.Need(t, "lvm")
	case "xfs", "btrfs":
		testkit.Need(t, "mkfs."+kind)
	}
	dir := made(t, "variant-"+kind, base.Raw, []string{"make-variant", "lib-image.sh"}, func(dir string) error {
		return script("make-variant", base.Raw, kind, dir+"/disk.raw")
	})
	return filepath.Join(dir, "disk.raw")
}

func build(t testing.TB, name, builder string, args ...string) Disk {
	t.Helper()
	dir := made(t, name, "", []string{builder, "lib-image.sh"}, func(dir string) error {
		if err := script(builder, append(args, filepath.Join(dir, name+".raw"))...); err != nil {
			return err
		}
		return qcow2(dir, name)
	})
	return disk(dir, name)
}

func disk(dir, name string) Disk {
	return Disk{Raw: filepath.Join(dir, name+".raw"), QCOW2: filepath.Join(dir, name+".qcow2")}
}

// made returns the folder that make fills, making it if it is not there: its
// name holds a hash of the recipe. Other processes wait meanwhile.
func made(t testing.TB, name, salt string, recipe []string, fill func(dir string) error) string {
	t.Helper()
	h := sha256.New()
	io.WriteString(h, salt)
	for _, file := range recipe {
		text, err := os.ReadFile(filepath.Join(scripts(), file))
		if err != nil {
			t.Fatal(err)
		}
		h.Write(text)
	}
	root := cache(t)
	dir := filepath.Join(root, name+"-"+hex.EncodeToString(h.Sum(nil))[:12])
	lock, err := os.OpenFile(filepath.Join(root, name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close() // gives the lock back
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(part, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fill(part); err != nil {
		t.Fatalf("make the %s disk: %v", name, err)
	}
	if err := os.Rename(part, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func cache(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KUVA_TEST_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatalf("set KUVA_TEST_CACHE: %v", err)
		}
		dir = filepath.Join(user, "kuva-test")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// scripts is the folder of the recipes, found from where this file was built.
func scripts() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "testdata")
}

func script(name string, args ...string) error {
	return run(filepath.Join(scripts(), name), args...)
}

func qcow2(dir, name string) error {
	d := disk(dir, name)
	return run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", d.Raw, d.QCOW2)
}

func run(program string, args ...string) error {
	cmd := exec.Command(program, args...)
	// The tools of file systems live where a user's PATH may not look.
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, out)
	}
	return nil
}
