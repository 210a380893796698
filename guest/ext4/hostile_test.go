package ext4_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/ext4"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
)

// TestHostile (S-161): one case for each way in which a file system can lie
// about itself. All of them end within the budget, and say what is wrong.
func TestHostile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b/file", "a/other", "plain"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("x"), 50_000), 0o644))
	}
	must(t, os.Symlink("link", filepath.Join(dir, "link")))
	extents := mke2fs(t, 4<<20, "-b", "1024", "-O", "extents,filetype,64bit", "-d", dir)
	blockMap := mke2fs(t, 4<<20, "-b", "1024", "-O", "filetype", "-d", dir)

	const super = 1024
	le := binary.LittleEndian
	const spare = 4000 // a block that nobody uses
	// A node of one index that points to itself.
	loop := le.AppendUint16(nil, 0xf30a)
	for _, v := range []uint16{1, 84, 1, 0, 0, 0, 0, spare, 0, 0, 0} {
		loop = le.AppendUint16(loop, v)
	}
	pointers := make([]byte, 1024) // a block map in which every pointer is its own block
	for i := 0; i < len(pointers); i += 4 {
		le.PutUint32(pointers[i:], spare)
	}
	type patch struct {
		off  int64
		data []byte
	}
	for _, tt := range []struct {
		name    string
		image   string
		debugfs []string
		patches []patch
		// what: "open" does not open, "list" lists with errors, "read" reads
		// with errors, "ok" does all.
		what string
	}{
		{"untouched", extents, nil, nil, "ok"},
		{"blocks of 2^31", extents, nil, []patch{{super + 24, []byte{21, 0, 0, 0}}}, "open"},
		{"group descriptors of 0 bytes", extents, nil, []patch{{super + 254, []byte{0, 0}}}, "open"},
		{"group descriptors of 65 bytes", extents, nil, []patch{{super + 254, []byte{65, 0}}}, "open"},
		{"2^64-1 blocks", extents, nil, []patch{{super + 4, []byte{255, 255, 255, 255}}, {super + 336, []byte{255, 255, 255, 255}}}, "open"},
		{"2^32-1 inodes", extents, nil, []patch{{super, []byte{255, 255, 255, 255}}}, "open"},
		{"no inodes in a group", extents, nil, []patch{{super + 40, []byte{0, 0, 0, 0}}}, "open"},
		{"no blocks in a group", extents, nil, []patch{{super + 32, []byte{0, 0, 0, 0}}}, "open"},
		{"inodes of 1 byte", extents, nil, []patch{{super + 88, []byte{1, 0}}}, "open"},
		{"inodes larger than blocks", extents, nil, []patch{{super + 88, []byte{0, 8}}}, "open"},
		{"unknown features", extents, nil, []patch{{super + 99, []byte{0x80}}}, "open"},
		{"meta groups far away", extents, nil, []patch{{super + 96, []byte{0x52}}, {super + 260, []byte{0, 0, 0, 0}}}, "ok"},
		{"extents of depth 6", extents, []string{"sif /plain block[1] 0x00060004"}, nil, "read"},
		{"more extents than room", extents, []string{"sif /plain block[0] 0x00fff30a"}, nil, "read"},
		{
			"a node that is its own child", extents,
			[]string{"sif /plain block[0] 0x0001f30a", "sif /plain block[1] 0x00010004", "sif /plain block[3] 0", "sif /plain block[4] 4000", "sif /plain block[5] 0"},
			[]patch{{spare * 1024, loop}},
			"read",
		},
		{"an extent behind the end", extents, []string{"sif /plain block[5] 0x7fffffff"}, nil, "read"},
		{
			"a pointer to its own block", blockMap,
			[]string{"sif /plain block[IND] 4000", "sif /plain block[DIND] 4000", "sif /plain block[TIND] 4000", "sif /plain size 0x7fffffffffff"},
			[]patch{{spare * 1024, pointers}},
			"ok",
		},
		{"a pointer behind the end", blockMap, []string{"sif /plain block[IND] 0x7fffffff"}, nil, "read"},
		{"2^63-1 bytes in a file", extents, []string{"sif /plain size 0x7fffffffffffffff"}, nil, "ok"},
		{"2^64-1 bytes in a file", extents, []string{"sif /plain size 0xffffffffffffffff"}, nil, "read"},
		{"2^62 bytes in a folder", extents, []string{"sif /a size 0x4000000000000000"}, nil, "ok"},
		{
			"a folder of one block again and again", blockMap,
			[]string{"sif /a block[IND] 4000", "sif /a block[DIND] 4000", "sif /a block[TIND] 4000", "sif /a size 0x7fffffffffff"},
			[]patch{{spare * 1024, pointers}},
			"list",
		},
		{"a folder in itself", extents, []string{"link /a /a/b/again"}, nil, "list"},
		{"the root in a folder", extents, []string{"link / /a/root"}, nil, "list"},
		{"the root is a file", extents, []string{"sif / mode 0100644"}, nil, "ok"},
		{"inline data without any", extents, []string{"sif /plain flags 0x10000000"}, nil, "ok"},
		{"a link of 2^31 bytes", extents, []string{"sif /link size 0x7fffffff"}, nil, "list"},
		{"encrypted", extents, []string{"sif /a flags 0x80800"}, nil, "list"},
		{"no root", extents, []string{"clri /"}, nil, "list"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "image")
			copyFile(t, tt.image, image)
			for _, c := range tt.debugfs {
				// It says what it cannot do, and still ends well.
				if out := run(t, "debugfs", "-w", "-R", c, image); strings.Count(out, "\n") > 1 {
					t.Fatalf("%s: %s", c, out)
				}
			}
			f, err := os.OpenFile(image, os.O_RDWR, 0)
			must(t, err)
			for _, p := range tt.patches {
				_, err := f.WriteAt(p.data, p.off)
				must(t, err)
			}
			must(t, f.Close())
			guesttest.Bounded(t, func(b *budget.Budget) {
				r, err := ext4.Open(guesttest.RawFile(t, image), b)
				if (err != nil) != (tt.what == "open") || !guesttest.Sane(err) {
					t.Fatalf("open: %v", err)
				}
				if err != nil {
					return
				}
				c, err := guesttest.ReadAll(tree.New(r, b))
				if !guesttest.Sane(err) {
					t.Error(err)
				}
				for _, err := range c.Errors {
					if !guesttest.Sane(err) {
						t.Error(err)
					}
				}
				if wrong := len(c.Errors) > 0 || err != nil; wrong != (tt.what != "ok") {
					t.Errorf("%+v, %v", c, err)
				}
			})
		})
	}
}

