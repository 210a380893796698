package blocks

import (
	"context"
	"encoding/binary"
	"io"
	"iter"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
)

// Zeros is a piece of n zero bytes, which no file need store.
func Zeros(n int64) disk.Disk { return zeros(n) }

type zeros int64

func (z zeros) Size() int64 { return int64(z) }

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, int64(z), func(p []byte, _ int64) error {
		clear(p)
		return nil
	})
}

func (z zeros) Extents(_ context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	off, n = disk.Clamp(off, n, int64(z))
	return one(disk.Extent{Off: off, Len: n, Kind: disk.Hole, At: disk.Nowhere})
}

// Computed is a piece of n bytes that fill makes; it is called with ranges
// inside of the piece.
func Computed(n int64, fill func(p []byte, off int64) error) disk.Disk { return computed{n, fill} }

// Bytes is a piece that is kept.
func Bytes(b []byte) disk.Disk {
	return Computed(int64(len(b)), func(p []byte, off int64) error {
		copy(p, b[off:])
		return nil
	})
}

type computed struct {
	size int64
	fill func(p []byte, off int64) error
}

func (c computed) Size() int64 { return c.size }

func (c computed) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, c.size, c.fill)
}

func (c computed) Extents(_ context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	off, n = disk.Clamp(off, n, c.size)
	return one(disk.Extent{Off: off, Len: n, Kind: disk.Data, At: disk.Nowhere})
}

func one(e disk.Extent) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		if e.Len > 0 {
			yield(e, nil)
		}
	}
}

// Entries fills a table of count entries, width bytes each. put writes the
// entry of block i, which is the k-th of the map; absent is the entry of all
// others, also of those behind the map's blocks.
func Entries(count, width int64, m *blockmap.Map, absent uint64, put func(entry []byte, i, k int64)) disk.Disk {
	return Computed(count*width, func(p []byte, off int64) error {
		var entry [8]byte
		e := entry[:width]
		i := off / width
		for skip := off % width; len(p) > 0; skip = 0 {
			first, end := m.Blocks(), m.Blocks()
			if i < m.Blocks() {
				first, end = m.Run(i)
			}
			if i < first || first == end { // a stretch without blocks
				n := int64(len(p))
				if first < end {
					n = min(n, (first-i)*width-skip)
				}
				binary.LittleEndian.PutUint64(entry[:], absent)
				repeat(p[:n], e, skip)
				p, i = p[n:], i+(skip+n)/width
				continue
			}
			for k := m.Rank(i); i < end && len(p) > 0; i, k, skip = i+1, k+1, 0 {
				clear(e)
				put(e, i, k)
				p = p[copy(p, e[skip:]):]
			}
		}
		return nil
	})
}

// repeat fills p with e, beginning within e.
func repeat(p, e []byte, skip int64) {
	n := copy(p, e[skip:])
	n += copy(p[n:], e[:skip])
	for n < len(p) {
		n += copy(p[n:], p[:n])
	}
}

// SparseEntries is a table as Entries makes it, whose entries are zero where
// the map has no block: put is not called there, and nothing need be stored.
func SparseEntries(count, width int64, m *blockmap.Map, put func(entry []byte, i, k int64)) disk.Disk {
	return &sparse{Disk: Entries(count, width, m, 0, put), width: width, m: m}
}

type sparse struct {
	disk.Disk
	width int64
	m     *blockmap.Map
}

// ReadAt makes entries only where there are some: tables may have 2³⁰.
func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, s.Size(), func(p []byte, off int64) error {
		for e, err := range s.Extents(context.Background(), off, int64(len(p))) {
			if err != nil {
				return err
			}
			part := p[e.Off-off : e.End()-off]
			if e.Kind != disk.Data {
				clear(part)
			} else if _, err := s.Disk.ReadAt(part, e.Off); err != nil && err != io.EOF {
				return err
			}
		}
		return nil
	})
}

func (s *sparse) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, s.Size())
		for end := off + n; off < end; {
			first, last := s.m.Blocks(), s.m.Blocks()
			if i := off / s.width; i < s.m.Blocks() {
				first, last = s.m.Run(i)
			}
			e := disk.Extent{Off: off, Len: end - off, Kind: disk.Hole, At: disk.Nowhere}
			switch {
			case first == last: // none follows
			case first*s.width > off:
				e.Len = min(e.Len, first*s.width-off)
			default:
				e.Kind, e.Len = disk.Data, min(e.Len, last*s.width-off)
			}
			if err := ctx.Err(); err != nil {
				yield(disk.Extent{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
			off += e.Len
		}
	}
}

// Area is the part of a file that holds those blocks of a disk that are in a
// map, one behind the other, each behind the same prefix. A block that reaches
// over the disk's end is filled up with zeros.
func Area(d disk.Disk, m *blockmap.Map, block int64, prefix []byte) disk.Disk {
	return &area{d, m, block, prefix}
}

type area struct {
	d      disk.Disk
	m      *blockmap.Map
	block  int64
	prefix []byte
}

func (a *area) stride() int64 { return a.block + int64(len(a.prefix)) }

func (a *area) Size() int64 { return a.m.Count() * a.stride() }

// span is the stretch of the n bytes from off that lies in one prefix or in
// blocks that are neighbours on the disk: its length and, but for a prefix,
// its offset on the disk.
func (a *area) span(off, n int64) (length, guest int64, prefix []byte) {
	stride, head := a.stride(), int64(len(a.prefix))
	i, within := a.m.Select(off/stride), off%stride
	if within < head {
		return min(n, head-within), 0, a.prefix[within:]
	}
	guest = i*a.block + within - head
	end := (i + 1) * a.block
	if head == 0 {
		_, last := a.m.Run(i)
		end = last * a.block
	}
	return min(n, end-guest), guest, nil
}

func (a *area) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, a.Size(), func(p []byte, off int64) error {
		for len(p) > 0 {
			n, guest, prefix := a.span(off, int64(len(p)))
			part := p[:n]
			if prefix != nil {
				copy(part, prefix)
			} else {
				_, inside := disk.Clamp(guest, n, a.d.Size())
				clear(part[inside:])
				if err := disk.ReadFull(a.d, part[:inside], guest); err != nil {
					return err
				}
			}
			p, off = p[n:], off+n
		}
		return nil
	})
}

func (a *area) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, a.Size())
		for n > 0 {
			length, guest, prefix := a.span(off, n)
			next := off + length
			if prefix != nil {
				if !yield(disk.Extent{Off: off, Len: length, Kind: disk.Data, At: disk.Nowhere}, nil) {
					return
				}
			} else {
				shift := off - guest
				for e, err := range a.d.Extents(ctx, guest, length) {
					if err != nil {
						yield(disk.Extent{}, err)
						return
					}
					if e.Kind == disk.Zero {
						e.Kind = disk.Hole
					}
					e.Off += shift
					e.At = disk.Nowhere
					if !yield(e, nil) {
						return
					}
					off = e.End()
				}
				if off < next && !yield(disk.Extent{Off: off, Len: next - off, Kind: disk.Hole, At: disk.Nowhere}, nil) {
					return
				}
			}
			off, n = next, n-length
		}
	}
}
