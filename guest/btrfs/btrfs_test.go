package btrfs_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/guest/btrfs"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/internal/testkit"
)

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	testkit.Need(t, program)
	out, err := exec.Command(testkit.Program(program), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// makeImage makes a file system on one device.
func makeImage(t testing.TB, size int64, options ...string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.btrfs", append(options, "-q", "-L", "kuva", image)...)
	return image
}

// mount calls do while the kernel has the image mounted.
func mount(t testing.TB, image, options string, do func(dir string)) {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.Need(t, "mount")
	dir := testkit.Mountpoint(t, "btrfs")
	if out, err := exec.Command("mount", "-t", "btrfs", "-o", "loop,"+options, image, dir).CombinedOutput(); err != nil {
		testkit.NotRun(t, fmt.Sprintf("no mount of btrfs on a loop device: %v: %s", err, out))
	}
	mounted := true
	unmount := func() {
		for range 100 { // somebody may look into every new mount
			if !mounted || syscall.Unmount(dir, 0) == nil {
				mounted = false
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Errorf("%s stays mounted", dir)
	}
	t.Cleanup(unmount)
	do(dir)
	unmount()
}

func open(t testing.TB, d disk.Disk) (*btrfs.FS, *tree.FS) {
	t.Helper()
	b := budget.New(t.Context(), budget.Limits{})
	f, err := btrfs.Open(d, b)
	if err != nil {
		t.Fatal(err)
	}
	return f, tree.New(f, b)
}

// TestTree reads what the kernel wrote in all ways of compression.
func TestTree(t *testing.T) {
	for _, tt := range []struct {
		mount   string
		has     guesttest.Features
		options []string
	}{
		{"compress=no", guesttest.All, []string{"-M", "-m", "single"}},
		{"compress-force=zlib", guesttest.Sparse | guesttest.Symlinks, []string{"-n", "4096", "-m", "dup"}},
		{"compress-force=lzo", guesttest.Sparse, []string{"-O", "no-holes"}},
		{"compress-force=zstd", guesttest.Sparse, []string{"-n", "65536"}},
		{"max_inline=0", 0, []string{"-O", "^no-holes", "--csum", "xxhash"}},
	} {
		t.Run(tt.mount, func(t *testing.T) {
			image := makeImage(t, 256<<20, tt.options...)
			var want guesttest.Listing
			mount(t, image, tt.mount, func(dir string) {
				guesttest.MakeTree(t, dir, tt.has)
				f, err := os.Create(filepath.Join(dir, "allocated"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if err := syscall.Fallocate(int(f.Fd()), 0, 0, 300_000); err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteAt([]byte("in the middle"), 100_000); err != nil {
					t.Fatal(err)
				}
				want = guesttest.Witness(t, dir)
			})
			f, files := open(t, guesttest.RawFile(t, image))
			guesttest.Compare(t, files, want, guesttest.Options{Times: time.Nanosecond, FolderTimes: true})
			i := f.Info()
			if i.Type != "btrfs" || i.Label != "kuva" || len(i.Notes) != 0 || i.Size != 256<<20 {
				t.Errorf("%+v", i)
			}
			if out := run(t, "blkid", "-p", "-o", "value", "-s", "UUID", image); strings.TrimSpace(out) != i.UUID {
				t.Errorf("UUID %s, blkid says %s", i.UUID, out)
			}
		})
	}
}

// TestRootdir reads what mkfs.btrfs wrote, which needs no mount.
func TestRootdir(t *testing.T) {
	dir := t.TempDir()
	guesttest.MakeTree(t, dir, guesttest.Symlinks|guesttest.Modes)
	image := makeImage(t, 256<<20, "--rootdir", dir, "--shrink", "--csum", "sha256")
	_, files := open(t, guesttest.RawFile(t, image))
	guesttest.Compare(t, files, guesttest.Witness(t, dir), guesttest.Options{})
}

// TestSubvolumes: subvolumes in each other, snapshots, the default one.
func TestSubvolumes(t *testing.T) {
	image := makeImage(t, 128<<20)
	var want guesttest.Listing
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var def string
	mount(t, image, "compress=no", func(dir string) {
		if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, sub := range []string{"@", "folder/home", "@/var", "@/.snapshots"} {
			run(t, "btrfs", "subvolume", "create", filepath.Join(dir, sub))
			write(filepath.Join(dir, sub, "name"), sub)
		}
		run(t, "btrfs", "subvolume", "snapshot", "-r", filepath.Join(dir, "@"), filepath.Join(dir, "@/.snapshots/1"))
		write(filepath.Join(dir, "@/name"), "changed")
		run(t, "btrfs", "subvolume", "snapshot", filepath.Join(dir, "@"), filepath.Join(dir, "@/.snapshots/2"))
		def = filepath.Join(dir, "@/.snapshots/2")
		want = guesttest.Witness(t, dir)
	})
	f, files := open(t, guesttest.RawFile(t, image))
	guesttest.Compare(t, files, want, guesttest.Options{Times: time.Nanosecond})
	subs, err := f.Subvolumes()
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, s := range subs {
		got += fmt.Sprintf("%d in %d %q snapshot %v read-only %v default %v\n", s.ID, s.Parent, s.Path, s.Snapshot, s.ReadOnly, s.Default)
	}
	if want := `5 in 0 "" snapshot false read-only false default true
256 in 5 "@" snapshot false read-only false default false
257 in 5 "folder/home" snapshot false read-only false default false
258 in 256 "@/var" snapshot false read-only false default false
259 in 256 "@/.snapshots" snapshot false read-only false default false
260 in 259 "@/.snapshots/1" snapshot true read-only true default false
261 in 259 "@/.snapshots/2" snapshot true read-only false default false
`; got != want {
		t.Errorf("subvolumes:\n%swant:\n%s", got, want)
	}
	r, err := f.Subvolume(260)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := tree.New(r, nil).ReadFile("name"); string(b) != "@" || err != nil {
		t.Errorf("the first snapshot: %q, %v", b, err)
	}
	if _, err := f.Subvolume(999); err == nil {
		t.Error("subvolume 999 exists")
	}

	mount(t, image, "compress=no", func(dir string) {
		run(t, "btrfs", "subvolume", "set-default", filepath.Join(dir, strings.TrimPrefix(def, filepath.Dir(filepath.Dir(filepath.Dir(def))))))
	})
	mount(t, image, "compress=no", func(dir string) { want = guesttest.Witness(t, dir) })
	f, files = open(t, guesttest.RawFile(t, image))
	guesttest.Compare(t, files, want, guesttest.Options{Times: time.Nanosecond})
	if _, err := files.Stat("name"); err != nil || f.Root().Tree != 261 {
		t.Errorf("the default is %d, %v", f.Root().Tree, err)
	}
}

// TestDevices: file systems over several devices are refused by name.
func TestDevices(t *testing.T) {
	dir := t.TempDir()
	var images []string
	for i := range 2 {
		images = append(images, filepath.Join(dir, fmt.Sprint(i)))
		if err := os.WriteFile(images[i], nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(images[i], 256<<20); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "mkfs.btrfs", "-q", "-m", "raid1", "-d", "raid0", images[0], images[1])
	for _, image := range images {
		_, err := btrfs.Open(guesttest.RawFile(t, image), nil)
		var refused *disk.Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "devices") {
			t.Errorf("one of two devices: %v", err)
		}
	}
}

// TestCorpus reads the file systems of other projects: sound ones without an
// error, damaged ones within bounds (S-163).
func TestCorpus(t *testing.T) {
	if os.Getenv("CORPUS") == "" {
		t.Skip("not run: CORPUS is not set")
	}
	rows := guesttest.Corpus(t, "../testdata/corpus", func(r disktest.Row) bool { return r.Class == "btrfs" })
	for _, row := range rows {
		t.Run(row.File, func(t *testing.T) {
			if n, _ := strconv.ParseInt(row.Oracle["inner_size"], 10, 64); n > 512<<20 && os.Getenv("KUVA_SOAK") == "" {
				t.Skip("not run: more than 512 MiB, KUVA_SOAK is not set")
			}
			r, size, ok := row.Open(t)
			if !ok {
				t.Fatalf("unknown wrapping %q", row.Outer)
			}
			d := guesttest.Raw(t, r, size)
			guesttest.Bounded(t, func(b *budget.Budget) {
				var c guesttest.Counts
				f, err := btrfs.Open(d, b)
				if err == nil {
					c, err = guesttest.ReadAll(tree.New(f, b))
				}
				t.Logf("%+v, %v", c, err)
				for _, err := range append(c.Errors, err) {
					if !guesttest.Sane(err) {
						t.Errorf("not an error of the format: %v", err)
					}
					var refused *disk.Refused
					if err != nil && row.Oracle["btrfs_check_rc"] == "0" && !errors.As(err, &refused) {
						t.Error(err)
					}
				}
			})
		})
	}
}