// TestEntries (S-161): entries of a folder that lie about their length.
func TestEntries(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "first"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "second"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "third"), nil, 0o644))
	image := mke2fs(t, 1<<20, "-b", "1024", "-O", "filetype", "-d", dir)
	whole, err := os.ReadFile(image)
	must(t, err)
	at := -1 // of the entry "second", whose name begins 8 bytes behind it
	for i := 0; i+6 < len(whole); i++ {
		if string(whole[i:i+6]) == "second" {
			at = i - 8
			break
		}
	}
	for name, change := range map[string]func(e []byte){
		"length 0":                   func(e []byte) { e[4], e[5] = 0, 0 },
		"length not a multiple of 4": func(e []byte) { e[4]++ },
		"length over the block":      func(e []byte) { e[4], e[5] = 0xfc, 0xff },
		"name longer than the entry": func(e []byte) { e[6] = 255 },
	} {
		b := append([]byte(nil), whole...)
		change(b[at:])
		_, paths := open(t, guesttest.RawBytes(t, b))
		list, err := paths.ReadDir(".")
		var malformed *disk.Malformed
		if !errors.As(err, &malformed) {
			t.Errorf("%s: %v", name, err)
		}
		// What stands before is listed and can be read.
		if _, err := fs.Stat(paths, "first"); err != nil || len(list) == 0 {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// TestCostliest (S-161): a folder of 16 million blocks, all of them the same
// and full of empty entries, and a file of 64 GiB, cost no more than any other
// file system: the budget ends them.
func TestCostliest(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/x", "plain"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644))
	}
	image := mke2fs(t, 64<<30, "-b", "4096", "-N", "1024", "-O", "filetype,sparse_super", "-d", dir)
	// Blocks that nobody uses: of pointers to the next, and of entries.
	const pointers, entries = 2_000_000, 2_000_001
	for _, c := range []string{
		"sif /a block[DIND] 2000003", "sif /a block[TIND] 2000002", "sif /a size 0xfffffffff",
		"sif /plain block[TIND] 2000002", "sif /plain size 0xfffffffff",
	} {
		run(t, "debugfs", "-w", "-R", c, image)
	}
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	must(t, err)
	fill := func(block uint32, at int64) {
		p := make([]byte, 4096)
		for i := 0; i < len(p); i += 4 {
			binary.LittleEndian.PutUint32(p[i:], block)
		}
		_, err := f.WriteAt(p, at*4096)
		must(t, err)
	}
	fill(pointers+3, pointers+2) // the top of the three levels
	fill(pointers, pointers+3)
	fill(entries, pointers)
	e := make([]byte, 4096)
	for i := range 512 {
		e[8*i+4] = 8
	}
	_, err = f.WriteAt(e, entries*4096)
	must(t, err)
	must(t, f.Close())
	guesttest.Bounded(t, func(b *budget.Budget) {
		r, err := ext4.Open(guesttest.RawFile(t, image), b)
		must(t, err)
		paths := tree.New(r, b)
		_, err = paths.ReadDir("a")
		if !budget.IsLimit(err) {
			t.Errorf("a folder of 64 GiB: %v", err)
		}
		_, err = paths.ReadFile("plain")
		if !budget.IsLimit(err) {
			t.Errorf("a file of 64 GiB: %v", err)
		}
		if _, err = guesttest.ReadAll(paths); !budget.IsLimit(err) {
			t.Errorf("all of it: %v", err)
		}
	})
}
