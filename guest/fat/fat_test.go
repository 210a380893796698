package fat_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/guest/budget"
	"kuva/guest/fat"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/internal/testkit"
)

func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	testkit.Need(t, program)
	cmd := exec.Command(testkit.Program(program), args...)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "TZ=UTC", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// makeImage makes a file system and lets mtools fill it with a tree.
func makeImage(t testing.TB, size int64, dir string, options ...string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.vfat", append(options, image)...)
	if dir != "" {
		entries, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		run(t, "mcopy", append([]string{"-s", "-m", "-Q", "-i", image}, append(entries, "::")...)...)
	}
	return image
}

func open(t testing.TB, d disk.Disk) (*fat.FS, *tree.FS) {
	t.Helper()
	b := budget.New(t.Context(), budget.Limits{})
	f, err := fat.Open(d, b)
	if err != nil {
		t.Fatal(err)
	}
	return f, tree.New(f, b)
}

// makeTree is smaller than guesttest's: mtools takes a minute for 4,000 names.
func makeTree(t testing.TB, dir string) {
	rng := rand.NewChaCha8([32]byte{})
	file := func(name string, size int) {
		t.Helper()
		b := make([]byte, size)
		_, _ = rng.Read(b)
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		at := time.Date(2001+size%50, 2, 3, 4, 5, 6, 0, time.UTC)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		file(fmt.Sprintf("many/a file with a longer name %d.text", i), i)
	}
	for _, n := range []int{0, 1, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537, 3_000_000} {
		file(fmt.Sprintf("sizes/%d", n), n)
	}
	file(strings.Repeat("folder/", 30)+"end", 7)
	for _, name := range []string{"SHORT.TXT", "lower.txt", "Mixed.Txt", "ünï", "日本語", "with space", "a.b.c", strings.Repeat("x", 255), "plus+[]", "thirteen char", "1234567890123"} {
		file("names/"+name, 9)
	}
}

// TestTree reads what mtools wrote into all kinds of FAT.
func TestTree(t *testing.T) {
	testkit.Need(t, "mkfs.vfat", "mcopy", "fsck.vfat")
	dir := t.TempDir()
	makeTree(t, dir)
	want := guesttest.Witness(t, dir)
	for _, tt := range []struct {
		kind    string
		size    int64
		options []string
	}{
		{"FAT32", 80 << 20, []string{"-F", "32", "-s", "1", "-n", "KUVA", "-i", "1234abcd"}},
		{"FAT16", 64 << 20, []string{"-F", "16", "-s", "4", "-n", "KUVA", "-i", "1234abcd", "-r", "4096"}},
		{"FAT12", 64 << 20, []string{"-F", "12", "-s", "64", "-n", "KUVA", "-i", "1234abcd", "-r", "4096"}},
		{"FAT16", 512 << 20, []string{"-F", "16", "-s", "128", "-n", "KUVA", "-i", "1234abcd", "-r", "4096"}},
		{"FAT32", 300 << 20, []string{"-F", "32", "-S", "4096", "-s", "1", "-n", "KUVA", "-i", "1234abcd"}},
	} {
		t.Run(fmt.Sprint(tt.kind, " ", tt.options), func(t *testing.T) {
			image := makeImage(t, tt.size, dir, tt.options...)
			f, files := open(t, guesttest.RawFile(t, image))
			guesttest.Compare(t, files, want, guesttest.Options{
				NoModes: true, NoOwners: true, NoNlink: true, NoXattrs: true, Times: 2 * time.Second,
			})
			i := f.Info()
			if i.Type != "vfat" || i.Label != "KUVA" || i.UUID != "1234-ABCD" || i.Features[0] != tt.kind || len(i.Notes) != 0 {
				t.Errorf("%+v", i)
			}
			space(t, f, image)
		})
	}
}

