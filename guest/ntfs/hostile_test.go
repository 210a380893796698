package ntfs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/ntfs"
	"kuva/guest/tree"
)

// small is a volume with a folder that has an index of its own, a file in
// pieces, a compressed one and links.
func small(t testing.TB) []byte {
	t.Helper()
	image := makeImage(t, 2<<20, "streams_interface=windows,compression", func(dir string) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range 60 {
			must(os.WriteFile(filepath.Join(dir, fmt.Sprintf("a file with a long name %d", i)), []byte("text"), 0o644))
		}
		must(os.WriteFile(filepath.Join(dir, "packed"), bytes.Repeat([]byte("abcdefghi\n"), 5000), 0o644))
		must(os.WriteFile(filepath.Join(dir, "packed:stream"), []byte("x"), 0o644))
		must(os.MkdirAll(filepath.Join(dir, "one/two/three"), 0o755))
		must(os.Symlink("one/two", filepath.Join(dir, "link")))
	}, "-C", "-c", "1024")
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// readAll opens a volume, reads all of it within a budget, and gives the first
// error. All errors must be of a kind that hostile disks may give.
func readAll(t testing.TB, b []byte, steps int64) error {
	t.Helper()
	bud := budget.New(t.Context(), budget.Limits{Steps: steps, Read: 256 << 20, Memory: 64 << 20})
	f, err := ntfs.Open(guesttest.RawBytes(t, b), bud)
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
		for _, e := range f.Free() {
			if e != nil && err == nil {
				err = e
			}
		}
	}
	if !guesttest.Sane(err) {
		t.Errorf("not an error of the format: %v", err)
	}
	return err
}

// records gives where the records of the MFT lie.
func records(b []byte) (at, n int) {
	le := binary.LittleEndian
	at = int(le.Uint64(b[48:])) * 1024
	for string(b[at+1024*n:][:4]) == "FILE" {
		n++
	}
	return at, n
}

// attrOf finds an attribute in a record.
func attrOf(t testing.TB, record []byte, kind uint32) []byte {
	t.Helper()
	le := binary.LittleEndian
	for at := int(le.Uint16(record[20:])); at < 1000; at += int(le.Uint32(record[at+4:])) {
		if le.Uint32(record[at:]) == kind {
			return record[at:]
		}
		if le.Uint32(record[at:]) == 0xffffffff || le.Uint32(record[at+4:]) == 0 {
			break
		}
	}
	t.Fatalf("no attribute %#x", kind)
	return nil
}

// TestS164 reads volumes that lie.
func TestS164(t *testing.T) {
	good := small(t)
	if err := readAll(t, good, 1<<22); err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	mft, count := records(good)
	record := func(b []byte, n int) []byte { return b[mft+1024*n:][:1024] }
	runs := func(a []byte) []byte { return a[le.Uint16(a[32:]):] }
	indx := bytes.Index(good, []byte("INDX"))
	if count < 64 || indx < 0 {
		t.Fatalf("%d records, index at %d", count, indx)
	}
	for _, tt := range []struct {
		name, want string // a part of the error; "" for any or none
		change     func(b []byte)
	}{
		{"sectors of 0", "sectors of 0", func(b []byte) { le.PutUint16(b[11:], 0) }},
		{"clusters of 3 sectors", "clusters of", func(b []byte) { b[13] = 3 }},
		{"clusters of 2^80", "clusters of", func(b []byte) { b[13] = 0xb0 }},
		{"clusters of 2 MiB", "", func(b []byte) { b[13] = 0xf4 }},
		{"no sectors", "0 sectors", func(b []byte) { clear(b[40:48]) }},
		{"2^64 sectors", "sectors", func(b []byte) { le.PutUint64(b[40:], 1<<64-1) }},
		{"MFT outside", "master file table", func(b []byte) { le.PutUint64(b[48:], 1<<40) }},
		{"records of 0", "records of 0", func(b []byte) { b[64] = 0 }},
		{"records of 2^31", "records of", func(b []byte) { b[64] = 0xe1 }},
		{"record written half", "written half", func(b []byte) { record(b, 5)[510]++ }},
		{"no root", "not in use", func(b []byte) { record(b, 5)[22] = 0 }},
		{"root is a file", "", func(b []byte) { record(b, 5)[22] = 1 }},
		{"attributes that do not move on", "an attribute of 0 bytes", func(b []byte) {
			r := record(b, 5)
			le.PutUint32(r[le.Uint16(r[20:])+4:], 0)
		}},
		{"attributes begin outside", "attributes of record", func(b []byte) { le.PutUint16(record(b, 5)[20:], 0xfff0) }},
		{"a value longer than its attribute", "has a value of", func(b []byte) {
			le.PutUint32(attrOf(t, record(b, 5), 0x90)[16:], 1<<31)
		}},
		{"run of 2^56 clusters in the MFT", "", func(b []byte) {
			copy(runs(attrOf(t, record(b, 0), 0x80)), "\x18\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x00")
		}},
		{"run outside", "clusters", func(b []byte) {
			copy(runs(attrOf(t, record(b, 0), 0x80)), "\x41\x7f\xff\xff\xff\x7f\x00")
		}},
		{"run before the beginning", "clusters -1", func(b []byte) { copy(runs(attrOf(t, record(b, 0), 0x80)), "\x11\x04\xff\x00") }},
		{"run of no length", "a run of 0", func(b []byte) { copy(runs(attrOf(t, record(b, 0), 0x80)), "\x10\x04\x00") }},
		{"the MFT is the MFT's own record again and again", "", func(b []byte) {
			a := attrOf(t, record(b, 0), 0x80)
			le.PutUint64(a[24:], 3)
			copy(runs(a), "\x11\x01\x04\x11\x01\x00\x11\x01\x00\x11\x01\x00\x00")
		}},
		{"a file of 2^62 bytes", "", func(b []byte) { le.PutUint64(attrOf(t, record(b, 0), 0x80)[48:], 1<<62) }},
		{"clusters to -2", "has clusters", func(b []byte) { le.PutUint64(attrOf(t, record(b, 0), 0x80)[24:], 1<<64-2) }},
		{"index of blocks of 0", "blocks of 0", func(b []byte) {
			a := attrOf(t, record(b, 5), 0x90)
			le.PutUint32(a[le.Uint16(a[20:])+8:], 0)
		}},
		{"index block is its own child", "comes twice", func(b []byte) {
			block := b[indx:]
			e := block[24+le.Uint32(block[24:]):]
			e[12] |= 1
			copy(e[le.Uint16(e[8:])-8:][:8], block[16:24])
		}},
		{"index block with a wrong number", "says that it is", func(b []byte) { b[indx+16] ^= 7 }},
		{"index entry of no length", "an entry of an index", func(b []byte) {
			block := b[indx:]
			le.PutUint16(block[24+le.Uint32(block[24:])+8:], 0)
		}},
		{"index without an end", "", func(b []byte) { le.PutUint32(b[indx+28:], 1<<31) }},
		{"all entries are the root", "", func(b []byte) {
			block := b[indx:]
			for at := 24 + int(le.Uint32(block[24:])); block[at+12]&2 == 0; at += int(le.Uint16(block[at+8:])) {
				le.PutUint64(block[at:], 5|5<<48)
			}
		}},
		{"all files continue the root", "continues another", func(b []byte) {
			for n := 64; n < count; n++ {
				le.PutUint64(record(b, n)[32:], 5)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(good)
			tt.change(b)
			guesttest.Bounded(t, func(*budget.Budget) {
				err := readAll(t, b, 1<<20)
				if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			})
		})
	}
	t.Run("attribute list", func(t *testing.T) { attributeLists(t, good, mft, count) })
	t.Run("chance", func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 64))
		b := bytes.Clone(good)
		guesttest.Bounded(t, func(*budget.Budget) {
			for range 150 {
				var places []int
				for range 1 + rng.IntN(6) {
					at := mft + rng.IntN(1024*count)
					if rng.IntN(4) == 0 {
						at = indx + rng.IntN(4096)
					}
					places = append(places, at)
					b[at] = byte(rng.UintN(256))
				}
				_ = readAll(t, b, 50_000)
				for _, at := range places {
					b[at] = good[at]
				}
			}
		})
	})
}

