package blocks

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
)

// TestEntries compares tables with plain loops.
func TestEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 300).Draw(t, "blocks")
		count := n + rapid.Int64Range(0, 100).Draw(t, "more")
		width := rapid.SampledFrom([]int64{4, 8}).Draw(t, "width")
		m := blockmap.New(n)
		for range rapid.IntRange(0, 5).Draw(t, "runs") {
			if n > 0 {
				i := rapid.Int64Range(0, n-1).Draw(t, "first")
				m.Add(i, rapid.Int64Range(i, n).Draw(t, "end"))
			}
		}
		m.Seal()
		put := func(e []byte, i, k int64) { binary.LittleEndian.PutUint32(e, uint32(i<<16|k+1)) }
		for _, absent := range []uint64{0, 0xa0b0c0d0} {
			want := make([]byte, count*width)
			for i, k := int64(0), int64(0); i < count; i++ {
				binary.LittleEndian.PutUint32(want[i*width:], uint32(absent))
				if i < n && m.Has(i) {
					put(want[i*width:], i, k)
					k++
				}
			}
			d := Entries(count, width, m, absent, put)
			if absent == 0 {
				d = SparseEntries(count, width, m, put)
			}
			if d.Size() == 0 {
				return
			}
			off := rapid.Int64Range(0, d.Size()-1).Draw(t, "off")
			got := make([]byte, rapid.Int64Range(0, d.Size()-off).Draw(t, "len"))
			if err := disk.ReadFull(d, got, off); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want[off:][:len(got)]) {
				t.Fatalf("%d bytes from %d: %x, want %x", len(got), off, got, want[off:][:len(got)])
			}
		}
	})
}

// TestPlaces compares claims with a plain list of bytes.
func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.Int64Range(1, 9).Draw(t, "length")
		p := Places{Len: length, Budget: disk.NewBudget(disk.Limits{})}
		defer p.Free()
		used := make([]bool, 200)
		for range 30 {
			at := rapid.Int64Range(0, 150).Draw(t, "at")
			want := true
			for i := at; i < at+length; i++ {
				want = want && !used[i]
			}
			free, err := p.Claim(at)
			if err != nil || free != want {
				t.Fatalf("Claim(%d) = %t, %v", at, free, err)
			}
			for i := at; free && i < at+length; i++ {
				used[i] = true
			}
		}
		var gaps, run int64
		for _, u := range used {
			if run++; u {
				run = 0
			} else if run == length {
				gaps, run = gaps+1, 0
			}
		}
		if got := p.Gaps(0, int64(len(used))); got != gaps {
			t.Fatalf("Gaps = %d, want %d", got, gaps)
		}
	})
}
