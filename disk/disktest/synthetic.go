// Package disktest is the suite that every format of package disk passes: one
// call to Run with the format and the variants of it. qemu-img, where it is
// there, judges what is written and makes what is read. Corpus runs files of
// other makers.
package disktest

import (
	"context"
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"slices"
	"sort"

	"pgregory.net/rapid"

	"kuva/disk"
)

// Synthetic is a disk of any size whose data are computed from their place, so
// that disks of 63 TiB can be tested. Of four stretches of 16 KiB one repeats
// itself every 128 bytes, one is the same as that before it, and two are random.
type Synthetic struct {
	size    int64
	seed    uint64
	extents []disk.Extent // ascending, without Hole
}

// NewSynthetic makes a disk with these Data and Zero extents, in ascending
// order; what lies between them is Hole.
func NewSynthetic(size int64, seed uint64, extents ...disk.Extent) *Synthetic {
	return &Synthetic{size: size, seed: seed, extents: extents}
}

// DrawDisk draws a disk of at most maxSize bytes with up to 40 extents.
func DrawDisk(t *rapid.T, maxSize int64) *Synthetic {
	size := rapid.Int64Range(0, maxSize).Draw(t, "size")
	if rapid.Bool().Draw(t, "whole sectors") {
		size &^= 511
	}
	return RandomDisk(size, rapid.Uint64().Draw(t, "seed"))
}

// RandomDisk is a disk of size bytes with up to 40 extents, which follow from
// the seed.
func RandomDisk(size int64, seed uint64) *Synthetic {
	d := NewSynthetic(size, seed)
	rng := rand.New(rand.NewPCG(seed, 7))
	align := int64(1) << rng.IntN(17)
	for off := int64(0); off < size && len(d.extents) < 40; {
		n := min(size-off, (1+rng.Int64N(1+size>>rng.IntN(12)))&^(align-1)+align)
		if kind := disk.Kind(rng.IntN(3)); kind != disk.Hole {
			d.extents = append(d.extents, disk.Extent{Off: off, Len: n, Kind: kind})
		}
		off += n
	}
	return d
}

// Size implements disk.Disk.
func (s *Synthetic) Size() int64 { return s.size }

// ReadAt implements disk.Disk.
func (s *Synthetic) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, s.size, func(p []byte, off int64) error {
		for e := range s.Extents(context.Background(), off, int64(len(p))) {
			part := p[e.Off-off : e.End()-off]
			if e.Kind == disk.Data {
				s.fill(part, e.Off)
			} else {
				clear(part)
			}
		}
		return nil
	})
}

func (s *Synthetic) fill(p []byte, off int64) {
	var word [8]byte
	for len(p) > 0 {
		i := off / 8
		switch off >> 14 & 3 {
		case 0:
			i &= 15
		case 2:
			i -= 16 << 10 / 8
		}
		// splitmix64
		z := s.seed + uint64(i+1)*0x9e3779b97f4a7c15
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z = (z ^ z>>31) | 1 // no word is zero
		if off%8 == 0 && len(p) >= 8 {
			binary.LittleEndian.PutUint64(p, z)
			p, off = p[8:], off+8
			continue
		}
		binary.LittleEndian.PutUint64(word[:], z)
		n := copy(p, word[off%8:])
		p, off = p[n:], off+int64(n)
	}
}

// Extents implements disk.Disk.
func (s *Synthetic) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, s.size)
		emit := func(end int64, kind disk.Kind) bool {
			e := disk.Extent{Off: off, Len: end - off, Kind: kind, At: disk.Nowhere}
			off = end
			return e.Len == 0 || yield(e, nil)
		}
		end := off + n
		i := sort.Search(len(s.extents), func(i int) bool { return s.extents[i].End() > off })
		for ; i < len(s.extents) && s.extents[i].Off < end; i++ {
			e := s.extents[i]
			if err := ctx.Err(); err != nil {
				yield(disk.Extent{}, err)
				return
			}
			if !emit(max(off, e.Off), disk.Hole) || !emit(min(end, e.End()), e.Kind) {
				return
			}
		}
		emit(end, disk.Hole)
	}
}

// Samples are disks with the sizes and shapes that go wrong, of up to 6 MiB.
func Samples() map[string]*Synthetic {
	data := func(off, n int64) disk.Extent { return disk.Extent{Off: off, Len: n} }
	zero := func(off, n int64) disk.Extent { return disk.Extent{Off: off, Len: n, Kind: disk.Zero} }
	const k, m = 1 << 10, 1 << 20
	return map[string]*Synthetic{
		"nothing":      NewSynthetic(0, 1),
		"one byte":     NewSynthetic(1, 2, data(0, 1)),
		"one sector":   NewSynthetic(512, 3, data(0, 512)),
		"odd":          NewSynthetic(1_000_001, 4, data(0, 1_000_001)),
		"full":         NewSynthetic(2*m, 5, data(0, 2*m)),
		"empty":        NewSynthetic(6*m, 6),
		"zeros":        NewSynthetic(3*m, 7, zero(0, 3*m)),
		"spots":        NewSynthetic(6*m+512, 8, data(100, 1), data(64*k, 64*k), zero(256*k, 512*k), data(3*m-1, 2), data(6*m+511, 1)),
		"end of block": NewSynthetic(4*m, 9, data(4*m-512, 512)),
	}
}

// names gives a map's keys in order.
func names(m map[string]*Synthetic) []string {
	var list []string
	for name := range m {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}
