package vdi_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/internal/imgtest"
	"kuva/disk/vdi"
)

var le = binary.LittleEndian

func layout(t testing.TB, d disk.Disk, s disk.Settings) disk.View {
	t.Helper()
	v, err := vdi.Layout(t.Context(), d, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func open(t testing.TB, m imgtest.Image, o disk.OpenOptions) (disk.Disk, error) {
	return vdi.Open(t.Context(), m.Reader(), m.Size(), o)
}

func TestConformance(t *testing.T) {
	disktest.Run(t, vdi.Format,
		disktest.Variant{Name: "dynamic", QEMU: "vdi", QEMUOptions: "static=off", QEMUCheck: true, MaxSize: 63 << 40},
		disktest.Variant{
			Name: "static", Settings: disk.Settings{"static": "on"},
			QEMU: "vdi", QEMUOptions: "static=on", QEMUCheck: true,
		})
	v := layout(t, imgtest.Sparse(vdi.MaxSize, [2]int64{vdi.MaxSize - 5, 5}), nil)
	head := make([]byte, 512)
	if err := disk.ReadFull(v, head, 0); err != nil {
		t.Fatal(err)
	}
	if data := int64(le.Uint32(head[0x158:])); data+1<<20 != v.Size() {
		t.Errorf("blocks begin at %d, the file has %d bytes", data, v.Size())
	}
	_, err := vdi.Layout(t.Context(), imgtest.Sparse(vdi.MaxSize+1), nil)
	imgtest.WantRefused(t, "too large", err, disk.ReasonTooLarge)
}

// TestLarge lets qemu-img judge a large disk.
func TestLarge(t *testing.T) {
	const size = 64 << 30
	d := imgtest.Sparse(size, [2]int64{0, 1000}, [2]int64{size / 2, 3 << 20}, [2]int64{size - 512, 512})
	path := imgtest.Save(t, layout(t, d, nil), "disk.vdi")
	imgtest.Same(t, imgtest.Open(t, vdi.Format, path), d, size)
	imgtest.Judge(t, "vdi", path, d, size, true)
}

// TestDeterministic holds the bytes of version 1 still.
func TestDeterministic(t *testing.T) {
	d := imgtest.Random(9, 9<<20+5, 3<<20)
	imgtest.Golden(t, "dynamic", imgtest.Of(t, layout(t, d, nil)))
	imgtest.Golden(t, "static", imgtest.Of(t, layout(t, d, disk.Settings{"static": "on"})))
}

func TestSettings(t *testing.T) {
	for _, s := range []disk.Settings{{"static": "maybe"}, {"uuid": "x"}, {"colour": "red"}} {
		_, err := vdi.Layout(t.Context(), imgtest.Sparse(512), s)
		imgtest.WantRefused(t, fmt.Sprint(s), err, disk.ReasonSetting)
	}
}

// TestAdvisories has a case for each row that concerns VDI: S-109 parents,
// S-131 sizes, S-136 tables.
func TestAdvisories(t *testing.T) {
	d := imgtest.Sparse(4<<20, [2]int64{0, 2 << 20}, [2]int64{3 << 20, 100})
	base := imgtest.Of(t, layout(t, d, nil))
	const table = 1 << 20
	for _, c := range []struct {
		what   string
		reason disk.Reason // "" means malformed
		change func(m imgtest.Image) imgtest.Image
	}{
		{"S-109 differencing", disk.ReasonBacking, func(m imgtest.Image) imgtest.Image { m[0x4c] = 4; return m }},
		{"S-109 link", disk.ReasonBacking, func(m imgtest.Image) imgtest.Image { m[0x1a8] = 1; return m }},
		{"S-109 parent", disk.ReasonBacking, func(m imgtest.Image) imgtest.Image { m[0x1b8+15] = 1; return m }},
		{"undo", disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { m[0x4c] = 3; return m }},
		{"version", disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { m[0x44] = 2; return m }},
		{"sector size", disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x168:], 4096); return m }},
		{"extra bytes", disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x17c:], 512); return m }},
		{"S-131 8 EiB", disk.ReasonTooLarge, func(m imgtest.Image) imgtest.Image { le.PutUint64(m[0x170:], 1<<63); return m }},
		{"S-131 64 TiB without a table", "", func(m imgtest.Image) imgtest.Image {
			le.PutUint64(m[0x170:], 1<<46)
			le.PutUint32(m[0x180:], 1<<26)
			return m
		}},
		{"S-131 2³² blocks", disk.ReasonTooLarge, func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x180:], 1<<32-1); return m }},
		{"S-136 block size 0", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x178:], 0); return m }},
		{"S-136 block size odd", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x178:], 3<<20); return m }},
		{"S-136 block size 2 GiB", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x178:], 1<<31); return m }},
		{"S-136 too few blocks", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x180:], 3); return m }},
		{"S-136 too many blocks", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x180:], 5); return m }},
		{"S-136 more allocated than there are", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x184:], 5); return m }},
		{"S-136 table outside", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x154:], 1<<31); return m }},
		{"S-136 table in the header", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x154:], 0); return m }},
		{"S-136 table unaligned", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x154:], 1<<20+1); return m }},
		{"S-136 blocks over the table", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x158:], 1<<20); return m }},
		{"S-136 blocks outside", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[0x158:], 1<<31); return m }},
		{"S-136 entry outside", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[table:], 3); return m }},
		{"S-136 entry far outside", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[table:], 0xfffffffd); return m }},
		{"S-136 entry twice", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[table:], 1); return m }},
		{"cut off in a block", "", func(m imgtest.Image) imgtest.Image { return m[:len(m)-1] }},
		{"cut off in the table", "", func(m imgtest.Image) imgtest.Image { return m[:table+5] }},
		{"cut off in the header", "", func(m imgtest.Image) imgtest.Image { return m[:100] }},
		{"empty", "", func(m imgtest.Image) imgtest.Image { return m[:0] }},
	} {
		m := c.change(base.Copy())
		_, err := open(t, m, disk.OpenOptions{})
		imgtest.WantRefused(t, c.what, err, c.reason)
	}
	_, err := open(t, base, disk.OpenOptions{Budget: disk.NewBudget(disk.Limits{Size: 1 << 20})})
	imgtest.WantRefused(t, "S-131 the caller's limit", err, disk.ReasonTooLarge)
}

