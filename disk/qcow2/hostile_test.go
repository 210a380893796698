package qcow2_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/qcow2"
)

func put16(b []byte, off int64, v uint16) { binary.BigEndian.PutUint16(b[off:], v) }
func put32(b []byte, off int64, v uint32) { binary.BigEndian.PutUint32(b[off:], v) }
func put64(b []byte, off int64, v uint64) { binary.BigEndian.PutUint64(b[off:], v) }

type places struct{ l1, l2, refTable, refBlock int64 }

// where finds the tables of a good file. l2 is its first entry in use.
func where(b []byte) (p places) {
	get := func(off int64) int64 { return int64(binary.BigEndian.Uint64(b[off:])) }
	p.l1, p.refTable = get(40), get(48)
	p.l2 = get(p.l1) & 0x00fffffffffffe00
	for get(p.l2) == 0 {
		p.l2 += 8
	}
	p.refBlock = get(p.refTable)
	return p
}

// extension puts a header extension behind the header of a good file.
func extension(kind uint32, text string) func(b []byte, at places) {
	return func(b []byte, _ places) {
		put32(b, 112, kind)
		put32(b, 116, uint32(len(text)))
		copy(b[120:], text)
	}
}

// backing puts a backing file's name into the first cluster.
func backing(text string) func(b []byte, at places) {
	return func(b []byte, _ places) {
		put64(b, 8, 512)
		put32(b, 16, uint32(len(text)))
		copy(b[512:], text)
	}
}

const malformed disk.Reason = "(malformed)"

