package vhdx_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/internal/imgtest"
	"kuva/disk/vhdx"
)

var le = binary.LittleEndian

func layout(t testing.TB, d disk.Disk, s disk.Settings) disk.View {
	t.Helper()
	v, err := vhdx.Layout(t.Context(), d, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func open(t testing.TB, m imgtest.Image, o disk.OpenOptions) (disk.Disk, error) {
	return vhdx.Open(t.Context(), m.Reader(), m.Size(), o)
}

func TestConformance(t *testing.T) {
	disktest.Run(t, vhdx.Format,
		disktest.Variant{Name: "dynamic", QEMU: "vhdx", QEMUOptions: "subformat=dynamic", QEMUCheck: true, NoEmpty: true, MaxSize: 63 << 40},
		disktest.Variant{
			Name: "block_size", Settings: disk.Settings{"block_size": "2M"},
			QEMU: "vhdx", QEMUOptions: "subformat=dynamic,block_size=1M", QEMUCheck: true, NoEmpty: true, MaxSize: vhdx.MaxSize,
		},
		disktest.Variant{
			Name: "fixed", Settings: disk.Settings{"subformat": "fixed"},
			QEMU: "vhdx", QEMUOptions: "subformat=fixed", QEMUCheck: true, NoEmpty: true,
		})
	_, err := vhdx.Layout(t.Context(), imgtest.Sparse(vhdx.MaxSize+1), nil)
	imgtest.WantRefused(t, "too large", err, disk.ReasonTooLarge)
	_, err = vhdx.Layout(t.Context(), imgtest.Sparse(0), nil)
	imgtest.WantRefused(t, "no bytes", err, disk.ReasonFeature)
}

// TestLarge lets qemu-img read a disk behind the table's first entry for a
// bitmap. It does not compare: of VHDX it knows no holes, and reads them all.
func TestLarge(t *testing.T) {
	const size = 64 << 30
	d := imgtest.Sparse(size, [2]int64{0, 1000}, [2]int64{4<<30 - 512, 2 << 20}, [2]int64{size / 2, 3 << 20}, [2]int64{size - 512, 512})
	path := imgtest.Save(t, layout(t, d, nil), "disk.vhdx")
	imgtest.Same(t, imgtest.Open(t, vhdx.Format, path), d, size)
	imgtest.Run(t, "check", "-f", "vhdx", path)
	for _, at := range []int64{0, 4<<30 - mib, size / 2, size - 4*mib} {
		part := filepath.Join(t.TempDir(), "part")
		imgtest.Run(t, "dd", "-f", "vhdx", "-O", "raw", "bs=1M", fmt.Sprint("skip=", at/mib), fmt.Sprint("count=", at/mib+4), "if="+path, "of="+part)
		got, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 4*mib)
		if err := disk.ReadFull(d, want, at); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("qemu-img reads other bytes at %d", at)
		}
	}
}

// TestDeterministic holds the bytes of version 1 still.
func TestDeterministic(t *testing.T) {
	d := imgtest.Random(9, 9<<20+5, 3<<20)
	imgtest.Golden(t, "dynamic", imgtest.Of(t, layout(t, d, nil)))
	imgtest.Golden(t, "fixed", imgtest.Of(t, layout(t, d, disk.Settings{"subformat": "fixed"})))
}

func TestSettings(t *testing.T) {
	for _, s := range []disk.Settings{
		{"subformat": "thin"},
		{"block_size": "3M"},
		{"block_size": "512k"},
		{"block_size": "512M"},
		{"block_size": "x"},
		{"uuid": "x"},
		{"colour": "red"},
	} {
		_, err := vhdx.Layout(t.Context(), imgtest.Sparse(512), s)
		imgtest.WantRefused(t, fmt.Sprint(s), err, disk.ReasonSetting)
	}
}

