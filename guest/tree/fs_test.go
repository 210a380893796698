package tree_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/tree"
)

func sample(typed bool) *mem {
	m := newMem()
	m.typed = typed
	m.put("etc/os-release", tree.Symlink|0o777, "../usr/lib/os-release")
	m.put("usr/lib/os-release", tree.Regular|0o644, "ID=debian\n")
	m.put("usr/bin/su", tree.Regular|tree.Setuid|0o755, "elf")
	m.put("bin", tree.Symlink|0o777, "/usr/bin")
	m.put("dev/null", tree.Char|0o666, "")
	m.put("home/a/file", tree.Regular|0o600, "deep")
	return m
}

func TestFS(t *testing.T) {
	for _, typed := range []bool{true, false} {
		f := tree.New(sample(typed), budget.New(t.Context(), budget.Limits{}))
		if err := fstest.TestFS(f, "etc/os-release", "usr/lib/os-release", "bin", "home/a/file", "dev/null"); err != nil {
			t.Error(err)
		}
	}
}

func TestLinks(t *testing.T) {
	m := sample(true)
	m.put("loop", tree.Symlink, "loop")
	m.put("a", tree.Symlink, "b")
	m.put("b", tree.Symlink, "a")
	m.put("up", tree.Symlink, "../../../../etc/os-release")
	m.put("abs", tree.Symlink, "/bin/./su")
	m.put("through", tree.Symlink, "bin/../lib/os-release") // bin is /usr/bin
	m.put("dangling", tree.Symlink, "nowhere/at/all")
	m.put("empty", tree.Symlink, "")
	m.put("slash", tree.Symlink, "etc/")
	m.put("behind", tree.Symlink, "home/a/file/x")
	m.put("chain0", tree.Symlink, "etc/os-release") // which is a link too
	for i := range 60 {
		m.put(fmt.Sprintf("chain%d", i+1), tree.Symlink, fmt.Sprintf("chain%d", i))
	}
	f := tree.New(m, nil)
	for path, want := range map[string]string{
		"etc/os-release": "ID=debian\n",
		"up":             "ID=debian\n",
		"abs":            "elf",
		"bin/su":         "elf",
		"through":        "ID=debian\n",
		"chain38":        "ID=debian\n",
	} {
		if got, err := fs.ReadFile(f, path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for path, want := range map[string]error{
		"dangling": fs.ErrNotExist, "empty": fs.ErrNotExist, "behind": fs.ErrNotExist, "etc/none": fs.ErrNotExist,
		"home/a/file/x": fs.ErrNotExist, "/etc": fs.ErrInvalid, "etc/": fs.ErrInvalid, "a//b": fs.ErrInvalid, "..": fs.ErrInvalid, "a\x00": fs.ErrInvalid,
	} {
		if _, err := fs.ReadFile(f, path); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", path, err, want)
		}
	}
	for _, path := range []string{"loop", "a", "chain39", "loop/x"} {
		if _, err := f.Stat(path); err == nil || !strings.Contains(err.Error(), "symbolic links") {
			t.Errorf("%s: %v", path, err)
		}
		if i, err := f.Lstat(strings.TrimSuffix(path, "/x")); err != nil || i.Mode().Type() != fs.ModeSymlink {
			t.Errorf("lstat %s: %v", path, err)
		}
	}
	if i, err := f.Stat("slash"); err != nil || !i.IsDir() {
		t.Errorf("a link that ends in a slash: %v", err)
	}
	if got, err := f.ReadLink("abs"); got != "/bin/./su" || err != nil {
		t.Errorf("readlink: %q, %v", got, err)
	}
	if _, err := f.ReadLink("etc"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("readlink of a folder: %v", err)
	}
	if got, err := f.RealPath("chain5"); got != "usr/lib/os-release" || err != nil {
		t.Errorf("realpath: %q, %v", got, err)
	}
	if got, err := f.RealPath("."); got != "." || err != nil {
		t.Errorf("realpath of the root: %q, %v", got, err)
	}
}

func TestModes(t *testing.T) {
	f := tree.New(sample(true), nil)
	i, err := f.Stat("usr/bin/su")
	if err != nil {
		t.Fatal(err)
	}
	if i.Mode() != fs.ModeSetuid|0o755 || tree.AttrOf(i).Mode != tree.Regular|tree.Setuid|0o755 {
		t.Errorf("%v, %o", i.Mode(), tree.AttrOf(i).Mode)
	}
	if b, err := f.ReadFile("dev/null"); err != nil || len(b) > 0 {
		t.Errorf("a device: %q, %v", b, err)
	}
	if _, err := f.ReadFile("etc"); err == nil {
		t.Error("a folder was read")
	}
}

func TestRawNames(t *testing.T) {
	m := newMem()
	names := []string{"\xff\xfe", "a\nb", "..x", "ä", strings.Repeat("n", 255)}
	for _, n := range names {
		m.put("d/"+n, tree.Regular, n)
	}
	f := tree.New(m, nil)
	var got []string
	err := fs.WalkDir(f, ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			var b []byte
			b, err = f.ReadFile(path)
			if string(b) != e.Name() {
				t.Errorf("%q reads %q", path, b)
			}
			got = append(got, e.Name())
		}
		return err
	})
	slices.Sort(names)
	if err != nil || !slices.Equal(got, names) {
		t.Errorf("%q, %v", got, err)
	}
}

