package xfs_test

import (
	"encoding/binary"
	"testing"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/guest/xfs"
)

// offset tells where an inode lies, from the superblock.
func offset(t testing.TB, d disk.Disk, ino uint64) int64 {
	t.Helper()
	p := make([]byte, 512)
	must(t, disk.ReadFull(d, p, 0))
	be := binary.BigEndian
	perBlock, agLog := p[123], p[124]
	fsb := ino >> perBlock
	block := fsb>>agLog*uint64(be.Uint32(p[84:])) + fsb&(1<<agLog-1)
	return int64(block)*int64(be.Uint32(p[4:])) + int64(ino&(1<<perBlock-1))*int64(be.Uint16(p[104:]))
}

// TestHostile (S-162): one case for each way in which a file system can lie
// about itself. All of them end within the budget, and say what is wrong.
func TestHostile(t *testing.T) {
	for i, name := range []string{"v5", "v5-1k", "v4"} {
		t.Run(name, func(t *testing.T) {
			whole := seeds(t)[i]
			_, paths := open(t, whole)
			at := func(path string) int64 {
				info, err := paths.Lstat(path)
				must(t, err)
				return offset(t, whole, tree.AttrOf(info).ID.Ino)
			}
			core := int64(176)
			if name == "v4" {
				core = 100
			}
			file, folder, short, link := at("pieces"), at("many"), at("links"), at("links/short")
			extent := func(block uint64, n uint64) []byte {
				p := binary.BigEndian.AppendUint64(nil, block>>43)
				return binary.BigEndian.AppendUint64(p, block<<21|n)
			}
			for _, tt := range []struct {
				name string
				off  int64
				data []byte
				// what: "open" does not open, "list" has errors when it is
				// listed and read, "ok" has none.
				what string
			}{
				{"untouched", 0, []byte("XFSB"), "ok"},
				{"no magic", 0, []byte("XFSC"), "open"},
				{"version 3", 101, []byte{0xb3}, "open"},
				{"blocks of 2^31 bytes", 4, []byte{0x80, 0, 0, 0}, "open"},
				{"blocks of 3000 bytes", 4, []byte{0, 0, 0xb, 0xb8}, "open"},
				{"2^64-1 blocks", 8, []byte{255, 255, 255, 255, 255, 255, 255, 255}, "open"},
				{"groups of 0 blocks", 84, []byte{0, 0, 0, 0}, "open"},
				{"groups of 2^32-1 blocks", 84, []byte{255, 255, 255, 255}, "open"},
				{"no groups", 88, []byte{0, 0, 0, 0}, "open"},
				{"2^32-1 groups", 88, []byte{255, 255, 255, 255}, "open"},
				{"inodes of 1 byte", 104, []byte{0, 1}, "open"},
				{"2^255 inodes in a block", 123, []byte{255}, "open"},
				{"a group of 2^255 blocks", 124, []byte{255}, "open"},
				{"folders in blocks of 2^200", 192, []byte{200}, "open"},
				{"a root that is none", 56, []byte{0, 0, 0, 255, 0, 0, 0, 0}, "list"},
				{"a log at the end of numbers", 48, []byte{0xff, 255, 255, 255, 255, 255, 255, 255}, "ok"},
				{"a log of 2^32-1 blocks", 96, []byte{255, 255, 255, 255}, "ok"},
				{"an inode without magic", file, []byte{0, 0}, "list"},
				{"attributes behind the inode", file + 82, []byte{255}, "list"},
				{"content of form 9", file + 5, []byte{9}, "list"},
				{"2^32-1 extents", file + 76, []byte{255, 255, 255, 255}, "list"},
				{"an extent behind the end", file + core, extent(1<<40, 1), "list"},
				{"an extent over a group's end", file + core, extent(100, 1<<21-1), "list"},
				{"a tree of level 200", file + 5, []byte{3}, "list"},
				{"2^64-1 bytes", file + 56, []byte{255, 255, 255, 255, 255, 255, 255, 255}, "list"},
				{"2^63-1 bytes", file + 56, []byte{127, 255, 255, 255, 255, 255, 255, 255}, "ok"},
				{"a folder of 2^63-1 bytes", folder + 56, []byte{127, 255, 255, 255, 255, 255, 255, 255}, "ok"},
				{"a short folder of 2^32 bytes", short + 56, []byte{0, 0, 0, 1, 0, 0, 0, 0}, "list"},
				{"a short folder of 255 entries", short + core, []byte{255}, "list"},
				{"a folder in the form of a file's extents", short + 5, []byte{2}, "list"},
				{"a folder's blocks in the form of an inode's", folder + 5, []byte{1}, "list"},
				{"a link of 2^40 bytes", link + 56, []byte{0, 0, 1, 0, 0, 0, 0, 0}, "list"},
			} {
				t.Run(tt.name, func(t *testing.T) {
					guesttest.Bounded(t, func(b *budget.Budget) {
						f, err := xfs.Open(whole.With(tt.off, tt.data), b)
						if (err != nil) != (tt.what == "open") || !guesttest.Sane(err) {
							t.Fatalf("open: %v", err)
						}
						if err != nil {
							return
						}
						c, err := guesttest.ReadAll(tree.New(f, b))
						for _, err := range append(c.Errors, err) {
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
		})
	}
}

// TestTreeLoop (S-162): a node of a tree of extents that is its own child.
func TestTreeLoop(t *testing.T) {
	whole := seeds(t)[2]
	_, paths := open(t, whole)
	info, err := paths.Lstat("pieces")
	must(t, err)
	inode := offset(t, whole, tree.AttrOf(info).ID.Ino)
	be := binary.BigEndian
	// The file's first block becomes a node of level 1; the root is one of
	// level 2 above it.
	p := make([]byte, 16)
	must(t, disk.ReadFull(whole, p, inode+100))
	block := be.Uint64(p[8:])>>21 | be.Uint64(p)&0x1ff<<43
	sb := make([]byte, 512)
	must(t, disk.ReadFull(whole, sb, 0))
	place := int64(block>>sb[124]*uint64(be.Uint32(sb[84:]))+block&(1<<sb[124]-1)) * 512

	node := []byte("BMAP\x00\x01\x00\x01")
	node = append(node, make([]byte, 512-8)...)
	be.PutUint64(node[24+(512-24)/16*8:], block)
	fork := make([]byte, 156)
	be.PutUint16(fork, 2)
	be.PutUint16(fork[2:], 1)
	be.PutUint64(fork[4+(156-4)/16*8:], block)
	image := whole.With(place, node).With(inode+100, fork).With(inode+5, []byte{3}).With(inode+82, []byte{0})
	guesttest.Bounded(t, func(b *budget.Budget) {
		f, err := xfs.Open(image, b)
		must(t, err)
		_, err = tree.New(f, b).ReadFile("pieces")
		if err == nil || !guesttest.Sane(err) || budget.IsLimit(err) {
			t.Errorf("%v", err)
		}
	})
}