// seal puts the checksum right of n bytes from some place.
func seal(m imgtest.Image, at, n int) {
	clear(m[at+4 : at+8])
	le.PutUint32(m[at+4:], crc32.Checksum(m[at:at+n], crc32.MakeTable(crc32.Castagnoli)))
}

const (
	k       = 1 << 10
	mib     = 1 << 20
	headers = 64 * k
	regions = 192 * k
	logAt   = mib
	meta    = 2 * mib
	items   = meta + 64*k // file parameters, size, page 83, sectors
	bat     = 3 * mib
)

// seals all that has a checksum in a file that we wrote.
func seals(m imgtest.Image) imgtest.Image {
	seal(m, headers, 4*k)
	seal(m, 2*headers, 4*k)
	seal(m, regions, 64*k)
	seal(m, regions+64*k, 64*k)
	return m
}

// both changes both region tables.
func both(m imgtest.Image, f func(table []byte)) imgtest.Image {
	f(m[regions:])
	f(m[regions+64*k:])
	return seals(m)
}

// TestAdvisories has a case for each row that concerns VHDX: S-109 parents,
// S-131 sizes, S-135 tables.
func TestAdvisories(t *testing.T) {
	d := imgtest.Sparse(4*mib, [2]int64{0, 2 * mib}, [2]int64{3 * mib, 100})
	base := imgtest.Of(t, layout(t, d, nil))
	entry := func(m imgtest.Image, v uint64) imgtest.Image { le.PutUint64(m[bat:], v); return m }
	for _, c := range []struct {
		what   string
		reason disk.Reason // "" means malformed
		change func(m imgtest.Image) imgtest.Image
	}{
		{"S-109 has a parent", disk.ReasonBacking, func(m imgtest.Image) imgtest.Image { m[items+4] = 2; return m }},
		{"unknown flag", disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { m[items+4] = 4; return m }},
		{"S-131 8 EiB", disk.ReasonTooLarge, func(m imgtest.Image) imgtest.Image { le.PutUint64(m[items+8:], 1<<63); return m }},
		{"S-131 64 TiB and a sector", disk.ReasonTooLarge, func(m imgtest.Image) imgtest.Image { le.PutUint64(m[items+8:], 1<<46+512); return m }},
		{"S-131 64 TiB without a table", "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[items+8:], 1<<46); return m }},
		{"no size", "", func(m imgtest.Image) imgtest.Image { le.PutUint64(m[items+8:], 0); return m }},
		{"size no multiple of a sector", "", func(m imgtest.Image) imgtest.Image { m[items+8] = 1; return m }},
		{"S-135 block size 0", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[items:], 0); return m }},
		{"S-135 block size 512 MiB", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[items:], 512*mib); return m }},
		{"S-135 block size odd", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[items:], 3*mib); return m }},
		{"sector size", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[items+32:], 0); return m }},
		{"S-135 2048 regions", "", func(m imgtest.Image) imgtest.Image {
			return both(m, func(b []byte) { le.PutUint32(b[8:], 2048) })
		}},
		{"S-135 regions overlap", "", func(m imgtest.Image) imgtest.Image {
			return both(m, func(b []byte) { le.PutUint64(b[16+16:], meta) })
		}},
		{"S-135 region over the log", "", func(m imgtest.Image) imgtest.Image {
			return both(m, func(b []byte) { le.PutUint64(b[16+16:], logAt) })
		}},
		{"S-135 region outside", "", func(m imgtest.Image) imgtest.Image {
			return both(m, func(b []byte) { le.PutUint64(b[16+16:], 1<<40) })
		}},
		{"S-135 region twice", "", func(m imgtest.Image) imgtest.Image {
			return both(m, func(b []byte) { copy(b[48:64], b[16:32]) })
		}},
		{"S-135 region in the headers", "", func(m imgtest.Image) imgtest.Image {
			return both(m, func(b []byte) { le.PutUint64(b[16+16:], 0) })
		}},
		{"region is missing", "", func(m imgtest.Image) imgtest.Image { return both(m, func(b []byte) { b[8] = 1 }) }},
		{"required region", disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { return both(m, func(b []byte) { b[16]++ }) }},
		{"region tables differ", "", func(m imgtest.Image) imgtest.Image { m[regions+8] = 1; return seals(m) }},
		{"no region table", "", func(m imgtest.Image) imgtest.Image { m[regions+4]++; m[regions+64*k+4]++; return m }},
		{"no header", "", func(m imgtest.Image) imgtest.Image { m[headers+4]++; m[2*headers+4]++; return m }},
		{"headers of one age", "", func(m imgtest.Image) imgtest.Image { m[headers+8] = 2; m[headers+20]++; return seals(m) }},
		{"version", disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { m[2*headers+66] = 2; return seals(m) }},
		{"S-135 2048 items", "", func(m imgtest.Image) imgtest.Image { le.PutUint16(m[meta+10:], 2048); return m }},
		{"S-135 item of 2 MiB", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[meta+32+20:], 2*mib); return m }},
		{"S-135 item in the table", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[meta+32+16:], 0); return m }},
		{"S-135 item outside", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[meta+32+16:], mib-4); return m }},
		{"item of another length", "", func(m imgtest.Image) imgtest.Image { le.PutUint32(m[meta+32+20:], 16); return m }},
		{"item twice", "", func(m imgtest.Image) imgtest.Image { copy(m[meta+64:meta+96], m[meta+32:]); return m }},
		{"item is missing", "", func(m imgtest.Image) imgtest.Image { m[meta+10] = 4; return m }},
		{"required item", disk.ReasonFeature, func(m imgtest.Image) imgtest.Image { m[meta+32]++; return m }},
		{"no mark of metadata", "", func(m imgtest.Image) imgtest.Image { m[meta]++; return m }},
		{"S-135 entry outside", "", func(m imgtest.Image) imgtest.Image { return entry(m, 1<<40|6) }},
		{"S-135 entry half outside", "", func(m imgtest.Image) imgtest.Image { return entry(m, uint64(len(m))|6) }},
		{"S-135 entry at the end of all", "", func(m imgtest.Image) imgtest.Image { return entry(m, 1<<64-1<<20|6) }},
		{"S-135 entry in the headers", "", func(m imgtest.Image) imgtest.Image { return entry(m, 6) }},
		{"S-135 entry in the log", "", func(m imgtest.Image) imgtest.Image { return entry(m, logAt|6) }},
		{"S-135 entry in the metadata", "", func(m imgtest.Image) imgtest.Image { return entry(m, meta|6) }},
		{"S-135 entry in the table", "", func(m imgtest.Image) imgtest.Image { return entry(m, bat|6) }},
		{"S-135 entry twice", "", func(m imgtest.Image) imgtest.Image { return entry(m, le.Uint64(m[bat+8:])) }},
		{"S-135 partly present", "", func(m imgtest.Image) imgtest.Image { m[bat] |= 7; return m }},
		{"S-135 unknown state", "", func(m imgtest.Image) imgtest.Image { return entry(m, 5) }},
		{"cut off in a block", "", func(m imgtest.Image) imgtest.Image { return m[:len(m)-1] }},
		{"cut off in the headers", "", func(m imgtest.Image) imgtest.Image { return m[:100*k] }},
		{"empty", "", func(m imgtest.Image) imgtest.Image { return m[:0] }},
	} {
		m := c.change(base.Copy())
		_, err := open(t, m, disk.OpenOptions{})
		imgtest.WantRefused(t, c.what, err, c.reason)
	}
	_, err := open(t, base, disk.OpenOptions{Budget: disk.NewBudget(disk.Limits{Size: mib})})
	imgtest.WantRefused(t, "S-131 the caller's limit", err, disk.ReasonTooLarge)
	_, err = open(t, base, disk.OpenOptions{Parent: d})
	imgtest.WantRefused(t, "a parent that is not named", err, disk.ReasonBacking)
}