// TestParent reads a differencing disk on the parent that is handed over:
// blocks that were never written are the parent's, zero ones are not.
func TestParent(t *testing.T) {
	top := imgtest.Sparse(4<<20, [2]int64{1 << 20, 1 << 20})
	parent := imgtest.Sparse(4<<20, [2]int64{0, 4 << 20})
	m := imgtest.Of(t, layout(t, top, nil))
	_, err := open(t, m, disk.OpenOptions{Parent: parent})
	imgtest.WantRefused(t, "a parent that is not named", err, disk.ReasonBacking)
	m[0x4c], m[0x1a8] = 4, 1
	le.PutUint32(m[1<<20+8:], 0xfffffffe)
	d, err := open(t, m, disk.OpenOptions{Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	got, p := make([]byte, 4<<20), make([]byte, 4<<20)
	for _, r := range []struct {
		d disk.Disk
		p []byte
	}{{d, got}, {parent, p}} {
		if err := disk.ReadFull(r.d, r.p, 0); err != nil {
			t.Fatal(err)
		}
	}
	clear(p[2<<20 : 3<<20])
	if string(got) != string(p) {
		t.Error("other bytes")
	}
}

// TestCheck counts what is wrong.
func TestCheck(t *testing.T) {
	base := imgtest.Of(t, layout(t, imgtest.Sparse(4<<20, [2]int64{0, 4 << 20}), nil))
	for _, c := range []struct {
		what                    string
		errors, overlaps, leaks int64
		change                  func(m imgtest.Image)
	}{
		{"leak", 0, 0, 1, func(m imgtest.Image) { le.PutUint32(m[1<<20:], 0xffffffff) }},
		{"twice", 1, 1, 0, func(m imgtest.Image) { le.PutUint32(m[1<<20:], 2) }},
		{"outside", 1, 0, 0, func(m imgtest.Image) { le.PutUint32(m[1<<20:], 4) }},
		{"count", 1, 0, 0, func(m imgtest.Image) { m[0x184] = 3 }},
	} {
		m := base.Copy()
		c.change(m)
		r, err := vdi.Check(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{})
		if err != nil || r.Errors != c.errors || r.Overlaps != c.overlaps || r.Leaks != c.leaks || len(r.Problems) != 1 || r.Blocks != 4 {
			t.Errorf("%s: %+v, %v", c.what, r, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	m := imgtest.Of(f, layout(f, imgtest.Sparse(9<<10, [2]int64{512, 100}), nil))
	// Small: blocks of 4 KiB right behind the header.
	small := append(m[:512:512], make([]byte, 512+3*4096)...)
	le.PutUint32(small[0x154:], 512)
	le.PutUint32(small[0x158:], 1024)
	le.PutUint32(small[0x178:], 4096)
	le.PutUint32(small[0x180:], 3)
	le.PutUint32(small[0x184:], 2)
	le.PutUint32(small[512:], 1)
	le.PutUint32(small[516:], 0xfffffffe)
	le.PutUint32(small[520:], 0)
	if _, err := open(f, small, disk.OpenOptions{}); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(small))
	small = small.Copy()
	small[0x4c] = 4
	f.Add([]byte(small))
	f.Fuzz(func(t *testing.T, b []byte) { imgtest.Use(t, vdi.Format, b) })
}
