package iso9660_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/iso9660"
	"kuva/guest/tree"
	"kuva/internal/testkit"
)

// makeImage makes a disc of a folder.
func makeImage(t testing.TB, dir string, options ...string) string {
	t.Helper()
	testkit.Need(t, "xorriso")
	image := filepath.Join(t.TempDir(), "image")
	args := append([]string{"-as", "mkisofs", "-quiet", "-o", image}, options...)
	cmd := exec.Command(testkit.Program("xorriso"), append(args, dir)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("xorriso: %v\n%s", err, out)
	}
	return image
}

func open(t testing.TB, d disk.Disk) (*iso9660.FS, *tree.FS) {
	t.Helper()
	b := budget.New(t.Context(), budget.Limits{})
	f, err := iso9660.Open(d, b)
	if err != nil {
		t.Fatal(err)
	}
	return f, tree.New(f, b)
}

// TestRockRidge reads what xorriso and genisoimage wrote with all that POSIX
// has: long names and links in continuation areas, folders that were moved.
func TestRockRidge(t *testing.T) {
	dir := t.TempDir()
	guesttest.MakeTree(t, dir, guesttest.Symlinks|guesttest.Modes|guesttest.Links|guesttest.RawNames|guesttest.Special)
	// The longest targets do not fit the writers.
	for _, name := range []string{"500", "1000", "1023"} {
		if err := os.Remove(filepath.Join(dir, "links", name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sizes/1", "sizes/59", "sizes/4096"} { // bytes count years from 1900
		at := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	want := guesttest.Witness(t, dir)
	image := makeImage(t, dir, "-R", "-J", "-V", "Kuva")
	f, files := open(t, guesttest.RawFile(t, image))
	guesttest.Compare(t, files, want, guesttest.Options{NoNlink: true, NoXattrs: true, Times: time.Second})
	i := f.Info()
	if i.Type != "iso9660" || i.Label != "Kuva" || fmt.Sprint(i.Features) != "[rock-ridge joliet]" || len(i.Notes) != 0 {
		t.Errorf("%+v", i)
	}
	if out, err := exec.Command(testkit.Program("blkid"), "-p", "-o", "value", "-s", "UUID", image).Output(); err != nil || strings.TrimSpace(string(out)) != i.UUID {
		t.Errorf("UUID %s, blkid says %s, %v", i.UUID, out, err)
	}
}

// TestMoved reads folders too deep for the format, which genisoimage moves.
func TestMoved(t *testing.T) {
	testkit.Need(t, "genisoimage")
	dir := t.TempDir()
	deep := strings.Repeat("folder/", 20)
	for _, name := range []string{deep + "file", "a/b/c/d/e/f/g/h/i/j/k/file", "top"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/"+strings.Repeat("component/../", 15)+"./end", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command(testkit.Program("genisoimage"), "-quiet", "-R", "-o", image, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, files := open(t, guesttest.RawFile(t, image))
	guesttest.Compare(t, files, guesttest.Witness(t, dir), guesttest.Options{
		NoNlink: true, NoXattrs: true, Times: time.Second, Extra: []string{"rr_moved"},
	})
}

// TestJoliet reads a disc without Rock Ridge, where case does not matter, and a
// plain one.
func TestJoliet(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"user-data", "Meta Data.yaml", "Größe/日本語.txt", "autounattend.xml"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, files := open(t, guesttest.RawFile(t, makeImage(t, dir, "-J", "--norock", "-V", "cidata")))
	if i := f.Info(); i.Label != "cidata" && i.Label != "CIDATA" || fmt.Sprint(i.Features) != "[joliet]" {
		t.Errorf("%+v", i)
	}
	for name, want := range map[string]string{
		"user-data": "user-data", "META data.YAML": "Meta Data.yaml", "größe/日本語.TXT": "Größe/日本語.txt", "AutoUnattend.xml": "autounattend.xml",
	} {
		if b, err := files.ReadFile(name); string(b) != want || err != nil {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	_, files = open(t, guesttest.RawFile(t, makeImage(t, dir, "--norock", "-V", "cidata")))
	if b, err := files.ReadFile("USER_DAT"); err != nil || string(b) != "user-data" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := files.ReadFile("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestBoot tells what machines may start.
func TestBoot(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"bios.img", "efi.img"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 8192), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image := makeImage(t, dir, "-R", "-b", "bios.img", "-no-emul-boot", "-boot-load-size", "4", "-eltorito-alt-boot", "-e", "efi.img", "-no-emul-boot")
	f, _ := open(t, guesttest.RawFile(t, image))
	b := f.Boot()
	if len(b) != 2 || b[0].Platform != 0 || b[1].Platform != 0xef || !b[0].Bootable || !b[1].Bootable || b[0].Len != 2048 || b[0].Off == 0 {
		t.Errorf("%+v", b)
	}
}

// TestExtents reads a file of two extents: its record is made two by hand.
func TestExtents(t *testing.T) {
	dir := t.TempDir()
	want := bytes.Repeat([]byte("0123456789abcdef"), 300)
	for name, b := range map[string][]byte{"aa": want[:2048], "ab": want[2048:]} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(makeImage(t, dir, "--norock"))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte("\x04AA.;1"))
	if at < 0 {
		at = bytes.Index(b, []byte("\x05AA.;1"))
	}
	if at < 0 {
		t.Fatal("no record")
	}
	b[at-7] |= 0x80
	_, files := open(t, guesttest.RawBytes(t, b))
	list, err := files.ReadDir(".")
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if got, err := files.ReadFile("AA"); !bytes.Equal(got, want) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestCorpus reads the discs of other projects.
func TestCorpus(t *testing.T) {
	rows := guesttest.Corpus(t, "../testdata/corpus", func(r disktest.Row) bool { return r.Oracle["blkid_type"] == "iso9660" && r.Class != "disk" })
	for _, row := range rows {
		t.Run(row.File, func(t *testing.T) {
			r, size, ok := row.Open(t)
			if !ok {
				t.Fatalf("unknown wrapping %q", row.Outer)
			}
			d := guesttest.Raw(t, r, size)
			guesttest.Bounded(t, func(b *budget.Budget) {
				f, err := iso9660.Open(d, b)
				if err != nil {
					t.Fatal(err)
				}
				i := f.Info()
				if want := strings.ReplaceAll(row.Oracle["blkid_label"], `\ `, " "); i.Label != want || i.UUID != row.Oracle["blkid_uuid"] {
					t.Errorf("%+v, want label %q, UUID %q", i, want, row.Oracle["blkid_uuid"])
				}
				c, err := guesttest.ReadAll(tree.New(f, b))
				t.Logf("%+v: %+v, %v", i, c, err)
				if strings.HasPrefix(row.Expected, "bounded") {
					for _, err := range append(c.Errors, err) {
						if !guesttest.Sane(err) {
							t.Error(err)
						}
					}
					return
				}
				if err != nil || len(c.Errors) > 0 {
					t.Errorf("%v, %v", c.Errors, err)
				}
				files, _ := strconv.Atoi(row.Oracle["7zz_files"])
				folders, _ := strconv.Atoi(row.Oracle["7zz_dirs"])
				if strings.Contains(row.File, "rr_moved") {
					// 7zz shows what stands for the moved folder as a file, and
					// the folder that it was moved to.
					files, folders = files-1, folders-1
				}
				if c.Files+c.Links != files || c.Dirs-1 != folders {
					t.Errorf("%d files and %d folders, 7zz has %d and %d", c.Files+c.Links, c.Dirs-1, files, folders)
				}
			})
		})
	}
}

// TestS166 reads discs that lie: folders in themselves, names that go on in
// themselves, places outside.
func TestS166(t *testing.T) {
	dir := t.TempDir()
	for i := range 40 {
		name := filepath.Join(dir, fmt.Sprintf("folder%d/%s", i, strings.Repeat("n", 200)))
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(strings.Repeat("x/", 200), filepath.Join(name, "link")); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(makeImage(t, dir, "-R"))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	const pvd = 16 * 2048
	root := int64(le.Uint32(good[pvd+158:])) * 2048
	all := func(sig string, change func(b []byte)) func(b []byte) {
		return func(b []byte) {
			for at := root; at < int64(len(b))-64; at++ {
				if string(b[at:at+2]) == sig && b[at+3] == 1 {
					change(b[at:])
				}
			}
		}
	}
	for _, tt := range []struct {
		name, want string // a part of the first error; "" for any or none
		change     func(b []byte)
	}{
		{"blocks of 0", "blocks of 0", func(b []byte) { le.PutUint16(b[pvd+128:], 0) }},
		{"no primary descriptor", "no primary", func(b []byte) { b[pvd] = 3 }},
		{"root outside", "outside", func(b []byte) { le.PutUint32(b[pvd+158:], 1<<31) }},
		{"root of 4 GiB", "a folder of", func(b []byte) { le.PutUint32(b[pvd+166:], 1<<32-1) }},
		{"root record too short", "cut off", func(b []byte) { b[pvd+156] = 20 }},
		{"names that go on in themselves", "more than", func(b []byte) {
			for at := root; at < int64(len(b))-64; at++ {
				if string(b[at:at+4]) == "CE\x1c\x01" {
					le.PutUint32(b[at+4:], uint32(at/2048))
					le.PutUint32(b[at+12:], uint32(at%2048))
					le.PutUint32(b[at+20:], 28)
				}
			}
		}},
		{"names that go on for 4 GiB", "goes on for", all("CE", func(b []byte) { le.PutUint32(b[20:], 1<<32-1) })},
		{"names that go on outside", "outside", all("CE", func(b []byte) { le.PutUint32(b[4:], 1<<32-1) })},
		{"all folders are the root", "", func(b []byte) {
			for at := root; at < root+4096; at += max(int64(b[at]), 1) {
				le.PutUint32(b[at+2:], uint32(root/2048))
				le.PutUint32(b[at+10:], le.Uint32(b[pvd+166:]))
			}
		}},
		{"records of 0 bytes inside", "", func(b []byte) { clear(b[root+68 : root+300]) }},
		{"moved folders are the root", "", all("NM", func(b []byte) {
			copy(b, "CL\x0c\x01")
			le.PutUint32(b[4:], uint32(root/2048))
		})},
		{"files of endless pieces", "", func(b []byte) {
			for at := root; at < root+4096; at += max(int64(b[at]), 1) {
				b[at+25] |= 0x80
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(good)
			tt.change(b)
			d := guesttest.RawBytes(t, b)
			guesttest.Bounded(t, func(*budget.Budget) {
				bud := budget.New(t.Context(), budget.Limits{Steps: 500_000})
				f, err := iso9660.Open(d, bud)
				if err == nil {
					var c guesttest.Counts
					c, err = guesttest.ReadAll(tree.New(f, bud))
					for _, err := range c.Errors {
						if !guesttest.Sane(err) {
							t.Errorf("not an error of the format: %v", err)
						}
					}
					if len(c.Errors) > 0 {
						err = c.Errors[0]
					}
				}
				if !guesttest.Sane(err) {
					t.Errorf("not an error of the format: %v", err)
				}
				if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			})
		})
	}
}

// FuzzISO reads all of whatever opens.
func FuzzISO(f *testing.F) {
	seed := make([]byte, 20*2048)
	pvd := seed[16*2048:]
	copy(pvd, "\x01CD001\x01")
	le := binary.LittleEndian
	le.PutUint16(pvd[128:], 2048)
	le.PutUint32(pvd[80:], 20)
	entry := func(b []byte, block, size uint32, flags byte, name, system string) int {
		n := (33 + len(name) + 1) &^ 1
		b[0], b[25], b[32] = byte(n+len(system)), flags, byte(len(name))
		le.PutUint32(b[2:], block)
		le.PutUint32(b[10:], size)
		copy(b[33:], name)
		copy(b[n:], system)
		return n + len(system)
	}
	entry(pvd[156:], 18, 2048, 2, "\x00", "")
	copy(seed[17*2048:], "\xffCD001\x01")
	dir := seed[18*2048:]
	n := entry(dir, 18, 2048, 2, "\x00", "SP\x07\x01\xbe\xef\x00RR\x05\x01\x00")
	n += entry(dir[n:], 18, 2048, 2, "\x01", "")
	n += entry(dir[n:], 19, 100, 0, "FILE.;1", "NM\x09\x01\x00file")
	entry(dir[n:], 19, 100, 0, "LINK.;1", "SL\x0a\x01\x00\x00\x03abc")
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		bud := budget.New(t.Context(), budget.Limits{Steps: 200_000, Read: 64 << 20, Memory: 64 << 20})
		v, err := iso9660.Open(guesttest.RawBytes(t, b), bud)
		if err == nil {
			var c guesttest.Counts
			c, err = guesttest.ReadAll(tree.New(v, bud))
			for _, err := range c.Errors {
				if !guesttest.Sane(err) {
					t.Error(err)
				}
			}
		}
		if !guesttest.Sane(err) {
			t.Error(err)
		}
	})
}