// TestHostile has one case, or several, for each way in which advisories say
// that headers and tables have hurt readers. The numbers are those of the
// advisory rows in the project's requirements.
func TestHostile(t *testing.T) {
	tests := []struct {
		name   string
		want   disk.Reason
		change func(b []byte, at places)
	}{
		// S-101, CVE-2015-5163: a backing file
		{"S-101 absolute", disk.ReasonBacking, backing("/etc/passwd")},
		{"S-101 relative", disk.ReasonBacking, backing("../../etc/passwd")},
		{"S-101 nbd", disk.ReasonBacking, backing("nbd:127.0.0.1:10809")},
		{"S-101 http", disk.ReasonBacking, backing("http://169.254.169.254/latest/meta-data/")},
		{"S-101 json", disk.ReasonBacking, backing(`json:{"driver":"file","filename":"/etc/passwd"}`)},
		{"S-101 1023 bytes", disk.ReasonBacking, backing(strings.Repeat("x", 1023))},
		{"S-133 1024 bytes", malformed, backing(strings.Repeat("x", 1024))},
		{"S-101 name out of the file", malformed, func(b []byte, _ places) { put64(b, 8, 1<<40); put32(b, 16, 9) }},
		{"S-133 name over the cluster", malformed, func(b []byte, _ places) { put64(b, 8, 65530); put32(b, 16, 100) }},
		{"S-101 no length", disk.ReasonBacking, func(b []byte, _ places) { put64(b, 8, 512) }},
		{"S-101 no offset", disk.ReasonBacking, func(b []byte, _ places) { put32(b, 16, 9) }},

		// S-102, CVE-2024-32498: an external data file
		{"S-102 bit", disk.ReasonDataFile, func(b []byte, _ places) { put64(b, 72, 4) }},
		{"S-102 bit and name", disk.ReasonDataFile, func(b []byte, at places) {
			put64(b, 72, 4)
			extension(0x44415441, "/etc/passwd")(b, at)
		}},
		{"S-102 name", disk.ReasonDataFile, extension(0x44415441, "/etc/passwd")},
		{"S-102 json", disk.ReasonDataFile, extension(0x44415441, `json:{"file":"x"}`)},
		{"S-102 autoclear", disk.ReasonDataFile, func(b []byte, _ places) { put64(b, 88, 2) }},

		// S-131: sizes
		{"S-131 8 EiB", malformed, func(b []byte, _ places) { put64(b, 24, 1<<63) }},
		{"S-131 2^63-1", malformed, func(b []byte, _ places) { put64(b, 24, 1<<63-1) }},
		{"S-131 64 TiB and a byte", malformed, func(b []byte, _ places) { put64(b, 24, 64<<40+1) }},
		{"S-131 over the limit", disk.ReasonTooLarge, func(b []byte, _ places) { put64(b, 24, 1<<30+1); put32(b, 36, 3) }},

		// S-133: counts and places
		{"S-133 version 0", disk.ReasonFeature, func(b []byte, _ places) { put32(b, 4, 0) }},
		{"S-133 version 4", disk.ReasonFeature, func(b []byte, _ places) { put32(b, 4, 4) }},
		{"S-133 unknown feature", disk.ReasonFeature, func(b []byte, _ places) { put64(b, 72, 1<<40) }},
		{"S-133 header of 64 KiB and one", malformed, func(b []byte, _ places) { put32(b, 100, 65537) }},
		{"S-133 header of 0 bytes", malformed, func(b []byte, _ places) { put32(b, 100, 0) }},
		{"S-133 header of 4 GiB", malformed, func(b []byte, _ places) { put32(b, 100, 1<<32-1) }},
		{"S-133 huge extension", malformed, func(b []byte, _ places) { put32(b, 112, 0x12345678); put32(b, 116, 1<<32-1) }},
		{"S-133 encrypted", disk.ReasonEncrypted, func(b []byte, _ places) { put32(b, 32, 1) }},
		{"S-133 LUKS", disk.ReasonEncrypted, func(b []byte, _ places) { put32(b, 32, 2) }},
		{"S-133 compression without its bit", malformed, func(b []byte, _ places) { b[104] = 1 }},
		{"S-133 compression unknown", disk.ReasonFeature, func(b []byte, _ places) { b[104] = 9; put64(b, 72, 8) }},
		{"S-133 clusters of 256 bytes", malformed, func(b []byte, _ places) { put32(b, 20, 8) }},
		{"S-133 clusters of 4 MiB", malformed, func(b []byte, _ places) { put32(b, 20, 22) }},
		{"S-133 clusters of 2^2^31", malformed, func(b []byte, _ places) { put32(b, 20, 1<<31) }},
		{"S-133 refcounts of 2^7 bits", malformed, func(b []byte, _ places) { put32(b, 96, 7) }},
		{"S-133 refcounts of 2^2^32", malformed, func(b []byte, _ places) { put32(b, 96, 1<<32-1) }},
		{"S-133 no refcount table", malformed, func(b []byte, _ places) { put32(b, 56, 0) }},
		{"S-133 refcount table over 8 MiB", disk.ReasonTooLarge, func(b []byte, _ places) { put32(b, 56, 129) }},
		{"S-133 refcount table unaligned", malformed, func(b []byte, at places) { put64(b, 48, uint64(at.refTable)+512) }},
		{"S-133 refcount table behind the end", malformed, func(b []byte, _ places) { put64(b, 48, 1<<40) }},
		{"S-133 refcount table at 2^63", malformed, func(b []byte, _ places) { put64(b, 48, 1<<63) }},
		{"S-133 too many snapshots", disk.ReasonTooLarge, func(b []byte, at places) { put32(b, 60, 65537); put64(b, 64, uint64(at.l1)) }},
		{"S-133 snapshots behind the end", malformed, func(b []byte, _ places) { put32(b, 60, 1); put64(b, 64, 1<<40) }},
		{"S-133 snapshots unaligned", malformed, func(b []byte, at places) { put32(b, 60, 1); put64(b, 64, uint64(at.l1)+1) }},
		{"S-133 snapshot's extra data", disk.ReasonTooLarge, func(b []byte, at places) {
			put32(b, 60, 1)
			put64(b, 64, uint64(at.refBlock))
			clear(b[at.refBlock:][:64])
			put32(b, at.refBlock+36, 1025)
		}},
		{"S-133 snapshot's L1 table too long", disk.ReasonTooLarge, func(b []byte, at places) {
			put32(b, 60, 1)
			put64(b, 64, uint64(at.refBlock))
			clear(b[at.refBlock:][:64])
			put32(b, at.refBlock+8, 1<<22+1)
		}},
		{"S-133 snapshot's L1 table outside", malformed, func(b []byte, at places) {
			put32(b, 60, 1)
			put64(b, 64, uint64(at.refBlock))
			clear(b[at.refBlock:][:64])
			put64(b, at.refBlock, 1<<50)
			put32(b, at.refBlock+8, 1)
		}},
		{"S-133 L1 over 32 MiB", disk.ReasonTooLarge, func(b []byte, _ places) { put32(b, 36, 1<<22+1) }},
		{"S-133 L1 longer than the file", malformed, func(b []byte, _ places) { put32(b, 36, 1<<22) }},
		{"S-133 L1 behind the end", malformed, func(b []byte, _ places) { put64(b, 40, 1<<40) }},
		{"S-133 L1 at 2^64-1", malformed, func(b []byte, _ places) { put64(b, 40, 1<<64-1) }},
		{"S-133 L1 unaligned", malformed, func(b []byte, at places) { put64(b, 40, uint64(at.l1)+8) }},
		{"S-133 L1 too short", malformed, func(b []byte, _ places) { put32(b, 36, 0) }},
		{"S-133 L2 beyond 2^56", malformed, func(b []byte, at places) { put64(b, at.l1, 1<<56) }},
		{"S-133 L2 behind the end", malformed, func(b []byte, at places) { put64(b, at.l1, 1<<40) }},
		{"S-133 L2 unaligned", malformed, func(b []byte, at places) { put64(b, at.l1, uint64(at.l2)&^65535+512) }},

		// S-134: overlaps and places of data
		{"S-134 L2 in the L1 table", malformed, func(b []byte, at places) { put64(b, at.l1, uint64(at.l1)) }},
		{"S-134 one L2 table twice", malformed, func(b []byte, at places) {
			put64(b, 24, 1<<30)
			put32(b, 36, 2)
			copy(b[at.l1+8:at.l1+16], b[at.l1:at.l1+8])
		}},
		{"S-134 data unaligned", malformed, func(b []byte, at places) { put64(b, at.l2, 65536+512) }},
		{"S-134 data behind the end", malformed, func(b []byte, at places) { put64(b, at.l2, 1<<40) }},
		{"S-134 data at 2^60", malformed, func(b []byte, at places) { put64(b, at.l2, 1<<60) }},
		{"S-134 reserved bits", malformed, func(b []byte, at places) { put64(b, at.l2, 65536+2) }},
		{"S-134 packed data behind the end", malformed, func(b []byte, at places) { put64(b, at.l2, 1<<62|1<<50) }},
		{"S-134 packed data that are none", malformed, func(b []byte, at places) { put64(b, at.l2, 1<<62|65536) }},
		{"extended L2 in small clusters", malformed, func(b []byte, _ places) { put64(b, 72, 16); put32(b, 20, 13) }},
		{"cut off", malformed, nil}, // see below
	}
	src := disktest.NewSynthetic(16<<20, 5, disk.Extent{Off: 100 << 10, Len: 300 << 10}, disk.Extent{Off: 8 << 20, Len: 1})
	view, err := qcow2.Layout(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	good, err := io.ReadAll(io.NewSectionReader(view, 0, view.Size()))
	if err != nil {
		t.Fatal(err)
	}
	if err := visit(t, good); err != nil {
		t.Fatalf("the file is not good to begin with: %v", err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(good)
			if tt.change == nil {
				b = b[:len(b)/2]
			} else {
				tt.change(b, where(good))
			}
			err := visit(t, b)
			var refused *disk.Refused
			var broken *disk.Malformed
			got := disk.Reason("")
			switch {
			case errors.As(err, &refused):
				got = refused.Reason
			case errors.As(err, &broken):
				got = malformed
			}
			if got != tt.want {
				t.Errorf("%s: %v, want %s", got, err, tt.want)
			}
		})
	}
}

