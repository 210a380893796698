package vhd_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/internal/imgtest"
	"kuva/disk/vhd"
)

var be = binary.BigEndian

func layout(t testing.TB, d disk.Disk, s disk.Settings) disk.View {
	t.Helper()
	v, err := vhd.Layout(t.Context(), d, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestConformance(t *testing.T) {
	disktest.Run(t, vhd.Format,
		disktest.Variant{
			Name: "dynamic", QEMU: "vpc", QEMUOptions: "subformat=dynamic,force_size=on", MaxSize: vhd.MaxSize,
		},
		disktest.Variant{
			Name: "fixed", Settings: disk.Settings{"subformat": "fixed"},
			QEMU: "vpc", QEMUOptions: "subformat=fixed,force_size=on", NoEmpty: true, // QEMU reads none of no bytes
		})
	v := layout(t, imgtest.Sparse(0), disk.Settings{"subformat": "fixed"})
	d, err := vhd.Open(t.Context(), v, v.Size(), disk.OpenOptions{})
	if err != nil || d.Size() != 0 {
		t.Fatal("a fixed disk of no bytes:", err)
	}
}

// TestQemu reads what qemu-img writes. Without force_size it rounds up to a
// geometry, and that is what the disk has.
func TestQemu(t *testing.T) {
	d := imgtest.Random(5, 21<<20, 4<<20)
	for _, o := range []string{"subformat=dynamic", "subformat=fixed"} {
		t.Run(o, func(t *testing.T) {
			path := imgtest.FromQemu(t, d, "vpc", o)
			got := imgtest.Open(t, vhd.Format, path)
			const size = 633 * 4 * 17 * 512
			imgtest.Same(t, got, d, size)
			imgtest.Clean(t, vhd.Format, path)
			imgtest.Judge(t, "vpc", path, got, size, false)
		})
	}
}

// TestLarge writes disks to the format's limit by their extents.
func TestLarge(t *testing.T) {
	for _, size := range []int64{128 << 30, vhd.MaxSize} {
		d := imgtest.Sparse(size, [2]int64{0, 1000}, [2]int64{size / 2, 3 << 20}, [2]int64{size - 512, 512})
		path := imgtest.Save(t, layout(t, d, nil), "disk.vhd")
		imgtest.Same(t, imgtest.Open(t, vhd.Format, path), d, size)
		imgtest.Clean(t, vhd.Format, path)
		imgtest.Judge(t, "vpc", path, d, size, false)
	}
	_, err := vhd.Layout(t.Context(), imgtest.Sparse(vhd.MaxSize+1), nil)
	imgtest.WantRefused(t, "too large", err, disk.ReasonTooLarge)
}

// TestDeterministic holds the bytes of version 1 still.
func TestDeterministic(t *testing.T) {
	d := imgtest.Random(9, 9<<20+5, 3<<20)
	a, b := imgtest.Of(t, layout(t, d, nil)), imgtest.Of(t, layout(t, d, nil))
	if string(a) != string(b) {
		t.Fatal("the same disk gives other bytes")
	}
	imgtest.Golden(t, "dynamic", a)
	imgtest.Golden(t, "fixed", imgtest.Of(t, layout(t, d, disk.Settings{"subformat": "fixed"})))
	c := imgtest.Of(t, layout(t, d, disk.Settings{"uuid": "00112233-4455-6677-8899-aabbccddeeff"}))
	if c[68] != 0 || c[83] != 0xff {
		t.Fatal("the identifier is not the one given")
	}
}

func TestSettings(t *testing.T) {
	for _, s := range []disk.Settings{{"subformat": "thin"}, {"uuid": "x"}, {"colour": "red"}} {
		_, err := vhd.Layout(t.Context(), imgtest.Sparse(512), s)
		imgtest.WantRefused(t, fmt.Sprint(s), err, disk.ReasonSetting)
	}
}

// seal puts a checksum right after a change.
func seal(b []byte, at int) {
	be.PutUint32(b[at:], 0)
	var sum uint32
	for _, v := range b {
		sum += uint32(v)
	}
	be.PutUint32(b[at:], ^sum)
}

// seals both footers and the header.
func seals(m imgtest.Image) imgtest.Image {
	seal(m[len(m)-512:], 64)
	if string(m[:8]) == "conectix" {
		seal(m[:512], 64)
		seal(m[512:1536], 36)
	}
	return m
}

// both changes both footers.
func both(m imgtest.Image, f func(footer []byte)) {
	f(m[:512])
	f(m[len(m)-512:])
}

// TestAdvisories has a case for each row that concerns VHD: S-109 parents,
// S-122 footer against header, S-131 sizes, S-136 tables.
func TestAdvisories(t *testing.T) {
	d := imgtest.Sparse(8<<20, [2]int64{0, 4 << 20}, [2]int64{6 << 20, 100})
	dynamic := imgtest.Of(t, layout(t, d, nil))
	fixed := imgtest.Of(t, layout(t, d, disk.Settings{"subformat": "fixed"}))
	end := func(m imgtest.Image) []byte { return m[len(m)-512:] }
	const table = 1536
	for _, c := range []struct {
		what   string
		base   imgtest.Image
		reason disk.Reason // "" means malformed
		change func(m imgtest.Image) imgtest.Image
	}{
		{"S-109 differencing", dynamic, disk.ReasonBacking, func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { f[63] = 4 })
			return seals(m)
		}},
		{"S-122 other type", dynamic, disk.ReasonFeature, func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { f[63] = 5 })
			return seals(m)
		}},
		{"S-122 the header says differencing", dynamic, "", func(m imgtest.Image) imgtest.Image {
			m[63] = 4
			return seals(m)
		}},
		{"S-122 size disagrees", dynamic, "", func(m imgtest.Image) imgtest.Image {
			be.PutUint64(m[48:], 4<<20)
			return seals(m)
		}},
		{"S-122 uuid disagrees", dynamic, "", func(m imgtest.Image) imgtest.Image { m[70]++; return seals(m) }},
		{"S-122 checksum of the footer", dynamic, "", func(m imgtest.Image) imgtest.Image { end(m)[64]++; return m }},
		{"S-122 checksum of its copy", dynamic, "", func(m imgtest.Image) imgtest.Image { m[64]++; return m }},
		{"S-122 checksum of the header", dynamic, "", func(m imgtest.Image) imgtest.Image { m[512+36]++; return m }},
		{"S-122 no footer", dynamic, "", func(m imgtest.Image) imgtest.Image { return m[:len(m)-512] }},
		{"S-122 bytes behind the footer", dynamic, "", func(m imgtest.Image) imgtest.Image { return append(m, make([]byte, 512)...) }},
		{"S-122 fixed, longer than said", fixed, "", func(m imgtest.Image) imgtest.Image {
			return append(append(m[:8<<20:8<<20], make([]byte, 512)...), m[8<<20:]...)
		}},
		{"S-122 fixed, shorter than said", fixed, "", func(m imgtest.Image) imgtest.Image { return m[512:] }},
		{"S-131 8 EiB", dynamic, disk.ReasonTooLarge, func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { be.PutUint64(f[48:], 1<<63) })
			return seals(m)
		}},
		{"S-131 2 TiB and a sector", dynamic, disk.ReasonTooLarge, func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { be.PutUint64(f[48:], 1<<41+512) })
			return seals(m)
		}},
		{"S-131 2 TiB without the table for it", dynamic, "", func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { be.PutUint64(f[48:], 1<<41) })
			return seals(m)
		}},
		{"size no multiple of a sector", dynamic, "", func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { be.PutUint64(f[48:], 8<<20-1) })
			return seals(m)
		}},
		{"saved state", dynamic, disk.ReasonFeature, func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { f[84] = 1 })
			return seals(m)
		}},
		{"version", dynamic, disk.ReasonFeature, func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { f[13] = 2 })
			return seals(m)
		}},
		{"header outside", dynamic, "", func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { be.PutUint64(f[16:], 1<<63) })
			return seals(m)
		}},
		{"S-136 block size 0", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint32(m[544:], 0); return seals(m) }},
		{"S-136 block size odd", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint32(m[544:], 3<<20); return seals(m) }},
		{"S-136 block size 2 GiB", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint32(m[544:], 1<<31); return seals(m) }},
		{"S-136 table too short", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint32(m[540:], 3); return seals(m) }},
		{"S-136 table of 2³² entries", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint32(m[540:], 1<<32-1); return seals(m) }},
		{"S-136 table outside", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint64(m[528:], 1<<40); return seals(m) }},
		{"S-136 entry outside", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint32(m[table:], 1<<31); return m }},
		{"S-136 entry half outside", dynamic, "", func(m imgtest.Image) imgtest.Image {
			be.PutUint32(m[table:], uint32(len(m)/512-100))
			return m
		}},
		{"S-136 entry in the footer's copy", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint32(m[table:], 0); return m }},
		{"S-136 entry in the header", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint32(m[table:], 1); return m }},
		{"S-136 entry in the table", dynamic, "", func(m imgtest.Image) imgtest.Image { be.PutUint32(m[table:], 3); return m }},
		{"S-136 entry twice", dynamic, "", func(m imgtest.Image) imgtest.Image { copy(m[table:], m[table+4:table+8]); return m }},
		{"S-136 entries that overlap", dynamic, "", func(m imgtest.Image) imgtest.Image {
			be.PutUint32(m[table:], be.Uint32(m[table+4:])-1)
			return m
		}},
		{"S-136 entry behind the end", dynamic, "", func(m imgtest.Image) imgtest.Image {
			both(m, func(f []byte) { be.PutUint64(f[48:], 4<<20) })
			return seals(m)
		}},
		{"cut off", dynamic, "", func(m imgtest.Image) imgtest.Image { return m[:len(m)/2] }},
		{"empty", dynamic, "", func(m imgtest.Image) imgtest.Image { return m[:0] }},
	} {
		m := c.change(c.base.Copy())
		_, err := vhd.Open(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{})
		imgtest.WantRefused(t, c.what, err, c.reason)
	}
	_, err := vhd.Open(t.Context(), dynamic.Reader(), dynamic.Size(), disk.OpenOptions{Parent: d})
	imgtest.WantRefused(t, "a parent that is not named", err, disk.ReasonBacking)
	_, err = vhd.Open(t.Context(), dynamic.Reader(), dynamic.Size(), disk.OpenOptions{
		Budget: disk.NewBudget(disk.Limits{Size: 1 << 20}),
	})
	imgtest.WantRefused(t, "S-131 the caller's limit", err, disk.ReasonTooLarge)
}

