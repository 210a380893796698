package xfs_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/guest/xfs"
	"kuva/internal/testkit"
	"kuva/internal/testkit/loopfs"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(testkit.Program(program), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// mkfs makes an image; mkfs.xfs of today refuses less than 300 MiB.
func mkfs(t testing.TB, args ...string) string {
	t.Helper()
	testkit.Need(t, "mkfs.xfs", "xfs_db")
	image := filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 320<<20))
	run(t, "mkfs.xfs", append(append([]string{"-q", "-f"}, args...), image)...)
	return image
}

func open(t testing.TB, d disk.Disk) (*xfs.FS, *tree.FS) {
	t.Helper()
	b := budget.New(t.Context(), budget.Limits{})
	f, err := xfs.Open(d, b)
	must(t, err)
	return f, tree.New(f, b)
}

// TestKernel reads what the kernel wrote. Kernels of today mount no version 4:
// TestProto reads that.
func TestKernel(t *testing.T) {
	testkit.NeedRoot(t)
	for _, v := range []struct {
		name string
		args []string
	}{
		{"v5", []string{"-m", "crc=1,bigtime=1,reflink=1,rmapbt=1", "-i", "sparse=1,nrext64=1", "-L", "label"}},
		{"v5-1k", []string{"-b", "size=1024", "-m", "crc=1,bigtime=0", "-i", "size=512"}},
		{"v5-dir16k", []string{"-b", "size=2048", "-n", "size=16384", "-i", "size=1024"}},
	} {
		t.Run(v.name, func(t *testing.T) {
			image := mkfs(t, v.args...)
			var want guesttest.Listing
			dirty := filepath.Join(t.TempDir(), "dirty")
			loopfs.With(t, image, "nouuid", func(dir string) {
				guesttest.MakeTree(t, dir, guesttest.All)
				fill(t, dir)
				want = guesttest.Witness(t, dir)
				must(t, syncDir(dir))
				must(t, copyFile(image, dirty))
			})
			f, paths := open(t, guesttest.RawFile(t, image))
			guesttest.Compare(t, paths, want, guesttest.Options{Times: time.Nanosecond, FolderTimes: true})
			i := f.Info()
			if len(i.Notes) > 0 || v.name == "v5" && i.Label != "label" {
				t.Errorf("%+v", i)
			}
			checkFree(t, f, image)
			if f, _ := open(t, guesttest.RawFile(t, dirty)); len(f.Info().Notes) != 1 || f.Info().Notes[0].ID != tree.JournalDirty {
				t.Errorf("copied while it was mounted: %v", f.Info().Notes)
			}
		})
	}
}

