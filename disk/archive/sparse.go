package archive

import (
	"bytes"
	"context"
	"iter"
	"sort"
	"strconv"
	"strings"

	"kuva/disk"
)

// piece is a stretch of a sparse file that has data: n bytes, at off of the
// file and at of the member's data.
type piece struct{ off, n, at int64 }

// sparseRecord is what pax headers say about a sparse file. GNU tar has written
// three versions: 0.0 repeats offset and numbytes, 0.1 has a map, 1.0 puts the
// map before the data.
type sparseRecord struct {
	major, minor, name string
	realsize           int64
	hasSize            bool
	numbers            []int64 // off, length, off, length, …
}

func (s *sparseRecord) any() bool { return s.major != "" || s.hasSize || s.numbers != nil }

func (s *sparseRecord) set(key, value string) error {
	switch key {
	case "major":
		s.major = value
	case "minor":
		s.minor = value
	case "name":
		s.name = value
	case "size", "realsize":
		n, err := decimal(value)
		if err != nil {
			return err
		}
		s.realsize, s.hasSize = n, true
	case "offset", "numbytes":
		n, err := decimal(value)
		if err != nil {
			return err
		}
		if (key == "offset") != (len(s.numbers)%2 == 0) {
			return disk.Malform(tar, "a map of holes is out of order")
		}
		s.numbers = append(s.numbers, n)
	case "map":
		s.numbers = []int64{}
		for text := range strings.SplitSeq(value, ",") {
			if text == "" && value == "" {
				break
			}
			n, err := decimal(text)
			if err != nil {
				return err
			}
			s.numbers = append(s.numbers, n)
		}
	}
	return nil
}

func decimal(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, disk.Malform(tar, "a map of holes has the number %s", disk.Quote([]byte(text)))
	}
	return int64(n), nil
}

// paxSparse makes a member sparse that the extended headers say to be.
func (a *Archive) paxSparse(m *Member, r *record, b *disk.Budget) error {
	s := &r.sparse
	if !s.any() || m.Kind != File {
		return nil
	}
	numbers := s.numbers
	switch {
	case s.major == "1" && s.minor == "0":
		var used int64
		var err error
		if numbers, used, err = a.mapInData(m, r, b); err != nil {
			return err
		}
		m.Off += used
		m.Packed -= used
	case s.major != "" && (s.major != "0" || s.minor != "0" && s.minor != "1"):
		return disk.Refuse(tar, disk.ReasonFeature, "sparse files of version %s", disk.Quote([]byte(s.major+"."+s.minor)))
	}
	if !s.hasSize || numbers == nil {
		return disk.Malform(tar, "a sparse file without a size or map")
	}
	if s.name != "" {
		m.Name = cstring([]byte(s.name))
	}
	return m.setPieces(s.realsize, numbers)
}

// mapInData reads the map of version 1.0: the number of pieces and then offset
// and length of each, every number on a line, filled up to whole blocks.
func (a *Archive) mapInData(m *Member, r *record, b *disk.Budget) (numbers []int64, used int64, err error) {
	var text []byte
	left := int64(-1) // numbers to come
	for left != 0 {
		if used+block > m.Packed {
			return nil, 0, disk.Malform(tar, "a map of holes is cut off")
		}
		part, err := a.text(m.Off+used, block, r, b)
		if err != nil {
			return nil, 0, err
		}
		used += block
		text = append(text, part...)
		for left != 0 {
			line, rest, ok := bytes.Cut(text, []byte{'\n'})
			if !ok {
				break
			}
			n, err := decimal(string(line))
			if err != nil {
				return nil, 0, err
			}
			text = rest
			switch {
			case left > 0:
				numbers = append(numbers, n)
				left--
			case n > MaxHeader/2: // it takes two lines a piece
				return nil, 0, disk.Refuse(tar, disk.ReasonLimit, "a map of %d pieces", n)
			default:
				numbers, left = []int64{}, 2*n
			}
		}
	}
	return numbers, used, nil
}

// oldSparse reads the map of GNU's own header and the blocks that go on with
// it, before the data.
func (a *Archive) oldSparse(h []byte, m *Member, r *record, b *disk.Budget) (used int64, err error) {
	realsize, ok := octal(h[483:495])
	if !ok {
		return 0, disk.Malform(tar, "a sparse file without a size")
	}
	numbers := []int64{}
	entries, more := h[386:482], h[482] != 0
	for {
		for ; len(entries) >= 24; entries = entries[24:] {
			if entries[0] == 0 || entries[12] == 0 { // no number at all ends the list
				break
			}
			off, ok1 := octal(entries[:12])
			n, ok2 := octal(entries[12:24])
			if !ok1 || !ok2 {
				return 0, disk.Malform(tar, "a map of holes has no number")
			}
			numbers = append(numbers, off, n)
		}
		if !more {
			break
		}
		next, err := a.text(m.Off, block, r, b)
		if err != nil {
			return 0, err
		}
		m.Off += block
		used += block
		entries, more = next[:504], next[504] != 0
	}
	return used, m.setPieces(realsize, numbers)
}

// setPieces makes the map of a sparse file: in ascending order, without
// overlap, within the size, and with as many bytes as the member has.
func (m *Member) setPieces(size int64, numbers []int64) error {
	if len(numbers)%2 != 0 {
		return disk.Malform(tar, "a map of holes is cut off")
	}
	m.pieces = make([]piece, 0, len(numbers)/2)
	var end, at int64
	for i := 0; i < len(numbers); i += 2 {
		off, n := numbers[i], numbers[i+1]
		if off < end || n > size-off || n > m.Packed-at {
			return disk.Malform(tar, "a map of holes does not fit its file")
		}
		if n > 0 {
			m.pieces = append(m.pieces, piece{off, n, at})
		}
		end, at = off+n, at+n
	}
	if at != m.Packed {
		return disk.Malform(tar, "a sparse file has %d bytes of data, its map %d", m.Packed, at)
	}
	m.Size, m.sparse = size, true
	return nil
}

// sparse is a sparse member as a disk.
type sparse struct {
	d      disk.Disk
	off    int64
	size   int64
	pieces []piece
}

func newSparse(d disk.Disk, m *Member) disk.Disk {
	return &sparse{d: d, off: m.Off, size: m.Size, pieces: m.pieces}
}

func (s *sparse) Size() int64 { return s.size }

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, s.size, func(p []byte, off int64) error {
		for e := range s.Extents(context.Background(), off, int64(len(p))) {
			part := p[e.Off-off : e.End()-off]
			if e.Kind != disk.Data {
				clear(part)
			} else if err := disk.ReadFull(s.d, part, e.At); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *sparse) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, s.size)
		end := off + n
		i := sort.Search(len(s.pieces), func(i int) bool { return s.pieces[i].off+s.pieces[i].n > off })
		for ; off < end; i++ {
			if err := ctx.Err(); err != nil {
				yield(disk.Extent{}, err)
				return
			}
			stop := end
			if i < len(s.pieces) {
				stop = min(end, s.pieces[i].off)
			}
			if stop > off {
				if !yield(disk.Extent{Off: off, Len: stop - off, Kind: disk.Hole}, nil) {
					return
				}
				off = stop
			}
			if off < end {
				p := s.pieces[i]
				stop := min(end, p.off+p.n)
				if !yield(disk.Extent{Off: off, Len: stop - off, At: s.off + p.at + off - p.off}, nil) {
					return
				}
				off = stop
			}
		}
	}
}