// TestOneHeader opens a file of which one header or region table is torn.
func TestOneHeader(t *testing.T) {
	d := imgtest.Random(2, 3*mib, mib)
	base := imgtest.Of(t, layout(t, d, nil))
	for _, at := range []int{headers, 2 * headers, regions, regions + 64*k} {
		m := base.Copy()
		m[at+5]++
		got, err := open(t, m, disk.OpenOptions{})
		if err != nil {
			t.Fatal(at, err)
		}
		imgtest.Same(t, got, d, d.Size())
	}
}

// write is one thing that a log entry writes: a page, or zeros.
type write struct {
	at, zeros int
	page      []byte
}

var logID = [16]byte{7, 7, 7}

// logEntry puts an entry into the log of a file and says where it ends.
func logEntry(m imgtest.Image, at, tail int, sequence uint64, writes ...write) int {
	pages := (64 + 32*len(writes) + 4*k - 1) / (4 * k)
	b := make(imgtest.Image, pages*4*k)
	copy(b, "loge")
	le.PutUint32(b[12:], uint32(tail))
	le.PutUint64(b[16:], sequence)
	le.PutUint32(b[24:], uint32(len(writes)))
	copy(b[32:], logID[:])
	le.PutUint64(b[48:], uint64(len(m)))
	le.PutUint64(b[56:], uint64(len(m)))
	for i, w := range writes {
		d := b[64+32*i:][:32]
		le.PutUint64(d[16:], uint64(w.at))
		le.PutUint64(d[24:], sequence)
		if w.page == nil {
			copy(d, "zero")
			le.PutUint64(d[8:], uint64(w.zeros))
			continue
		}
		copy(d, "desc")
		copy(d[8:], w.page[:8])
		copy(d[4:], w.page[4*k-4:])
		p := make([]byte, 4*k)
		copy(p[8:], w.page[8:4*k-4])
		copy(p, "data")
		le.PutUint32(p[4:], uint32(sequence>>32))
		le.PutUint32(p[4*k-4:], uint32(sequence))
		b = append(b, p...)
	}
	le.PutUint32(b[8:], uint32(len(b)))
	seal(b, 0, len(b))
	for i := range b { // around the end of the log
		m[logAt+(at+i)%mib] = b[i]
	}
	return (at + len(b)) % mib
}