// space compares the free clusters with what fsck counts.
func space(t *testing.T, f *fat.FS, image string) {
	t.Helper()
	var free int64
	for e, err := range f.Free() {
		if err != nil {
			t.Fatal(err)
		}
		free += e.Len
	}
	out := run(t, "fsck.vfat", "-n", image)
	_, counts, _ := strings.Cut(out[:strings.LastIndex(out, " clusters")], " files, ")
	used, total, _ := strings.Cut(counts, "/")
	u, err1 := strconv.ParseInt(used, 10, 64)
	n, err2 := strconv.ParseInt(total, 10, 64)
	i := f.Info()
	if err1 != nil || err2 != nil || free != (n-u)*i.BlockSize {
		t.Errorf("%d bytes are free; fsck says %s of %s clusters of %d are used", free, used, total, i.BlockSize)
	}
	if i.FreeBytes >= 0 && i.FreeBytes != free {
		t.Errorf("the counter says %d, the table %d", i.FreeBytes, free)
	}
}

// TestMany reads a folder of 4,000 long names in clusters that are not in
// order, made by hand; fsck has nothing against it.
func TestMany(t *testing.T) {
	image := makeImage(t, 40<<20, "", "-F", "32", "-s", "1", "-R", "32", "-f", "1")
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	table := b[32*512:]
	data := 32*512 + int(le.Uint32(b[36:]))*512
	var slots []byte
	want := map[string]bool{}
	for i := range 4000 {
		name := fmt.Sprintf("a name 😀 that takes three parts %d", i)
		want[name] = true
		short := fmt.Sprintf("N%07dTXT", i)
		slots = append(slots, handmade(name, short)...)
	}
	clusters := (len(slots) + 511) / 512
	slots = append(slots, make([]byte, clusters*512-len(slots))...)
	at := func(i int) int { // the root is cluster 2; behind it every third
		if i == 0 {
			return 2
		}
		return 3 + i*3%clusters + i*3/clusters*clusters
	}
	for i := range clusters {
		copy(b[data+(at(i)-2)*512:], slots[i*512:][:512])
		next := 0x0fffffff
		if i+1 < clusters {
			next = at(i + 1)
		}
		le.PutUint32(table[4*at(i):], uint32(next))
	}
	if err := os.WriteFile(image, b, 0o600); err != nil {
		t.Fatal(err)
	}
	// The counter of free clusters is now wrong, which fsck says with code 1.
	out, _ := exec.Command(testkit.Program("fsck.vfat"), "-n", image).CombinedOutput()
	if !strings.Contains(string(out), "4000 files") || strings.Contains(string(out), "Reclaim") || strings.Contains(string(out), "Truncating") {
		t.Fatalf("fsck: %s", out)
	}
	_, files := open(t, guesttest.RawBytes(t, b))
	list, err := files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		delete(want, e.Name())
		if _, err := files.Stat(e.Name()); err != nil {
			t.Fatal(err)
		}
	}
	if len(list) != 4000 || len(want) != 0 {
		t.Errorf("%d names, %d missing", len(list), len(want))
	}
}

// handmade gives the entries of an empty file.
func handmade(name, short string) []byte {
	var sum byte
	for _, c := range []byte(short) {
		sum = sum>>1 | sum<<7
		sum += c
	}
	u := append(utf16.Encode([]rune(name)), 0)
	for len(u)%13 != 0 {
		u = append(u, 0xffff)
	}
	var b []byte
	for n := len(u) / 13; n > 0; n-- {
		slot := make([]byte, 32)
		slot[0], slot[11], slot[13] = byte(n), 0x0f, sum
		if n == len(u)/13 {
			slot[0] |= 0x40
		}
		for i, at := range []int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30} {
			binary.LittleEndian.PutUint16(slot[at:], u[(n-1)*13+i])
		}
		b = append(b, slot...)
	}
	slot := make([]byte, 32)
	copy(slot, short)
	return append(b, slot...)
}