// visit opens a file, walks it and reads all of it that fits, under the budget
// for hostile files: 2 s and 256 MiB.
func visit(t testing.TB, b []byte) error {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	defer func() {
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 256<<20 {
			t.Errorf("%d bytes allocated", n)
		}
		if d := time.Since(start); d > 20*time.Second { // wall time on a busy machine
			t.Errorf("took %s", d)
		}
	}()
	budget := disk.NewBudget(disk.Limits{Size: 1 << 30})
	r, size := bytes.NewReader(b), int64(len(b))
	d, err := qcow2.Open(t.Context(), r, size, disk.OpenOptions{Budget: budget})
	// Check must live with anything; what it says is tested elsewhere.
	_, _ = qcow2.Check(t.Context(), r, size, disk.OpenOptions{Budget: budget})
	if err != nil {
		return err
	}
	for _, err := range d.Extents(t.Context(), 0, d.Size()) {
		if err != nil {
			return err
		}
	}
	_, err = io.Copy(io.Discard, io.NewSectionReader(d, 0, min(d.Size(), 16<<20)))
	return err
}

// TestAmplification (S-134): many guest clusters in one of the file can be
// read, and Check counts them.
func TestAmplification(t *testing.T) {
	src := disktest.NewSynthetic(16<<20, 5, disk.Extent{Off: 0, Len: 1})
	view, err := qcow2.Layout(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(view, 0, view.Size()))
	if err != nil {
		t.Fatal(err)
	}
	at := where(b)
	for i := range int64(255) {
		copy(b[at.l2+8+8*i:][:8], b[at.l2:][:8])
	}
	if err := visit(t, b); err != nil {
		t.Fatal(err)
	}
	report, err := qcow2.Check(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{})
	if err != nil || report.Overlaps != 255 || report.Allocated != 256 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestManyTables (S-132): 65,536 snapshots that share one long L1 table would
// take hours to walk one by one.
func TestManyTables(t *testing.T) {
	const cluster, entries = 512, 1 << 17
	src := disktest.NewSynthetic(1<<20, 5, disk.Extent{Off: 0, Len: 1})
	view, err := qcow2.Layout(t.Context(), src, disk.Settings{"cluster_size": "512"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(io.NewSectionReader(view, 0, view.Size()))
	if err != nil {
		t.Fatal(err)
	}
	at := where(b)
	table := int64(len(b))
	b = append(b, make([]byte, 65536*40)...)
	l1 := int64(len(b)+cluster-1) &^ (cluster - 1)
	b = append(b, make([]byte, l1-int64(len(b))+entries*8)...)
	put32(b, 60, 65536)
	put64(b, 64, uint64(table))
	for i := range int64(65536) {
		put64(b, table+i*40, uint64(l1))
		put32(b, table+i*40+8, entries)
	}
	for i := range int64(entries) {
		put64(b, l1+i*8, uint64(at.l2)&^(cluster-1))
	}
	start := time.Now()
	_, err = qcow2.Check(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{})
	var refused *disk.Refused
	if !errors.As(err, &refused) || refused.Reason != disk.ReasonLimit {
		t.Errorf("%v", err)
	}
	t.Logf("given up after %s", time.Since(start))
}

// refused tells whether a file was refused for a reason.
func refused(err error, reason disk.Reason) bool {
	var r *disk.Refused
	return errors.As(err, &r) && r.Reason == reason
}