// dirty says in the header that there is a log.
func dirty(m imgtest.Image) imgtest.Image {
	copy(m[2*headers+48:], logID[:])
	return seals(m)
}

// pageOf makes the first page of the block table with one entry changed.
func pageOf(m imgtest.Image, i int, v uint64) []byte {
	p := bytes.Clone(m[bat : bat+4*k])
	le.PutUint64(p[8*i:], v)
	return p
}

// TestLog replays logs that we make, wherever they lie in the ring.
func TestLog(t *testing.T) {
	d := imgtest.Sparse(4*mib, [2]int64{0, 2 * mib}, [2]int64{3 * mib, 100})
	base := imgtest.Of(t, layout(t, d, nil))
	first, second := le.Uint64(base[bat:]), le.Uint64(base[bat+8:])
	swapped := pageOf(base, 0, second)
	le.PutUint64(swapped[8:], first)
	for _, start := range []int{0, 4 * k, 100 * k, mib - 4*k, mib - 8*k} {
		t.Run(fmt.Sprint(start), func(t *testing.T) {
			m := dirty(base.Copy())
			// An older sequence, which does not count.
			logEntry(m, (start+400*k)%mib, (start+400*k)%mib, 5, write{at: bat, zeros: mib})
			at := logEntry(m, start, start, 1<<40+6, write{at: bat, zeros: 4 * k}, write{at: 4 * mib, zeros: 8 * k})
			at = logEntry(m, at, start, 1<<40+7, write{at: bat, page: swapped})
			logEntry(m, at, start, 1<<40+9, write{at: bat, zeros: 4 * k}) // not the next number
			got, err := open(t, m, disk.OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			want, p := make([]byte, 4*mib), make([]byte, 4*mib)
			if err := disk.ReadFull(d, p, 0); err != nil {
				t.Fatal(err)
			}
			copy(want, p)
			clear(p[:8*k])
			copy(want[mib:], p[:mib])
			copy(want, p[mib:2*mib])
			if err := disk.ReadFull(got, p, 0); err != nil || !bytes.Equal(p, want) {
				t.Fatal("other bytes", err)
			}
			for e := range got.Extents(t.Context(), 0, got.Size()) {
				if e.Kind == disk.Data && e.At != disk.Nowhere {
					t.Fatalf("%+v: what lies there need not be in the file", e)
				}
			}
			if r, err := vhdx.Check(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{}); err != nil || !r.Clean() {
				t.Fatalf("%+v, %v", r, err)
			}
		})
	}
}

// TestTail replays only what the last entry's tail reaches.
func TestTail(t *testing.T) {
	d := imgtest.Sparse(4*mib, [2]int64{0, 2 * mib})
	m := dirty(imgtest.Of(t, layout(t, d, nil)))
	at := logEntry(m, 0, 0, 1, write{at: bat, zeros: 4 * k})
	logEntry(m, at, at, 2, write{at: 4 * mib, zeros: 4 * k})
	got, err := open(t, m, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 8*k)
	if err := disk.ReadFull(got, p, 0); err != nil || !disk.IsZero(p[:4*k]) || disk.IsZero(p[4*k:]) {
		t.Fatal("an entry before the tail was replayed, or one was not", err)
	}
}

// TestBadLogs are S-135's: none may be ignored, none may hang.
func TestBadLogs(t *testing.T) {
	d := imgtest.Sparse(4*mib, [2]int64{0, 2 * mib})
	base := dirty(imgtest.Of(t, layout(t, d, nil)))
	reseal := func(m imgtest.Image) { seal(m, logAt, int(le.Uint32(m[logAt+8:]))) }
	for _, c := range []struct {
		what   string
		reason disk.Reason
		change func(m imgtest.Image)
	}{
		{"empty", "", func(m imgtest.Image) {}},
		{"of another file", "", func(m imgtest.Image) { m[logAt+32]++; reseal(m) }},
		{"torn", "", func(m imgtest.Image) { m[logAt+4*k+100]++ }},
		{"sequence 0", "", func(m imgtest.Image) { logEntry(m, 0, 0, 0, write{at: bat, zeros: 4 * k}) }},
		{"sequence wraps", "", func(m imgtest.Image) {
			clear(m[logAt : logAt+8*k])
			at := logEntry(m, 0, 0, 1<<64-1, write{at: bat, page: make([]byte, 4*k)})
			logEntry(m, at, 0, 0, write{at: bat, zeros: 4 * k})
			m[logAt+4*k+8]++ // and the first is torn
		}},
		{"descriptors of another entry", "", func(m imgtest.Image) { m[logAt+64+24]++; reseal(m) }},
		{"data of another entry", "", func(m imgtest.Image) { m[logAt+4*k+4]++; reseal(m) }},
		{"2³² descriptors", "", func(m imgtest.Image) { le.PutUint32(m[logAt+24:], 1<<32-1); reseal(m) }},
		{"more data than there are", "", func(m imgtest.Image) { m[logAt+24]++; copy(m[logAt+96:], m[logAt+64:logAt+96]); reseal(m) }},
		{"unaligned", "", func(m imgtest.Image) { m[logAt+64+16]++; reseal(m) }},
		{"length 0", "", func(m imgtest.Image) { le.PutUint32(m[logAt+8:], 0) }},
		{"length of more than the log", "", func(m imgtest.Image) { le.PutUint32(m[logAt+8:], 2*mib) }},
		{"tail elsewhere", "", func(m imgtest.Image) { le.PutUint32(m[logAt+12:], 512*k); reseal(m) }},
		{"writes to the headers", "", func(m imgtest.Image) { le.PutUint64(m[logAt+64+16:], headers); reseal(m) }},
		{"writes to the log", "", func(m imgtest.Image) { le.PutUint64(m[logAt+64+16:], logAt); reseal(m) }},
		{"writes far away", "", func(m imgtest.Image) { le.PutUint64(m[logAt+64+16:], 1<<50); reseal(m) }},
		{"file was longer", "", func(m imgtest.Image) { le.PutUint64(m[logAt+48:], 1<<40); reseal(m) }},
		{"file becomes 8 EiB", "", func(m imgtest.Image) { le.PutUint64(m[logAt+56:], 1<<61); reseal(m) }},
		{"leads to a wrong entry", "", func(m imgtest.Image) { logEntry(m, 0, 0, 9, write{at: bat, page: pageOf(m, 0, 1<<40|6)}) }},
		{"log outside", "", func(m imgtest.Image) { le.PutUint64(m[2*headers+72:], 1<<40); seals(m) }},
		{"log unaligned", "", func(m imgtest.Image) { le.PutUint64(m[2*headers+72:], logAt+4*k); seals(m) }},
		{"log of no length", "", func(m imgtest.Image) { le.PutUint32(m[2*headers+68:], 0); seals(m) }},
		{"version of the log", disk.ReasonFeature, func(m imgtest.Image) { m[2*headers+64] = 1; seals(m) }},
		{"entries over each other", "", func(m imgtest.Image) {
			for at := 0; at < mib; at += 4 * k {
				logEntry(m, at, at, 1)
				le.PutUint32(m[logAt+at+8:], mib)
			}
		}},
	} {
		m := base.Copy()
		if c.what != "empty" {
			logEntry(m, 0, 0, 1, write{at: bat, page: pageOf(m, 0, le.Uint64(m[bat:]))})
		}
		if _, err := open(t, m, disk.OpenOptions{}); err != nil && c.what != "empty" {
			t.Fatal(err)
		}
		c.change(m)
		_, err := open(t, m, disk.OpenOptions{})
		imgtest.WantRefused(t, c.what, err, c.reason)
	}
	m := base.Copy()
	le.PutUint32(m[2*headers+68:], 128*mib)
	m = append(seals(m), make([]byte, 128*mib)...)
	_, err := open(t, m, disk.OpenOptions{})
	imgtest.WantRefused(t, "log of 128 MiB", err, disk.ReasonLimit)
}

// TestStates reads every state that a block may have.
func TestStates(t *testing.T) {
	d := imgtest.Sparse(6*mib, [2]int64{0, 6 * mib})
	m := imgtest.Of(t, layout(t, d, nil))
	kinds := []disk.Kind{disk.Hole, disk.Hole, disk.Zero, disk.Hole, disk.Data, disk.Data}
	for i, state := range []uint64{0, 1, 2, 3} {
		le.PutUint64(m[bat+8*i:], le.Uint64(m[bat+8*i:])&^7|state)
	}
	got, err := open(t, m, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range got.Extents(t.Context(), 0, got.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		for i := e.Off / mib; i*mib < e.End(); i++ {
			if e.Kind != kinds[i] {
				t.Errorf("block %d is %s", i, e.Kind)
			}
		}
	}
}

// TestParent reads a differencing disk on the parent that is handed over.
func TestParent(t *testing.T) {
	const size = 6 * mib
	top := imgtest.Sparse(size, [2]int64{0, 2 * mib}, [2]int64{3 * mib, 100})
	parent := imgtest.Random(12, size, 300_000)
	m := imgtest.Of(t, layout(t, top, nil))
	m[items+4] = 2
	m[bat] |= 7    // block 0: some sectors
	m[bat+8*4] = 2 // block 4: zeros
	m[bat+8*5] = 3 // block 5: zeros as well
	bits := len(m) // the bitmap of all 4096 blocks
	m = append(m, make([]byte, mib)...)
	m[bits], m[bits+255] = 0x81, 0xc0 // sectors 0, 7, 2046, 2047
	le.PutUint64(m[bat+8*4096:], uint64(bits)|6)
	_, err := open(t, m, disk.OpenOptions{})
	imgtest.WantRefused(t, "no parent", err, disk.ReasonBacking)
	got, err := open(t, m, disk.OpenOptions{Parent: parent})
	if err != nil {
		t.Fatal(err)
	}
	want, own := make([]byte, size), make([]byte, size)
	for d, p := range map[disk.Disk][]byte{parent: want, top: own} {
		if err := disk.ReadFull(d, p, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []int{0, 7, 2046, 2047} {
		copy(want[s*512:][:512], own[s*512:])
	}
	copy(want[mib:2*mib], own[mib:])
	copy(want[3*mib:4*mib], own[3*mib:])
	clear(want[4*mib:])
	imgtest.Same(t, got, imgtest.Memory(want), size)
	if r, err := vhdx.Check(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{Parent: parent}); err != nil || !r.Clean() {
		t.Errorf("check: %+v, %v", r, err)
	}

	le.PutUint64(m[bat+8*4096:], 0)
	if got, err = open(t, m, disk.OpenOptions{Parent: parent}); err == nil {
		err = disk.ReadFull(got, own, 0)
	}
	imgtest.WantRefused(t, "no bitmap", err, "")
	le.PutUint64(m[bat+8*4096:], 1<<40|6)
	_, err = open(t, m, disk.OpenOptions{Parent: parent})
	imgtest.WantRefused(t, "bitmap outside", err, "")
}

// TestCheck counts what is wrong.
func TestCheck(t *testing.T) {
	m := imgtest.Of(t, layout(t, imgtest.Sparse(4*mib, [2]int64{0, 4 * mib}), nil))
	le.PutUint64(m[bat:], 1<<40|6)
	copy(m[bat+8:bat+16], m[bat+16:])
	r, err := vhdx.Check(t.Context(), m.Reader(), m.Size(), disk.OpenOptions{})
	if err != nil || r.Errors != 2 || r.Overlaps != 1 || len(r.Problems) != 2 || r.Blocks != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// FuzzOpen is given the parts of a file that say something, each at its place.
func FuzzOpen(f *testing.F) {
	d := imgtest.Sparse(2*mib, [2]int64{0, 512})
	m := dirty(imgtest.Of(f, layout(f, d, nil)))
	logEntry(m, 0, 0, 1, write{at: bat, page: pageOf(m, 0, le.Uint64(m[bat:]))}, write{at: 4 * mib, zeros: 4 * k})
	if _, err := open(f, m, disk.OpenOptions{}); err != nil {
		f.Fatal(err)
	}
	clone := func(at, n int) []byte { return bytes.Clone(m[at : at+n]) }
	f.Add(clone(2*headers, 80), clone(regions, 80), clone(logAt, 8*k), clone(meta, 192), clone(items, 64), clone(bat, 32))
	m[items+4], m[bat] = 2, m[bat]|7
	f.Add(clone(headers, 80), clone(regions, 80), clone(logAt, 0), clone(meta, 192), clone(items, 64), clone(bat, 32))
	f.Fuzz(func(t *testing.T, header, region, log, table, item, entries []byte) {
		b := make(imgtest.Image, 5*mib)
		copy(b, m[:64*k])
		put := func(at, most int, p []byte) { copy(b[at:at+most], p) }
		put(headers, 4*k, m[headers:headers+4*k])
		put(2*headers, 4*k, header)
		put(regions, 64*k, region)
		put(regions+64*k, 64*k, region)
		put(logAt, mib, log)
		if n := int(le.Uint32(b[logAt+8:])); n >= 4*k && n <= mib {
			seal(b, logAt, n)
		}
		put(meta, 64*k, table)
		put(items, mib-64*k, item)
		put(bat, mib, entries)
		imgtest.Use(t, vhdx.Format, seals(b))
	})
}
