package ext4_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/ext4"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/internal/testkit"
	"kuva/internal/testkit/loopfs"
)

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(testkit.Program(program), args...)
	cmd.Env = append(os.Environ(), "MKE2FS_CONFIG=/dev/null", "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// mke2fs makes an image of size bytes.
func mke2fs(t testing.TB, size int64, args ...string) string {
	t.Helper()
	testkit.Need(t, "mke2fs", "e2fsck", "debugfs")
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	run(t, "mke2fs", append(append([]string{"-q", "-F"}, args...), image)...)
	return image
}

func open(t testing.TB, d disk.Disk) (*ext4.FS, *tree.FS) {
	t.Helper()
	b := budget.New(t.Context(), budget.Limits{})
	f, err := ext4.Open(d, b)
	if err != nil {
		t.Fatal(err)
	}
	return f, tree.New(f, b)
}

// TestWitness reads what mke2fs wrote, in every form that it writes.
func TestWitness(t *testing.T) {
	dir := t.TempDir()
	guesttest.MakeTree(t, dir, guesttest.All)
	want := guesttest.Witness(t, dir)
	for _, v := range []struct {
		name string
		args []string
		typ  string
		htre bool
	}{
		{"ext2-1k", []string{"-b", "1024", "-O", "filetype,large_file,sparse_super"}, "ext2", false},
		{"ext2-4k", []string{"-b", "4096", "-O", "^filetype"}, "ext2", false},
		{"ext3", []string{"-b", "4096", "-O", "has_journal,dir_index,filetype"}, "ext3", true},
		{"ext4", []string{"-b", "4096", "-O", "has_journal,dir_index,extents,64bit,metadata_csum,flex_bg,huge_file,extra_isize,dir_nlink,resize_inode"}, "ext4", true},
		{"ext4-1k", []string{"-b", "1024", "-O", "dir_index,extents,metadata_csum,^64bit,flex_bg"}, "ext4", true},
		{"ext4-bigalloc", []string{"-b", "4096", "-C", "65536", "-O", "extents,bigalloc,64bit"}, "ext4", false},
		{"ext4-metabg", []string{"-b", "1024", "-g", "1024", "-O", "extents,meta_bg,^resize_inode,metadata_csum_seed,metadata_csum"}, "ext4", false},
		{"ext4-old", []string{"-b", "2048", "-I", "128", "-O", "extents,uninit_bg,^metadata_csum,sparse_super2"}, "ext4", false},
	} {
		t.Run(v.name, func(t *testing.T) {
			image := mke2fs(t, 100<<20, append([]string{"-d", dir, "-N", "6000", "-O", "ext_attr"}, v.args...)...)
			if v.htre {
				run(t, "e2fsck", "-fyD", image)
			}
			f, paths := open(t, guesttest.RawFile(t, image))
			guesttest.Compare(t, paths, want, guesttest.Options{
				Times: time.Second, Times32: true, Extra: []string{"lost+found"},
			})
			i := f.Info()
			if i.Type != v.typ || len(i.Notes) > 0 {
				t.Errorf("type %s, notes %v", i.Type, i.Notes)
			}
			checkFree(t, f)
		})
	}
}

// TestKernel reads what the kernel wrote: nanoseconds, years behind 2038,
// inline files and folders, attributes with inodes of their own, preallocated
// blocks.
func TestKernel(t *testing.T) {
	testkit.NeedRoot(t)
	for _, v := range []struct {
		name string
		args []string
	}{
		{"inline", []string{"-b", "4096", "-I", "256", "-O", "extents,64bit,metadata_csum,inline_data,extra_isize,dir_index,filetype"}},
		{"inline-1k", []string{"-b", "1024", "-I", "1024", "-O", "extents,inline_data,extra_isize,ea_inode,has_journal,dir_index,filetype"}},
	} {
		t.Run(v.name, func(t *testing.T) {
			image := mke2fs(t, 100<<20, append([]string{"-N", "6000", "-O", "ext_attr"}, v.args...)...)
			var want guesttest.Listing
			loopfs.With(t, image, "", func(dir string) {
				guesttest.MakeTree(t, dir, guesttest.All)
				for i := range 3000 { // far more than a block of names, most of them gone again
					name := filepath.Join(dir, "names", fmt.Sprint("gone", i))
					must(t, os.WriteFile(name, nil, 0o600))
					if i%100 != 0 {
						must(t, os.Remove(name))
					}
				}
				f, err := os.Create(filepath.Join(dir, "prealloc"))
				must(t, err)
				must(t, syscall.Fallocate(int(f.Fd()), 0, 0, 1<<20))
				_, err = f.WriteAt([]byte("written"), 500_000)
				must(t, err)
				must(t, f.Close())
				must(t, syscall.Setxattr(filepath.Join(dir, "prealloc"), "security.capability", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0))
				if strings.Contains(strings.Join(v.args, " "), "ea_inode") {
					must(t, syscall.Setxattr(filepath.Join(dir, "prealloc"), "user.huge", make([]byte, 30_000), 0))
				}
				want = guesttest.Witness(t, dir)
			})
			f, paths := open(t, guesttest.RawFile(t, image))
			guesttest.Compare(t, paths, want, guesttest.Options{Times: time.Nanosecond, FolderTimes: true})
			if i := f.Info(); len(i.Notes) > 0 {
				t.Errorf("notes %v", i.Notes)
			}
			checkFree(t, f)
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkFree compares the free space with the superblock's count.
func checkFree(t testing.TB, f *ext4.FS) {
	t.Helper()
	var free, end int64
	for e, err := range f.Free() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Len <= 0 || e.Off <= end && end > 0 {
			t.Fatalf("%+v behind %d", e, end)
		}
		end = e.Off + e.Len
		free += e.Len
	}
	if i := f.Info(); free != i.FreeBytes {
		t.Errorf("%d bytes free, the superblock says %d", free, i.FreeBytes)
	}
}
