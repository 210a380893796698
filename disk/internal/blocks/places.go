package blocks

import (
	"maps"
	"slices"

	"kuva/disk"
)

// Places finds blocks of one length that lie in the way of each other in a
// file. It keeps four bytes for each stretch of that length, in pages that are
// made when needed and paid for from the budget. The zero value with Len set is
// empty.
type Places struct {
	Len    int64 // of a block, in any unit, less than 2³²
	Budget *disk.Budget

	pages map[int64]*[placesPage]uint32
}

const placesPage = 4096

// Claim puts a block at place at and tells whether the place was free. What
// was taken is not claimed again.
func (s *Places) Claim(at int64) (free bool, err error) {
	bucket, within := at/s.Len, at%s.Len
	// A block may begin in the same stretch, or in the next ones and reach
	// into this block, or this block into it.
	if s.get(bucket) != 0 {
		return false, nil
	}
	if v := s.get(bucket - 1); v != 0 && int64(v-1) > within {
		return false, nil
	}
	if v := s.get(bucket + 1); v != 0 && int64(v-1) < within {
		return false, nil
	}
	p := s.pages[bucket/placesPage]
	if p == nil {
		if err := s.Budget.Alloc(4 * placesPage); err != nil {
			return false, err
		}
		if s.pages == nil {
			s.pages = make(map[int64]*[placesPage]uint32)
		}
		p = new([placesPage]uint32)
		s.pages[bucket/placesPage] = p
	}
	p[bucket%placesPage] = uint32(within) + 1
	return true, nil
}

func (s *Places) get(bucket int64) uint32 {
	if bucket < 0 {
		return 0
	}
	if p := s.pages[bucket/placesPage]; p != nil {
		return p[bucket%placesPage]
	}
	return 0
}

// Gaps counts the blocks of Len that would fit between the claimed ones, from
// start to end.
func (s *Places) Gaps(start, end int64) (n int64) {
	for _, no := range slices.Sorted(maps.Keys(s.pages)) {
		for i, v := range s.pages[no] {
			if v == 0 {
				continue
			}
			at := (no*placesPage+int64(i))*s.Len + int64(v-1)
			n += max(0, at-start) / s.Len
			start = at + s.Len
		}
	}
	return n + max(0, end-start)/s.Len
}

// Free gives the memory back to the budget.
func (s *Places) Free() {
	s.Budget.Free(int64(len(s.pages)) * 4 * placesPage)
	s.pages = nil
}
