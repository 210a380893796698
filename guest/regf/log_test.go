package regf_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/bits"
	"slices"
	"testing"

	"kuva/guest/budget"
	"kuva/guest/regf"
	"kuva/guest/regf/regftest"
)

// page is a piece of the cells that a log holds.
type page struct {
	off  uint32
	data []byte
}

// marvin is the hash of log entries, from the description.
func marvin(b []byte) uint64 {
	lo, hi := uint32(0x7A4E55C5), uint32(0x82EF4D88)
	mix := func(v uint32) {
		lo += v
		hi ^= lo
		lo = bits.RotateLeft32(lo, 20) + hi
		hi = bits.RotateLeft32(hi, 9) ^ lo
		lo = bits.RotateLeft32(lo, 27) + hi
		hi = bits.RotateLeft32(hi, 19)
	}
	padded := append(bytes.Clone(b), 0x80)
	padded = append(padded, make([]byte, -len(padded)&3)...)
	for ; len(padded) > 0; padded = padded[4:] {
		mix(binary.LittleEndian.Uint32(padded))
	}
	mix(0)
	return uint64(hi)<<32 | uint64(lo)
}

// logHead is the header of a log of a kind.
func logHead(hive []byte, kind uint32) []byte {
	b := make([]byte, 512)
	copy(b, hive[:512])
	copy(b[8:12], b[4:8])
	binary.LittleEndian.PutUint32(b[28:], kind)
	regftest.Seal(b)
	return b
}

// newLog is a log with an entry for each group of pages, as Windows 8.1 writes.
func newLog(hive []byte, sequence uint32, pages ...page) []byte {
	log := logHead(hive, 6)
	for i, p := range pages {
		e := make([]byte, 48, 48+len(p.data))
		copy(e, "HvLE")
		size := (48 + len(p.data) + 511) &^ 511
		binary.LittleEndian.PutUint32(e[4:], uint32(size))
		binary.LittleEndian.PutUint32(e[12:], sequence+uint32(i))
		binary.LittleEndian.PutUint32(e[16:], max(binary.LittleEndian.Uint32(hive[40:]), p.off+uint32(len(p.data))))
		binary.LittleEndian.PutUint32(e[20:], 1)
		binary.LittleEndian.PutUint32(e[40:], p.off)
		binary.LittleEndian.PutUint32(e[44:], uint32(len(p.data)))
		e = append(e, p.data...)
		e = append(e, make([]byte, size-len(e))...)
		binary.LittleEndian.PutUint64(e[24:], marvin(e[40:]))
		binary.LittleEndian.PutUint64(e[32:], marvin(e[:32]))
		log = append(log, e...)
	}
	return log
}

// oldLog is a log with some sectors of a hive, as older Windows writes.
func oldLog(hive []byte, sectors ...int) []byte {
	log := logHead(hive, 1)
	log = append(log, "DIRT"...)
	bitmap := make([]byte, (len(hive)-4096)/4096)
	for _, s := range sectors {
		bitmap[s/8] |= 1 << (s % 8)
	}
	log = append(log, bitmap...)
	log = append(log, make([]byte, -len(log)&511)...)
	for _, s := range sectors {
		log = append(log, hive[4096+512*s:][:512]...)
	}
	return log
}

func openBounded(t *testing.T, b, log []byte) (*regf.Hive, error) {
	return regf.Open(bytes.NewReader(b), int64(len(b)), regf.Options{
		Budget: budget.New(t.Context(), budget.Limits{Steps: 200_000, Read: 64 << 20, Memory: 64 << 20}),
		Logs:   []*io.SectionReader{io.NewSectionReader(bytes.NewReader(log), 0, int64(len(log)))},
	})
}

// TestLogs applies logs of both kinds to a hive that was not closed, and sees
// what hivex wrote into the hive that was.
func TestLogs(t *testing.T) {
	before := regftest.Merge(t, "[HKEY_LOCAL_MACHINE\\TEST\\Select]\n\"Current\"=dword:00000001\n")
	text := "[HKEY_LOCAL_MACHINE\\TEST\\Select]\n\"Current\"=dword:00000002\n\"More\"=hex:"
	text += string(bytes.Repeat([]byte("01,"), 9000)) + "02\n"
	after := regftest.Merge(t, "[HKEY_LOCAL_MACHINE\\TEST\\Select]\n\"Current\"=dword:00000001\n\n"+text)
	want := mustList(t, open(t, after))
	if len(after) <= len(before) || slices.Equal(want, mustList(t, open(t, before))) {
		t.Fatal("the change is too small")
	}
	// Both begin at sequence 7; the first was written to the file.
	for _, b := range [][]byte{before, after} {
		binary.LittleEndian.PutUint32(b[4:], 8)
		binary.LittleEndian.PutUint32(b[8:], 7)
		copy(b[12:20], after[12:20])
		regftest.Seal(b)
	}
	pages := []page{{0, make([]byte, 4096)}, {0, after[4096:8192]}, {4096, after[8192:]}}
	one, two := newLog(before, 7, pages[:2]...), newLog(before, 9, pages[2:]...)
	all := make([]int, (len(after)-4096)/512)
	for i := range all {
		all[i] = i
	}

	if i := open(t, before).Info(); !i.Dirty || i.Logs {
		t.Errorf("without logs: %+v", i)
	}
	for name, logs := range map[string][][]byte{
		"new": {one, two}, "in the other order": {two, one}, "old": {nil, oldLog(after, all...)}, "one of them twice": {one, two, one},
	} {
		h := open(t, before, logs...)
		if got := mustList(t, h); !slices.Equal(got, want) {
			t.Errorf("%s: %d lines of %d", name, len(got), len(want))
		}
		if i := h.Info(); !i.Dirty || !i.Logs || i.Replayed == 0 {
			t.Errorf("%s: %+v", name, i)
		}
	}

	// A torn header is mended by the log's.
	torn := bytes.Clone(before)
	torn[36] ^= 0xff
	if got := mustList(t, open(t, torn, one, two)); !slices.Equal(got, want) {
		t.Error("torn header, new logs")
	}
	if got := mustList(t, open(t, torn, oldLog(after, all...))); !slices.Equal(got, want) {
		t.Error("torn header, old log")
	}

	// What does not fit is not applied.
	broken := bytes.Clone(one)
	broken[len(broken)-1] ^= 1
	gap := newLog(before, 10, pages[2:]...)
	other := bytes.Clone(after)
	other[12] ^= 1
	for name, tt := range map[string]struct {
		logs     [][]byte
		replayed int
	}{
		"second entry broken":       {[][]byte{broken, two}, 1},
		"an entry is missing":       {[][]byte{one, gap}, 2},
		"cut off":                   {[][]byte{one[:len(one)-1]}, 1},
		"old, of another time":      {[][]byte{oldLog(other, all...)}, 0},
		"old, cut off":              {[][]byte{oldLog(after, all...)[:4096]}, 0},
		"no log":                    {[][]byte{before, nil, make([]byte, 5000)}, 0},
		"older than the file":       {[][]byte{newLog(before, 5, pages[0])}, 0},
		"a page outside":            {[][]byte{newLog(before, 7, page{100, make([]byte, 512)})}, 0},
		"a page behind its numbers": {[][]byte{newLog(before, 0xfffffff0, pages[1])}, 0},
	} {
		if i := open(t, before, tt.logs...).Info(); !i.Dirty || i.Replayed != tt.replayed {
			t.Errorf("%s: %+v, want %d", name, i, tt.replayed)
		}
	}
}