// Names match by the long and the short name, without regard to case.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"EFI/BOOT/bootx64.efi", "Long name with spaces.text", "lower.txt", "Straße.ini"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image := makeImage(t, 4<<20, dir)
	run(t, "mattrib", "+r", "+h", "+s", "-i", image, "::lower.txt")
	_, files := open(t, guesttest.RawFile(t, image))
	for _, name := range []string{"efi/boot/BOOTX64.EFI", "LONGNA~1.TEX", "long NAME with spaces.TEXT", "LOWER.TXT", "STRAßE.INI"} {
		if _, err := files.ReadFile(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"LONGNA~2.TEX", "lower", "lower.txt/x", "efi/boot/no"} {
		if _, err := files.ReadFile(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	i, err := files.Stat("lower.txt")
	if err != nil {
		t.Fatal(err)
	}
	if a := tree.AttrOf(i); a.Flags != tree.Readonly|tree.Hidden|tree.System || a.Mode != tree.Regular|0o444 {
		t.Errorf("%+v", a)
	}
}

// A file system that is in use, and one larger than its disk.
func TestNotes(t *testing.T) {
	image := makeImage(t, 64<<20, "", "-F", "32")
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	b[65] |= 1
	f, _ := open(t, guesttest.RawBytes(t, b))
	if n := f.Info().Notes; len(n) != 1 || n[0].ID != tree.JournalDirty {
		t.Errorf("in use: %+v", n)
	}
	b[65] &^= 1
	b[32*512+7] &^= 0x08 // bit 27 of the second entry of the table
	if f, _ = open(t, guesttest.RawBytes(t, b)); len(f.Info().Notes) != 1 || f.Info().Notes[0].ID != tree.JournalDirty {
		t.Errorf("in use, by the table: %+v", f.Info().Notes)
	}
	b[32*512+7] = 0x0f &^ 0x04
	if f, _ = open(t, guesttest.RawBytes(t, b[:40<<20])); len(f.Info().Notes) != 2 {
		t.Errorf("errors, and cut off: %+v", f.Info().Notes)
	}
}

// TestCorpus: file systems of other projects, as their oracle counted.
func TestCorpus(t *testing.T) {
	rows := guesttest.Corpus(t, "../testdata/corpus", func(r disktest.Row) bool { return r.Oracle["blkid_type"] == "vfat" })
	for _, row := range rows {
		t.Run(row.File, func(t *testing.T) {
			r, size, ok := row.Open(t)
			if !ok {
				t.Fatalf("unknown wrapping %q", row.Outer)
			}
			d := guesttest.Raw(t, r, size)
			guesttest.Bounded(t, func(b *budget.Budget) {
				f, err := fat.Open(d, b)
				if err != nil && row.Class == "ext" && guesttest.Sane(err) {
					return // a floppy's boot sector in an ext2 that was destroyed
				}
				if err != nil {
					t.Fatal(err)
				}
				i := f.Info()
				if i.Features[0] != row.Oracle["blkid_version"] || i.Label != row.Oracle["blkid_label"] || i.UUID != row.Oracle["blkid_uuid"] {
					t.Errorf("%+v", i)
				}
				c, err := guesttest.ReadAll(tree.New(f, b))
				t.Logf("%+v, %v", c, err)
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
				files := c.Files
				if i.Label != "" && row.Oracle["fls_reg"] == strconv.Itoa(files+1) {
					files++ // fls counts the label
				}
				if strconv.Itoa(files) != row.Oracle["fls_reg"] || strconv.Itoa(c.Dirs-1) != row.Oracle["fls_dir"] {
					t.Errorf("%d files, %d folders; fls says %s, %s", files, c.Dirs-1, row.Oracle["fls_reg"], row.Oracle["fls_dir"])
				}
			})
		})
	}
}

// TestS165 reads file systems that lie, of all widths.
func TestS165(t *testing.T) {
	le := binary.LittleEndian
	set16 := func(at int, v uint16) func([]byte) { return func(b []byte) { le.PutUint16(b[at:], v) } }
	set32 := func(at int, v uint32) func([]byte) { return func(b []byte) { le.PutUint32(b[at:], v) } }
	set := func(at int, v byte) func([]byte) { return func(b []byte) { b[at] = v } }
	dir := t.TempDir()
	for i := range 30 { // more than a cluster of names
		name := filepath.Join(dir, fmt.Sprintf("a folder with a long name %d", i))
		if err := os.MkdirAll(filepath.Join(name, "below"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(name, "file"), make([]byte, 5000), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(makeImage(t, 40<<20, dir, "-F", "32", "-s", "1", "-R", "32"))
	if err != nil {
		t.Fatal(err)
	}
	const table = 32 * 512
	root := table + 2*512*int(le.Uint32(good[36:]))
	for _, tt := range []struct {
		name, want string // a part of the error; "" for an image that opens all the same
		change     func(b []byte)
	}{
		{"no sectors per cluster", "clusters of 0 sectors", set(13, 0)},
		{"three sectors per cluster", "clusters of 3 sectors", set(13, 3)},
		{"sectors of 0", "sectors of 0 bytes", set16(11, 0)},
		{"sectors of 32 KiB", "sectors of 32768 bytes", set16(11, 32768)},
		{"no tables", "no allocation table", set(16, 0)},
		{"table of no sectors", "no sectors", set32(36, 0)},
		{"table beyond the end", "the data begin", set32(36, 1<<20)},
		{"2^32 sectors of table", "the data begin", set32(36, 1<<32-1)},
		{"no sectors at all", "the data begin", set32(32, 0)},
		{"volume of 2 TiB", "", set32(32, 1<<32-1)},
		{"root outside", "cluster 268435455", set32(44, 0x0fffffff)},
		{"root at 0", "cluster 0", set32(44, 0)},
		{"version", "version", set16(42, 1)},
		{"table 7 of 2", "table 7", set(40, 0x87)},
		{"root goes round", "go round", set32(table+8, 2)},
		{"root goes to a free cluster", "is followed by 0", set32(table+8, 0)},
		{"root goes outside", "is followed by", set32(table+8, 0x0ffffff0)},
		{"everything is cluster 2", "go round", func(b []byte) {
			for i := 2; i < 70_000; i++ {
				le.PutUint32(b[table+4*i:], 2)
			}
		}},
		{"one endless chain", "longer than", func(b []byte) {
			for i := 2; i < 70_000; i++ {
				le.PutUint32(b[table+4*i:], uint32(i+1))
			}
			for i := root; i < root+5000*512; i += 32 {
				b[i] = 0xe5
			}
		}},
		{"folders inside themselves", "", func(b []byte) {
			for i := root; i < root+100*512; i += 32 {
				if b[i] != 0 && b[i+11] == 0x10 {
					le.PutUint16(b[i+26:], 2)
					le.PutUint16(b[i+20:], 0)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := append([]byte(nil), good...)
			tt.change(b)
			d := guesttest.RawBytes(t, b)
			guesttest.Bounded(t, func(*budget.Budget) {
				bud := budget.New(t.Context(), budget.Limits{Steps: 2_000_000})
				f, err := fat.Open(d, bud)
				if err == nil {
					var c guesttest.Counts
					c, err = guesttest.ReadAll(tree.New(f, bud))
					if err == nil && len(c.Errors) > 0 {
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

// FuzzFAT reads all of whatever opens.
func FuzzFAT(f *testing.F) {
	seed := make([]byte, 6*512)
	copy(seed, "\xeb\x3c\x90mkfs.fat\x00\x02\x01\x01\x00\x01\x10\x00\x06\x00\xf8\x01\x00")
	copy(seed[510:], "\x55\xaa")
	copy(seed[512:], "\xf8\xff\xff\xff\xff\xff")
	copy(seed[1024:], handmade("a long name", "ALONGN~1TXT"))
	copy(seed[1024+11*32:], "DIR     \x20\x20\x20\x10")
	seed[1024+11*32+26] = 2
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		bud := budget.New(t.Context(), budget.Limits{Steps: 200_000, Read: 64 << 20, Memory: 64 << 20})
		v, err := fat.Open(guesttest.RawBytes(t, b), bud)
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