// Names that no path can have, as only damage or malice makes them, are told
// and left out.
func TestNamesOfMalice(t *testing.T) {
	m := newMem()
	for _, name := range []string{"good", "..", ".", "", "../../etc/passwd", "nul\x00"} {
		m.link(tree.ID{}, name, m.add(node{attr: tree.Attr{Mode: tree.Regular}}))
	}
	list, err := tree.New(m, nil).ReadDir(".")
	var malformed *disk.Malformed
	if len(list) != 1 || list[0].Name() != "good" || !errors.As(err, &malformed) {
		t.Errorf("%v, %v", list, err)
	}
}

func TestMount(t *testing.T) {
	root, boot, efi := sample(true), newMem(), newMem()
	root.put("boot/hidden", tree.Regular, "")
	root.put("kernel", tree.Symlink, "boot/vmlinuz")
	boot.put("vmlinuz", tree.Regular, "kernel")
	boot.put("release", tree.Symlink, "/etc/os-release")
	boot.put("efi/x", tree.Regular, "")
	efi.put("EFI/BOOT/BOOTX64.EFI", tree.Regular, "pe")
	f, b := tree.New(root, nil), tree.New(boot, nil)
	if err := b.Mount("efi", tree.New(efi, nil)); err != nil {
		t.Fatal(err)
	}
	if err := f.Mount("boot", b); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"kernel": "kernel", "boot/release": "ID=debian\n", "boot/efi/EFI/BOOT/BOOTX64.EFI": "pe",
	} {
		if got, err := f.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if _, err := f.Stat("boot/hidden"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what lies under the mount is seen: %v", err)
	}
	if err := f.Mount("usr/bin/su", b); err == nil {
		t.Error("mounted on a file")
	}
	if err := fstest.TestFS(f, "boot/efi/EFI/BOOT/BOOTX64.EFI"); err != nil {
		t.Error(err)
	}
}

// Folders that lie in themselves, as damaged file systems have them, end.
func TestFolderLoop(t *testing.T) {
	m := newMem()
	inner := m.put("a/b", tree.Dir, "")
	m.link(inner, "again", tree.ID{Ino: 1})
	f := tree.New(m, nil)
	errs := 0
	err := fs.WalkDir(f, ".", func(path string, _ fs.DirEntry, err error) error {
		var malformed *disk.Malformed
		if errors.As(err, &malformed) {
			errs++
			return nil
		}
		return err
	})
	if err != nil || errs != 1 {
		t.Errorf("%d errors, %v", errs, err)
	}
}

func TestBudget(t *testing.T) {
	m := newMem()
	for i := range 1000 {
		m.put(fmt.Sprintf("d/%d", i), tree.Regular, strings.Repeat("x", 2000))
	}
	f := tree.New(m, budget.New(t.Context(), budget.Limits{Memory: 1000}))
	var l *budget.Limit
	if list, err := f.ReadDir("d"); !errors.As(err, &l) || len(list) == 0 {
		t.Errorf("%d entries, %v", len(list), err)
	}
	if _, err := f.ReadFile("d/1"); !errors.As(err, &l) {
		t.Errorf("a large file: %v", err)
	}
	if _, err := tree.New(m, nil).ReadFileMax("d/1", 1999); !errors.As(err, &l) {
		t.Errorf("a file over the caller's limit: %v", err)
	}
	if _, err := f.Open("d/1"); err != nil {
		t.Error(err)
	}
	f = tree.New(m, budget.New(t.Context(), budget.Limits{Steps: 100}))
	for err := error(nil); err == nil; {
		_, err = f.Stat("d/1")
		if err != nil && !errors.As(err, &l) {
			t.Error(err)
		}
	}
}

func TestFolderIsReadOnce(t *testing.T) {
	m := newMem()
	for i := range 1000 {
		m.put(fmt.Sprintf("d/%d", i), tree.Regular, "")
	}
	f := tree.New(m, nil)
	for i := range 1000 {
		if _, err := f.Stat(fmt.Sprintf("d/%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if m.reads > 2 {
		t.Errorf("folders were read %d times", m.reads)
	}
}

func TestSeek(t *testing.T) {
	f := tree.New(sample(true), nil)
	file, err := f.Open("usr/lib/os-release")
	if err != nil {
		t.Fatal(err)
	}
	s := file.(io.ReadSeeker)
	for _, tt := range []struct {
		off    int64
		whence int
		want   string
	}{{3, io.SeekStart, "debian\n"}, {-4, io.SeekEnd, "ian\n"}, {-2, io.SeekCurrent, "n\n"}, {50, io.SeekStart, ""}} {
		if _, err := s.Seek(tt.off, tt.whence); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(s); err != nil || string(got) != tt.want {
			t.Errorf("%d, %d: %q, %v", tt.off, tt.whence, got, err)
		}
	}
	if _, err := s.Seek(-1, io.SeekStart); err == nil {
		t.Error("a negative offset")
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	if _, err := file.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
