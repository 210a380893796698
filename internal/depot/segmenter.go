package depot

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// zeroBits counts the zero bits that a name ends in.
func (n Name) zeroBits() int { return bits.TrailingZeros64(n.low()) }

func (n Name) low() uint64 { return binary.BigEndian.Uint64(n[24:]) }

// name8 is what the hook table keeps of a name: the 8 bytes before those that
// choose the hooks, so that equal name8 means nearly always equal names.
func (n Name) name8() int64 { return int64(binary.BigEndian.Uint64(n[:8])) }

// segmenter cuts the entries of an object into segments.
type segmenter struct {
	entries []Entry
	fresh   []bool // the entry's chunk was stored by this writer
	chunks  int
	first   int64 // where the segment begins in the object
	off     int64 // where the next entry begins
}

// add takes the next entry and reports whether the segment is complete.
func (s *segmenter) add(e Entry, fresh bool) bool {
	s.off += e.Len()
	if e.Hole > 0 {
		if n := len(s.entries); n > 0 && s.entries[n-1].Hole > 0 {
			s.entries[n-1].Hole += e.Hole
			return false
		}
		s.entries, s.fresh = append(s.entries, e), append(s.fresh, false)
		return false
	}
	s.entries, s.fresh = append(s.entries, e), append(s.fresh, fresh)
	s.chunks++
	return s.chunks >= segmentMax || s.chunks >= segmentMin && e.Name.zeroBits() >= segmentBits
}

// take hands the segment out and begins the next.
func (s *segmenter) take() (entries []Entry, fresh []bool, first int64) {
	entries, fresh, first = s.entries, s.fresh, s.first
	*s = segmenter{first: s.off, off: s.off}
	return entries, fresh, first
}

const (
	hooksFirst = 4 // chunks at a segment's beginning that are always hooks
	hooksLeast = 8 // hooks of a segment, if it has as many chunks
	hooksName  = 4 // rows that one name may have
)

// hooksOf chooses the hooks of a segment: its first four chunks, names that
// end in k zero bits, and enough of those that come lowest in the same order
// that there are eight. A reused chunk has its hook already, so beyond the
// first four only those count that the writer stored itself. The first four
// count always: the next snapshot resembles this one more than the one that
// stored most of its chunks, and must find it from its first window on; and
// what was uploaded twice must be found after the first copy is gone.
func hooksOf(entries []Entry, fresh []bool, k int) []Name {
	type candidate struct {
		name  Name
		order uint64
	}
	var hooks []Name
	var rest []candidate
	seen := map[Name]bool{}
	n := 0
	for i, e := range entries {
		if e.Hole > 0 {
			continue
		}
		n++
		if seen[e.Name] || !fresh[i] && n > hooksFirst {
			continue
		}
		seen[e.Name] = true
		if n <= hooksFirst || e.Name.zeroBits() >= k {
			hooks = append(hooks, e.Name)
			continue
		}
		rest = append(rest, candidate{e.Name, bits.Reverse64(e.Name.low())})
	}
	slices.SortFunc(rest, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.order, b.order), bytes.Compare(a.name[:], b.name[:]))
	})
	for _, c := range rest {
		if len(hooks) >= hooksLeast {
			break
		}
		hooks = append(hooks, c.name)
	}
	return hooks
}