// attributeLists puts lists into a file's record that lead to itself, to other
// files and outside.
func attributeLists(t *testing.T, good []byte, mft, count int) {
	le := binary.LittleEndian
	for name, tt := range map[string]struct {
		refs []uint64
		want string
	}{
		"itself":       {[]uint64{0, 0}, ""},
		"another file": {[]uint64{5}, "is said to continue"},
		"outside":      {[]uint64{1 << 40}, "record 1099511627776"},
		"a loop":       {[]uint64{6, 5}, "is said to continue"},
	} {
		b := bytes.Clone(good)
		number := 64
		for n := 64; n < count; n++ { // the shortest record
			if le.Uint32(b[mft+1024*n+24:]) < le.Uint32(b[mft+1024*number+24:]) && b[mft+1024*n+22]&1 != 0 {
				number = n
			}
		}
		r := b[mft+1024*number:][:1024]
		at := int(le.Uint16(r[20:]))
		a := make([]byte, 24+32*len(tt.refs))
		le.PutUint32(a, 0x20)
		le.PutUint32(a[4:], uint32(len(a)))
		le.PutUint32(a[16:], uint32(32*len(tt.refs)))
		le.PutUint16(a[20:], 24)
		for i, ref := range tt.refs {
			e := a[24+32*i:]
			le.PutUint32(e, 0x80)
			le.PutUint16(e[4:], 32)
			if ref == 0 {
				ref = uint64(number)
			}
			le.PutUint64(e[16:], ref)
		}
		used := int(le.Uint32(r[24:]))
		if used+len(a) > 500 {
			t.Fatalf("record %d has %d bytes, no room", number, used)
		}
		copy(r[at+len(a):], bytes.Clone(r[at:used]))
		copy(r[at:], a)
		le.PutUint32(r[24:], uint32(used+len(a)))
		err := readAll(t, b, 1<<20)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// FuzzNTFS changes bytes of a volume's records and indexes: two bytes say
// where, in steps of two, and one what.
func FuzzNTFS(f *testing.F) {
	b := small(f)
	mft, _ := records(b)
	f.Add([]byte{0, 20, 1})
	f.Add([]byte{5, 6, 0x80, 1, 44, 0xff})
	f.Fuzz(func(t *testing.T, patches []byte) {
		undo := map[int]byte{}
		for ; len(patches) >= 3; patches = patches[3:] {
			at := mft + 2*int(binary.BigEndian.Uint16(patches))
			if at%1024 >= 1022 || at >= len(b) {
				continue
			}
			if _, twice := undo[at]; !twice {
				undo[at] = b[at]
			}
			b[at] = patches[2]
		}
		_ = readAll(t, b, 50_000)
		for at, c := range undo {
			b[at] = c
		}
	})
}