// TestSizeRule is S-122's: who made the file says which size counts.
func TestSizeRule(t *testing.T) {
	d := imgtest.Sparse(21<<20, [2]int64{0, 1 << 20})
	const chs = 632 * 4 * 17 * 512 // rounded down
	for creator, size := range map[string]int64{
		"win ": 21 << 20, "qem2": 21 << 20, "d2v ": 21 << 20, "tap\x00": 21 << 20, "CTXS": 21 << 20, "vbox": 21 << 20,
		"vpc ": chs, "vs  ": chs, "qemu": chs,
	} {
		for _, sub := range []string{"dynamic", "fixed"} {
			m := imgtest.Of(t, layout(t, d, disk.Settings{"subformat": sub}))
			copy(m[len(m)-512+28:], creator)
			if sub == "dynamic" {
				copy(m[28:], creator)
			}
			seals(m)
			got, err := vhd.Open(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{})
			if err != nil {
				t.Fatal(creator, sub, err)
			}
			if got.Size() != size {
				t.Errorf("%q, %s: %d bytes, want %d", creator, sub, got.Size(), size)
			}
		}
	}
}

// TestShortFooter reads fixed disks of old writers, whose footer is one byte
// short.
func TestShortFooter(t *testing.T) {
	d := imgtest.Random(3, 3<<20, 1<<20)
	m := imgtest.Of(t, layout(t, d, disk.Settings{"subformat": "fixed"}))
	m = m[:len(m)-1]
	if yes, err := vhd.Probe(m.Reader(), m.Size()); !yes || err != nil {
		t.Fatal("not found", err)
	}
	got, err := vhd.Open(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	imgtest.Same(t, got, d, d.Size())
}

// TestCheck counts what is wrong.
func TestCheck(t *testing.T) {
	d := imgtest.Sparse(8<<20, [2]int64{0, 8 << 20})
	m := imgtest.Of(t, layout(t, d, nil))
	be.PutUint32(m[1536:], 0xffffffff) // leaked
	be.PutUint32(m[1540:], 1<<30)      // outside
	copy(m[1544:1548], m[1548:1552])   // twice, and one more leaked
	r, err := vhd.Check(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors != 2 || r.Overlaps != 1 || r.Leaks != 3 || len(r.Problems) != 3 || r.Blocks != 4 {
		t.Fatalf("%+v", r)
	}
}

// TestParent reads a differencing disk on the parent that is handed over.
func TestParent(t *testing.T) {
	const size = 8 << 20
	top := imgtest.Sparse(size, [2]int64{0, 2 << 20}, [2]int64{5 << 20, 4096})
	parent := imgtest.Random(12, size, 300_000)
	m := imgtest.Of(t, layout(t, top, nil))
	both(m, func(f []byte) { f[63] = 4 })
	const first = 2048 // the bitmap of block 0
	clear(m[first : first+512])
	m[first] = 0x81  // sectors 0 and 7
	m[first+511] = 3 // and the last two
	second := first + 512 + 2<<20 + 512 + 1<<20
	copy(m[second:], bytes.Repeat([]byte{0xee}, 4096)) // of block 2, all its own
	seals(m)
	got, err := vhd.Open(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	want, own := make([]byte, size), make([]byte, size)
	for d, p := range map[disk.Disk][]byte{parent: want, top: own} {
		if err := disk.ReadFull(d, p, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []int{0, 7, 4094, 4095} {
		copy(want[s*512:][:512], own[s*512:])
	}
	clear(want[4<<20 : 6<<20])
	copy(want[5<<20:], bytes.Repeat([]byte{0xee}, 4096))
	imgtest.Same(t, got, imgtest.Memory(want), size)
	if r, err := vhd.Check(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{Parent: parent}); err != nil || !r.Clean() {
		t.Errorf("check: %+v, %v", r, err)
	}
}

func FuzzOpen(f *testing.F) {
	d := imgtest.Sparse(5<<10, [2]int64{512, 100})
	for _, sub := range []string{"dynamic", "fixed"} {
		m := imgtest.Of(f, layout(f, d, disk.Settings{"subformat": sub}))
		if sub == "dynamic" { // without the block, to be small
			m = append(m[:2048:2048], m[len(m)-512:]...)
		}
		f.Add([]byte(m))
		if sub == "dynamic" {
			m = m.Copy()
			both(m, func(f []byte) { f[63] = 4 })
			f.Add([]byte(seals(m)))
		}
	}
	// Blocks of 1 KiB, so that one fits into a small file.
	m := imgtest.Of(f, layout(f, d, nil))
	m = append(append(m[:2048:2048], bytes.Repeat([]byte{0x5a}, 3*512)...), m[len(m)-512:]...)
	be.PutUint32(m[540:], 5)
	be.PutUint32(m[544:], 1024)
	be.PutUint32(m[1536:], 0xffffffff)
	be.PutUint32(m[1540:], 4)
	both(m, func(f []byte) { f[63] = 4 })
	if _, err := vhd.Open(f.Context(), seals(m).Reader(), m.Size(), disk.OpenOptions{Parent: d}); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(m))
	f.Fuzz(func(t *testing.T, b []byte) {
		imgtest.Use(t, vhd.Format, b)
		// The same with checksums that are right, to come further.
		if len(b) >= 2048 {
			b = seals(imgtest.Image(b).Copy())
			imgtest.Use(t, vhd.Format, b)
		}
	})
}
