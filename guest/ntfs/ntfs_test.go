package ntfs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/ntfs"
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

// makeImage makes a volume and lets fill write into it through ntfs-3g.
func makeImage(t testing.TB, size int64, mountOptions string, fill func(dir string), options ...string) string {
	t.Helper()
	testkit.Need(t, "mkntfs", "ntfs-3g", "fusermount3")
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	run(t, "mkntfs", append(options, "-Q", "-q", "-F", "-L", "Kuva ünï", image)...)
	if fill != nil {
		mount(t, image, mountOptions, fill)
	}
	return image
}

// mount calls do while the image is mounted.
func mount(t testing.TB, image, options string, do func(dir string)) {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		testkit.NotRun(t, "no /dev/fuse")
	}
	testkit.NeedRoot(t)
	dir := testkit.Mountpoint(t, "ntfs")
	run(t, "ntfs-3g", "-o", options, image, dir)
	mounted := true
	unmount := func() {
		if !mounted {
			return
		}
		mounted = false
		for range 50 { // somebody may look into every new mount
			if err := syscall.Unmount(dir, 0); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	t.Cleanup(unmount)
	do(dir)
	unmount()
	// The program writes its last when it ends, behind the mount.
	for range 100 {
		if exec.Command(testkit.Program("ntfsfix"), "-n", image).Run() == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the volume is not clean")
}

func open(t testing.TB, d disk.Disk) (*ntfs.FS, *tree.FS) {
	t.Helper()
	b := budget.New(t.Context(), budget.Limits{})
	f, err := ntfs.Open(d, b)
	if err != nil {
		t.Fatal(err)
	}
	return f, tree.New(f, b)
}

// TestTree reads what ntfs-3g wrote: names, links, streams, holes, compressed
// files.
func TestTree(t *testing.T) {
	const has = guesttest.Links | guesttest.Symlinks | guesttest.Xattrs | guesttest.Sparse
	for _, tt := range []struct {
		name, mount string
		size        int64
		has         guesttest.Features
		options     []string
	}{
		{"4 KiB clusters", "streams_interface=xattr", 200 << 20, has, nil},
		{"compressed", "streams_interface=xattr,compression", 200 << 20, has, []string{"-C"}},
		{"512 byte clusters", "streams_interface=xattr", 100 << 20, guesttest.Symlinks | guesttest.Sparse, []string{"-c", "512"}},
		{"64 KiB clusters", "streams_interface=xattr", 300 << 20, guesttest.Symlinks, []string{"-c", "65536"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var want guesttest.Listing
			image := makeImage(t, tt.size, tt.mount, func(dir string) {
				guesttest.MakeTree(t, dir, tt.has)
				if strings.Contains(tt.mount, "compression") {
					text := strings.Repeat("what is written often is packed well\n", 30_000)
					if err := os.WriteFile(filepath.Join(dir, "packed"), []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want = guesttest.Witness(t, dir)
			}, tt.options...)
			f, files := open(t, guesttest.RawFile(t, image))
			guesttest.Compare(t, files, want, guesttest.Options{
				NoModes: true, NoOwners: true, Times: time.Microsecond,
			})
			i := f.Info()
			if i.Type != "ntfs" || i.Label != "Kuva ünï" || i.Features[0] != "NTFS 3.1" || len(i.Notes) != 0 {
				t.Errorf("%+v", i)
			}
			if out := run(t, "blkid", "-p", "-o", "value", "-s", "UUID", image); strings.TrimSpace(out) != i.UUID {
				t.Errorf("UUID %s, blkid says %s", i.UUID, out)
			}
			space(t, f, image)
			if strings.Contains(tt.mount, "compression") {
				s, err := files.Stat("packed")
				if a := tree.AttrOf(s); err != nil || a.Flags&tree.Compressed == 0 || a.Allocated*4 > a.Size {
					t.Errorf("packed: %+v, %v", a, err)
				}
			}
		})
	}
}

// space compares the free clusters with what ntfsinfo counts.
func space(t *testing.T, f *ntfs.FS, image string) {
	t.Helper()
	var free int64
	for e, err := range f.Free() {
		if err != nil {
			t.Fatal(err)
		}
		free += e.Len / f.Info().BlockSize
	}
	out := run(t, "ntfsinfo", "-m", image)
	_, after, _ := strings.Cut(out, "Free Clusters: ")
	if want, _, _ := strings.Cut(after, " "); want != strconv.FormatInt(free, 10) {
		t.Errorf("%d clusters are free, ntfsinfo says %q", free, want)
	}
}

// Names match without regard to case, but the exact one first.
func TestNames(t *testing.T) {
	image := makeImage(t, 20<<20, "streams_interface=xattr", func(dir string) {
		for _, name := range []string{"Windows/System32/Config/SYSTEM", "two", "TWO", "Ärger/Σίσυφος"} {
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "hiberfil.sys"), []byte("hibr"+strings.Repeat("\x00", 5000)), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	f, files := open(t, guesttest.RawFile(t, image))
	for name, want := range map[string]string{
		"windows/system32/config/system": "Windows/System32/Config/SYSTEM", "two": "two", "TWO": "TWO",
		"äRGER/σίσυφοσ": "", "ÄRGER/ΣΊΣΥΦΟς": "Ärger/Σίσυφος",
	} {
		b, err := files.ReadFile(name)
		if string(b) != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := files.ReadFile("Two"); err != nil {
		t.Errorf("one of two: %v", err)
	}
	if _, err := files.Stat("Windows/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such name: %v", err)
	}
	if _, err := files.Stat("$MFT"); err != nil {
		t.Errorf("a file of the file system: %v", err)
	}
	if n := f.Info().Notes; len(n) != 1 || n[0].ID != ntfs.Hibernated {
		t.Errorf("hibernated: %+v", n)
	}
}

// TestNotes tells of a volume that was not unmounted, by its journal and by its
// own mark, and of one that is cut off.
func TestNotes(t *testing.T) {
	good, err := os.ReadFile(makeImage(t, 4<<20, "", nil))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	restart := func(b []byte, page int, lsn uint64, client uint16) {
		at := bytes.Index(good, bytes.Repeat([]byte{0xff}, 64<<10)) &^ 4095 // the emptied journal
		p := b[at+page*4096:]
		copy(p, "RSTR")
		le.PutUint16(p[24:], 48)
		le.PutUint64(p[48:], lsn)
		le.PutUint16(p[60:], client)
		le.PutUint16(p[62:], 0)
	}
	for name, tt := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"clean":        {func(b []byte) []byte { return b }, ""},
		"open journal": {func(b []byte) []byte { restart(b, 0, 5, 0); return b }, tree.JournalDirty},
		"closed since": {func(b []byte) []byte { restart(b, 0, 5, 0); restart(b, 1, 6, 0xffff); return b }, ""},
		"open since":   {func(b []byte) []byte { restart(b, 0, 5, 0xffff); restart(b, 1, 6, 0); return b }, tree.JournalDirty},
		"cut off":      {func(b []byte) []byte { return b[:len(b)-8192] }, tree.Truncated},
		"marked": {func(b []byte) []byte {
			at := int(le.Uint64(b[48:]))*4096 + 3*1024
			a := attrOf(t, b[at:][:1024], 0x70)
			a[le.Uint16(a[20:])+10] |= 1
			return b
		}, tree.JournalDirty},
	} {
		f, _ := open(t, guesttest.RawBytes(t, tt.change(bytes.Clone(good))))
		got := ""
		for _, n := range f.Info().Notes {
			got += n.ID
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestReparse reads links as Windows makes them, and names what is not read.
func TestReparse(t *testing.T) {
	le16 := func(n int) string { return string([]byte{byte(n), byte(n >> 8)}) }
	utf16 := func(s string) string {
		var b strings.Builder
		for _, r := range s {
			b.WriteString(le16(int(r)))
		}
		return b.String()
	}
	point := func(tag uint32, head, text string) string {
		data := head + text
		return string([]byte{byte(tag), byte(tag >> 8), byte(tag >> 16), byte(tag >> 24)}) + le16(len(data)) + "\x00\x00" + data
	}
	names := func(target string) string { return "\x00\x00" + le16(2*len(target)) + le16(2*len(target)) + "\x00\x00" }
	links := map[string]struct{ data, target string }{
		"junction": {point(0xa0000003, names(`\??\C:\Users\all`), utf16(`\??\C:\Users\all`)), "/Users/all"},
		"volume":   {point(0xa0000003, names(`\??\Volume{1}\`), utf16(`\??\Volume{1}\`)), "Volume{1}/"},
		"absolute": {point(0xa000000c, names(`\??\c:\Users`)+"\x00\x00\x00\x00", utf16(`\??\c:\Users`)), "/Users"},
		"relative": {point(0xa000000c, names(`Users\all`)+"\x01\x00\x00\x00", utf16(`Users\all`)), "Users/all"},
		"other":    {point(0xa0000003, names(`\??\D:\x`), utf16(`\??\D:\x`)), "D:/x"},
	}
	files := map[string]struct{ data, want string }{
		"wof":   {point(0x80000017, "\x01\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x09\x00\x00\x00", ""), "WOF"},
		"wim":   {point(0x80000017, "\x01\x00\x00\x00\x01\x00\x00\x00", ""), "WIM"},
		"dedup": {point(0x80000013, strings.Repeat("x", 30), ""), "deduplicated"},
	}
	image := makeImage(t, 20<<20, "streams_interface=xattr", func(dir string) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(os.MkdirAll(filepath.Join(dir, "Users/all"), 0o755))
		must(os.WriteFile(filepath.Join(dir, "Users/all/file"), []byte("found"), 0o644))
		for name, l := range links {
			must(os.Mkdir(filepath.Join(dir, name), 0o755))
			must(syscall.Setxattr(filepath.Join(dir, name), "system.ntfs_reparse_data", []byte(l.data), 0))
		}
		for name, l := range files {
			must(os.WriteFile(filepath.Join(dir, name), nil, 0o644))
			must(syscall.Setxattr(filepath.Join(dir, name), "system.ntfs_reparse_data", []byte(l.data), 0))
		}
	})
	_, tr := open(t, guesttest.RawFile(t, image))
	for name, l := range links {
		if target, err := tr.ReadLink(name); target != l.target || err != nil {
			t.Errorf("%s: %q, %v", name, target, err)
		}
	}
	for _, name := range []string{"junction/file", "absolute/all/file", "relative/file"} {
		if b, err := tr.ReadFile(name); string(b) != "found" || err != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for name, l := range files {
		_, err := tr.ReadFile(name)
		var refused *disk.Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), l.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestScattered reads a file in thousands of pieces, whose list needs records
// of its own, and its alternate streams.
func TestScattered(t *testing.T) {
	var want guesttest.Listing
	image := makeImage(t, 64<<20, "streams_interface=windows", func(dir string) {
		var all []*os.File
		for i := range 2 {
			f, err := os.Create(filepath.Join(dir, fmt.Sprint("file", i)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, f)
		}
		block := make([]byte, 4096)
		for i := range 3000 {
			for j, f := range all {
				block[0], block[1], block[2] = byte(i), byte(i>>8), byte(j)
				if _, err := f.WriteAt(block, int64(i)*8192); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, f := range all {
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "file0:Zone.Identifier"), []byte("[ZoneTransfer]"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "file1:large"), make([]byte, 200_000), 0o644); err != nil {
			t.Fatal(err)
		}
		want = guesttest.Witness(t, dir)
	})
	f, files := open(t, guesttest.RawFile(t, image))
	guesttest.Compare(t, files, want, guesttest.Options{NoModes: true, NoOwners: true, NoXattrs: true})
	if x, err := files.Xattrs("file0"); err != nil || string(x["user.Zone.Identifier"]) != "[ZoneTransfer]" {
		t.Errorf("%q, %v", x, err)
	}
	i, err := files.Stat("file1")
	if err != nil {
		t.Fatal(err)
	}
	id := tree.AttrOf(i).ID
	if s, err := f.Streams(id); err != nil || len(s) != 1 || s[0] != (ntfs.Stream{Name: "large", Size: 200_000}) {
		t.Errorf("%+v, %v", s, err)
	}
	s, err := f.OpenStream(id, "large")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(io.NewSectionReader(s, 0, s.Size())); len(b) != 200_000 || !disk.IsZero(b) || err != nil {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// TestCorpus reads the volumes of other projects.
func TestCorpus(t *testing.T) {
	if os.Getenv("CORPUS") == "" {
		t.Skip("not run: CORPUS is not set")
	}
	rows := guesttest.Corpus(t, "../testdata/corpus", func(r disktest.Row) bool { return r.Oracle["blkid_type"] == "ntfs" })
	for _, row := range rows {
		t.Run(row.File, func(t *testing.T) {
			r, size, ok := row.Open(t)
			if !ok {
				t.Fatalf("unknown wrapping %q", row.Outer)
			}
			d := guesttest.Raw(t, r, size)
			guesttest.Bounded(t, func(b *budget.Budget) {
				f, err := ntfs.Open(d, b)
				if err != nil {
					t.Fatal(err)
				}
				c, err := guesttest.ReadAll(tree.New(f, b))
				t.Logf("%+v: %+v, %v", f.Info(), c, err)
				if err != nil {
					t.Error(err)
				}
				// 7zz counts the files of the file system too.
				if files, _ := strconv.Atoi(row.Oracle["7zz_files"]); c.Files == 0 || c.Files > files {
					t.Errorf("%d files, 7zz has %d", c.Files, files)
				}
			})
		})
	}
}
