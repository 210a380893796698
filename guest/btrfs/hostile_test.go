package btrfs_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/guest/btrfs"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
)

// image is a small file system and where its nodes lie.
type image struct {
	b     []byte
	nodes []int
}

const (
	super    = 64 << 10
	nodeSize = 4096
)

// small makes a file system of 16 MiB, of which only what is used is looked at.
func small(t testing.TB) image {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "one/two"), 0o755))
	must(os.WriteFile(filepath.Join(dir, "inline"), []byte("text"), 0o644))
	must(os.WriteFile(filepath.Join(dir, "regular"), make([]byte, 20_000), 0o644))
	must(os.Symlink("one/two", filepath.Join(dir, "link")))
	for i := range 40 {
		must(os.WriteFile(filepath.Join(dir, "one/a file with a longer name "+string(rune('A'+i))), nil, 0o644))
	}
	b, err := os.ReadFile(makeImage(t, 16<<20, "-M", "-n", "4096", "-s", "4096", "--rootdir", dir))
	must(err)
	i := image{b: b}
	fsid := b[super+0x20:][:16]
	for at := 1 << 20; at+nodeSize <= len(b); at += nodeSize {
		if bytes.Equal(b[at+0x20:][:16], fsid) {
			i.nodes = append(i.nodes, at)
		}
	}
	if len(i.nodes) < 8 {
		t.Fatalf("%d nodes", len(i.nodes))
	}
	return i
}

// seal writes the checksum of a superblock or node.
func seal(b []byte) {
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[32:4096], crc32.MakeTable(crc32.Castagnoli)))
}

// each changes the items of a kind in all leaves.
func (i image) each(kind byte, change func(key, data []byte)) {
	le := binary.LittleEndian
	for _, at := range i.nodes {
		node := i.b[at:][:nodeSize]
		if node[0x64] != 0 {
			continue
		}
		for k := range int(le.Uint32(node[0x60:])) {
			item := node[101+25*k:][:25]
			if item[8] == kind {
				change(item, node[101+le.Uint32(item[17:]):][:le.Uint32(item[21:])])
			}
		}
		seal(node)
	}
}

// readAll opens a file system, reads all of it within a budget, and gives the
// first error. All must be of a kind that hostile disks may give.
func readAll(t testing.TB, b []byte, steps int64) error {
	t.Helper()
	bud := budget.New(t.Context(), budget.Limits{Steps: steps, Read: 256 << 20, Memory: 64 << 20})
	f, err := btrfs.Open(guesttest.RawBytes(t, b), bud)
	if err == nil {
		var c guesttest.Counts
		c, err = guesttest.ReadAll(tree.New(f, bud))
		for _, err := range c.Errors {
			if !guesttest.Sane(err) {
				t.Errorf("not an error of the format: %v", err)
			}
		}
		if err == nil && len(c.Errors) > 0 {
			err = c.Errors[0]
		}
		if _, e := f.Subvolumes(); err == nil {
			err = e
		}
	}
	if !guesttest.Sane(err) {
		t.Errorf("not an error of the format: %v", err)
	}
	return err
}