// fill makes what XFS keeps in forms of its own: folders with an index of
// many levels, files of more extents than an inode holds, preallocated
// blocks, attributes in leaves, in trees and in blocks of their own.
func fill(t testing.TB, dir string) {
	t.Helper()
	for i := range 3000 {
		name := filepath.Join(dir, "names", fmt.Sprint("gone", i))
		must(t, os.WriteFile(name, nil, 0o600))
		if i%100 != 0 {
			must(t, os.Remove(name))
		}
	}
	for n := range 40 { // short, block, leaf: a folder of every size
		must(t, os.MkdirAll(filepath.Join(dir, "folders", fmt.Sprint(n)), 0o755))
		for i := range n * 3 {
			must(t, os.WriteFile(filepath.Join(dir, "folders", fmt.Sprint(n), fmt.Sprint("file", i)), nil, 0o600))
		}
	}
	f, err := os.Create(filepath.Join(dir, "prealloc"))
	must(t, err)
	must(t, syscall.Fallocate(int(f.Fd()), 0, 0, 1<<20))
	_, err = f.WriteAt([]byte("written"), 500_000)
	must(t, err)
	must(t, f.Close())
	name := filepath.Join(dir, "prealloc")
	must(t, syscall.Setxattr(name, "security.capability", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
	must(t, syscall.Setxattr(name, "trusted.root", []byte("root"), 0))
	must(t, syscall.Setxattr(name, "user.huge", []byte(strings.Repeat("huge", 10_000)), 0))
	for i := range 200 {
		must(t, syscall.Setxattr(filepath.Join(dir, "big"), fmt.Sprint("user.many", i), []byte(strings.Repeat("v", i)), 0))
	}
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

func copyFile(from, to string) error {
	a, err := os.Open(from)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(b, a)
	return errors.Join(err, b.Close())
}

// checkFree compares the free space with what xfs_db finds.
func checkFree(t testing.TB, f *xfs.FS, image string) {
	t.Helper()
	var got []string
	agBlocks := int64(0)
	for line := range strings.Lines(run(t, "xfs_db", "-r", "-c", "sb 0", "-c", "p agblocks", image)) {
		_, err := fmt.Sscanf(line, "agblocks = %d", &agBlocks)
		must(t, err)
	}
	size := f.Info().BlockSize
	var free int64
	for e, err := range f.Free() {
		must(t, err)
		free += e.Len
		for e.Len > 0 { // cut at the borders of groups, as xfs_db has them
			ag := e.Off / size / agBlocks
			n := min(e.Len, (ag+1)*agBlocks*size-e.Off)
			got = append(got, fmt.Sprintf("%d %d %d", ag, e.Off/size-ag*agBlocks, n/size))
			e.Off, e.Len = e.Off+n, e.Len-n
		}
	}
	var want []string
	for line := range strings.Lines(run(t, "xfs_db", "-r", "-c", "freesp -d -b", image)) {
		var ag, block, n int64
		if k, _ := fmt.Sscan(line, &ag, &block, &n); k == 3 && len(strings.Fields(line)) == 3 {
			want = append(want, fmt.Sprintf("%d %d %d", ag, block, n))
		}
	}
	// xfs_db tells of the blocks that a group keeps for its trees too, one by
	// one; all else has to be equal, in order.
	kept := 0
	for _, line := range want {
		if len(got) > 0 && got[0] == line {
			got = got[1:]
		} else if kept++; !strings.HasSuffix(line, " 1") {
			t.Fatalf("xfs_db has %q, where %v comes", line, got[:min(1, len(got))])
		}
	}
	counted := 0
	for ag := range (f.Info().Size/size + agBlocks - 1) / agBlocks {
		var n int
		_, err := fmt.Sscanf(run(t, "xfs_db", "-r", "-c", fmt.Sprint("agf ", ag), "-c", "p flcount", image), "flcount = %d", &n)
		must(t, err)
		counted += n
	}
	if len(got) > 0 || kept != counted {
		t.Errorf("%d stretches more than xfs_db has; %d blocks kept, want %d", len(got), kept, counted)
	}
	if i := f.Info(); free > i.FreeBytes || free < i.FreeBytes/2 {
		t.Errorf("%d bytes free, the superblock says %d", free, i.FreeBytes)
	}
}

// TestProto reads version 4, filled by mkfs.xfs itself from a list: what such
// a list can say, which is no holes, times, links or attributes.
func TestProto(t *testing.T) {
	dir := t.TempDir()
	guesttest.MakeTree(t, dir, guesttest.Symlinks|guesttest.Modes|guesttest.Special)
	must(t, os.RemoveAll(filepath.Join(dir, "names")))
	must(t, os.RemoveAll(filepath.Join(dir, "modes", "5"))) // a list has no sticky bits
	must(t, os.RemoveAll(filepath.Join(dir, "modes", "6")))
	must(t, os.Chmod(filepath.Join(dir, "modes", "tmp"), 0o777))
	want := guesttest.Witness(t, dir)
	var list strings.Builder
	list.WriteString("boot\n0 0\n")
	proto(&list, dir, ".", want)
	file := filepath.Join(t.TempDir(), "proto")
	must(t, os.WriteFile(file, []byte(list.String()), 0o600))
	for _, v := range []struct {
		name string
		args []string
	}{
		{"v4", []string{"-m", "crc=0", "-n", "ftype=0"}},
		{"v4-512", []string{"-m", "crc=0", "-b", "size=512", "-n", "ftype=1", "-i", "size=256"}},
	} {
		t.Run(v.name, func(t *testing.T) {
			image := mkfs(t, append([]string{"-p", file}, v.args...)...)
			f, paths := open(t, guesttest.RawFile(t, image))
			guesttest.Compare(t, paths, want, guesttest.Options{})
			if i := f.Info(); len(i.Notes) > 0 || i.Features[0] != "v4" {
				t.Errorf("%+v", i)
			}
			checkFree(t, f, image)
		})
	}
}

// proto writes a folder as mkfs.xfs -p wants it.
func proto(list *strings.Builder, dir, name string, all guesttest.Listing) {
	item := all[name]
	typ := map[uint32]string{tree.Regular: "-", tree.Dir: "d", tree.Symlink: "l", tree.FIFO: "p", tree.Char: "c", tree.Block: "b"}[item.Mode&tree.TypeMask]
	u, g := "-", "-"
	if item.Mode&tree.Setuid != 0 {
		u = "u"
	}
	if item.Mode&tree.Setgid != 0 {
		g = "g"
	}
	if name != "." {
		list.WriteString(filepath.Base(name) + " ")
	}
	fmt.Fprintf(list, "%s%s%s%03o %d %d", typ, u, g, item.Mode&0o777, item.UID, item.GID)
	switch item.Mode & tree.TypeMask {
	case tree.Regular:
		list.WriteString(" " + filepath.Join(dir, name))
	case tree.Symlink:
		list.WriteString(" " + item.Target)
	case tree.Char, tree.Block:
		fmt.Fprintf(list, " %d %d", item.Rdev>>32, item.Rdev&0xffffffff)
	case tree.Dir:
		list.WriteString("\n")
		entries, _ := os.ReadDir(filepath.Join(dir, name))
		for _, e := range entries {
			proto(list, dir, filepath.Join(name, e.Name()), all)
		}
		list.WriteString("$")
	}
	list.WriteString("\n")
}