// TestS163 reads file systems that lie, with right checksums.
func TestS163(t *testing.T) {
	good := small(t)
	if err := readAll(t, good.b, 1<<22); err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	head := func(change func(s []byte)) func(image) {
		return func(i image) {
			change(i.b[super:][:4096])
			seal(i.b[super:])
		}
	}
	for _, tt := range []struct {
		name, want string // a part of the error; "" for any or none
		change     func(i image)
	}{
		{"sectors of 0", "sectors of 0", head(func(s []byte) { le.PutUint32(s[0x90:], 0) })},
		{"nodes of 2^31", "nodes of", head(func(s []byte) { le.PutUint32(s[0x94:], 1<<31) })},
		{"unknown features", "are not known", head(func(s []byte) { le.PutUint64(s[0xbc:], 1<<40) })},
		{"two devices", "2 devices", head(func(s []byte) { le.PutUint64(s[0x88:], 2) })},
		{"unknown checksums", "checksums of kind", head(func(s []byte) { le.PutUint16(s[0xc4:], 9) })},
		{"a wrong checksum", "checksum of the superblock", func(i image) { i.b[super+0x500]++ }},
		{"system chunks of 4 GiB", "system chunks", head(func(s []byte) { le.PutUint32(s[0xa0:], 1<<32-1) })},
		{"chunk of no stripes", "0 stripes", head(func(s []byte) { le.PutUint16(s[0x32b+17+44:], 0) })},
		{"chunk of 65,535 stripes", "cut off", head(func(s []byte) { le.PutUint16(s[0x32b+17+44:], 65535) })},
		{"chunk of no bytes", "a chunk of 0", head(func(s []byte) { le.PutUint64(s[0x32b+17:], 0) })},
		{"raid5", "raid5", head(func(s []byte) { le.PutUint64(s[0x32b+17+24:], 2|128) })},
		{"chunk outside", "outside", head(func(s []byte) { le.PutUint64(s[0x32b+17+48+8:], 1<<50) })},
		{"root of level 255", "level", head(func(s []byte) { s[0xc6] = 255 })},
		{"roots nowhere", "in no chunk", head(func(s []byte) { le.PutUint64(s[0x50:], 1<<55) })},
		{"roots are chunks", "", head(func(s []byte) {
			copy(s[0x50:0x58], s[0x58:0x60])
			s[0xc6] = s[0xc7]
			copy(s[0x48:0x50], s[0xa4:0xac])
		})},
		{"log tree", "", head(func(s []byte) { le.PutUint64(s[0x60:], 1<<20) })},
		{"nodes that are their own children", "level", func(i image) {
			for _, at := range i.nodes {
				if n := i.b[at:][:nodeSize]; n[0x64] > 0 {
					for k := range int(le.Uint32(n[0x60:])) {
						copy(n[101+33*k+17:][:8], n[0x30:0x38])
					}
					seal(n)
				}
			}
		}},
		{"children that come twice", "", func(i image) {
			for _, at := range i.nodes {
				if n := i.b[at:][:nodeSize]; n[0x64] > 0 {
					for k := range int(le.Uint32(n[0x60:])) {
						copy(n[101+33*k+17:][:16], n[101+17:][:16])
					}
					seal(n)
				}
			}
		}},
		{"2^32 items", "items", func(i image) {
			for _, at := range i.nodes {
				le.PutUint32(i.b[at+0x60:], 1<<32-1)
				seal(i.b[at:])
			}
		}},
		{"items outside", "an item of", func(i image) { i.each(96, func(key, _ []byte) { le.PutUint32(key[17:], 1<<31) }) }},
		{"subvolumes in themselves", "", func(i image) {
			i.each(96, func(_, d []byte) {
				le.PutUint64(d, 5)
				d[8] = 132
			})
		}},
		{"folders in themselves", "lies inside itself", func(i image) {
			i.each(96, func(key, d []byte) { copy(d[:8], key[:8]); d[29] = 2 })
			i.each(84, func(key, d []byte) { copy(d[:8], key[:8]); d[29] = 2 })
		}},
		{"names longer than their entry", "cut off", func(i image) { i.each(96, func(_, d []byte) { le.PutUint16(d[27:], 65535) }) }},
		{"files of 2^63 bytes", "is of", func(i image) { i.each(1, func(_, d []byte) { le.PutUint64(d[16:], 1<<63) }) }},
		{"files of 2^62 bytes", "", func(i image) { i.each(1, func(_, d []byte) { le.PutUint64(d[16:], 1<<62) }) }},
		{"inodes of another kind", "", func(i image) { i.each(1, func(_, d []byte) { le.PutUint32(d[52:], 0xffffffff) }) }},
		{"inline data that expand to 1 GiB", "inline", func(i image) {
			i.each(108, func(_, d []byte) { le.PutUint64(d[8:], 1<<30); d[16] = 1 })
		}},
		{"compressed data that are none", "compressed extent", func(i image) { i.each(108, func(_, d []byte) { d[16] = 3 }) }},
		{"data outside", "in no chunk", func(i image) {
			i.each(108, func(_, d []byte) {
				if d[20] == 1 {
					le.PutUint64(d[21:], 1<<50)
				}
			})
		}},
		{"extents of another length", "an extent", func(i image) {
			i.each(108, func(_, d []byte) {
				if d[20] == 1 {
					le.PutUint64(d[45:], 1<<62)
				}
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := image{bytes.Clone(good.b), good.nodes}
			tt.change(i)
			guesttest.Bounded(t, func(*budget.Budget) {
				err := readAll(t, i.b, 1<<19)
				if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			})
		})
	}
	t.Run("chance", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 63))
		guesttest.Bounded(t, func(*budget.Budget) {
			for range 150 {
				var p []byte
				for range 1 + rng.IntN(6) {
					p = append(p, byte(rng.UintN(256)), byte(rng.UintN(256)), byte(rng.UintN(256)), byte(rng.UintN(256)))
				}
				good.patched(p, func() { _ = readAll(t, good.b, 50_000) })
			}
		})
	})
}

// patched changes bytes for the time of a call: one byte says which node, two
// where in it, and one what.
func (i image) patched(patches []byte, do func()) {
	undo := map[int][]byte{}
	for ; len(patches) >= 4; patches = patches[4:] {
		at := super
		if n := int(patches[0]) % (len(i.nodes) + 1); n > 0 {
			at = i.nodes[n-1]
		}
		if undo[at] == nil {
			undo[at] = bytes.Clone(i.b[at:][:4096])
		}
		i.b[at+int(binary.BigEndian.Uint16(patches[1:]))%4096] = patches[3]
		seal(i.b[at:])
	}
	do()
	for at, b := range undo {
		copy(i.b[at:], b)
	}
}

// FuzzBtrfs changes bytes of nodes and makes their checksums right again.
func FuzzBtrfs(f *testing.F) {
	i := small(f)
	f.Add([]byte{0, 0, 0x94, 1})
	f.Add([]byte{3, 0, 0x64, 0xff, 4, 1, 17, 2})
	f.Fuzz(func(t *testing.T, patches []byte) {
		i.patched(patches, func() { _ = readAll(t, i.b, 50_000) })
	})
}
