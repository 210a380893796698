// Package blockmap knows which blocks of a disk hold data, and counts them
// fast both ways: how many come before block i (Rank), and which is the k-th
// (Select). Layouts of allocated formats are computed from it: the k-th data
// block lies at place k of the file.
//
//	blocks  0 ........ 65535 | 65536 ..... | …       one part of 2¹⁶ blocks each
//	parts     none, all, or bits: 8 KiB              before: count up to the part
//
// Parts without data or full of it cost 32 bytes, others 8 KiB more: a disk of
// 63 TiB at 64 KiB a block needs half a megabyte when empty and 126 MiB when
// every part is mixed. Source of the idea: roaring bitmaps.
package blockmap

import (
	"context"
	"math/bits"
	"sort"

	"kuva/disk"
)

const (
	partBits   = 16
	partBlocks = 1 << partBits
	words      = partBlocks / 64
)

// Map is a set of blocks. It may be read from many goroutines once it is
// built.
type Map struct {
	blocks int64 // of the disk
	count  int64 // in the set
	parts  []part
}

type part struct {
	before int64 // members in earlier parts
	count  int32 // members here: 0 none, all that there are, or see bits
	bits   *[words]uint64
}

// MaxBlocks is how many blocks a Map can have: 512 TiB of 4 KiB each. Its parts
// alone take 64 MiB then.
const MaxBlocks = 1 << 37

// New makes an empty set over so many blocks. The parts take 32 bytes for
// every 65,536 blocks. It panics above MaxBlocks.
func New(blocks int64) *Map {
	if blocks > MaxBlocks {
		panic("blockmap: too many blocks")
	}
	return &Map{blocks: blocks, parts: make([]part, (blocks+partBlocks-1)>>partBits)}
}

// Of makes the set of those blocks of d, block bytes each, that hold Data
// extents, be it in part. A disk of more than MaxBlocks is refused.
func Of(ctx context.Context, d disk.Disk, block int64) (*Map, error) {
	if n := ceil(d.Size(), block); n > MaxBlocks {
		return nil, disk.Refuse("", disk.ReasonTooLarge, "the disk has %d blocks of %d bytes", n, block)
	}
	m := New(ceil(d.Size(), block))
	for e, err := range d.Extents(ctx, 0, d.Size()) {
		if err != nil {
			return nil, err
		}
		if e.Kind == disk.Data {
			m.Add(e.Off/block, (e.End()-1)/block+1)
		}
	}
	m.Seal()
	return m, nil
}

// Coarse makes the set of the groups of n blocks that have a member.
func (m *Map) Coarse(n int64) *Map {
	c := New(ceil(m.blocks, n))
	for i, end := range m.Runs() {
		c.Add(i/n, (end-1)/n+1)
	}
	c.Seal()
	return c
}

func ceil(a, b int64) int64 {
	if a == 0 {
		return 0
	}
	return (a-1)/b + 1
}

// Add puts the blocks from i to before end into the set. Seal must follow
// before anything is asked.
func (m *Map) Add(i, end int64) {
	for i < end {
		p := &m.parts[i>>partBits]
		start := i &^ (partBlocks - 1)
		size := min(partBlocks, m.blocks-start)
		lo, hi := i-start, min(end-start, size)
		i = start + hi
		if int64(p.count) == size {
			continue
		}
		if lo == 0 && hi == size {
			p.count, p.bits = int32(size), nil
			continue
		}
		if p.bits == nil {
			p.bits = new([words]uint64)
		}
		for w := lo / 64; w*64 < hi; w++ {
			mask := ^uint64(0)
			if lo > w*64 {
				mask &= ^uint64(0) << (lo - w*64)
			}
			if hi < w*64+64 {
				mask &= 1<<(hi-w*64) - 1
			}
			p.count += int32(bits.OnesCount64(mask &^ p.bits[w]))
			p.bits[w] |= mask
		}
		if int64(p.count) == size {
			p.bits = nil
		}
	}
}

// Seal counts, after the last Add.
func (m *Map) Seal() {
	m.count = 0
	for i := range m.parts {
		m.parts[i].before = m.count
		m.count += int64(m.parts[i].count)
	}
}

// Blocks is the number of blocks of the disk, Count how many are in the set.
func (m *Map) Blocks() int64 { return m.blocks }

// Count is the number of members.
func (m *Map) Count() int64 { return m.count }

// Has tells whether block i is a member.
func (m *Map) Has(i int64) bool {
	p := &m.parts[i>>partBits]
	if p.bits == nil {
		return p.count > 0
	}
	j := i & (partBlocks - 1)
	return p.bits[j/64]>>(j%64)&1 != 0
}

// Rank is the number of members before block i; i may be Blocks.
func (m *Map) Rank(i int64) int64 {
	if i >= m.blocks {
		return m.count
	}
	p := &m.parts[i>>partBits]
	j := i & (partBlocks - 1)
	switch {
	case p.count == 0:
		return p.before
	case p.bits == nil:
		return p.before + j
	}
	n := p.before
	for w := range j / 64 {
		n += int64(bits.OnesCount64(p.bits[w]))
	}
	return n + int64(bits.OnesCount64(p.bits[j/64]&(1<<(j%64)-1)))
}

// Select is the member with k members before it; k must be less than Count.
func (m *Map) Select(k int64) int64 {
	at := sort.Search(len(m.parts), func(i int) bool { return m.parts[i].before > k }) - 1
	p := &m.parts[at]
	start, k := int64(at)<<partBits, k-p.before
	if p.bits == nil {
		return start + k
	}
	for w, word := range p.bits {
		n := int64(bits.OnesCount64(word))
		if k >= n {
			k -= n
			continue
		}
		for range k {
			word &= word - 1
		}
		return start + int64(w)*64 + int64(bits.TrailingZeros64(word))
	}
	panic("blockmap: Select beyond Count")
}

// Run is the first stretch of members that ends behind i, cut off before i:
// from its first block to before end. Without one both are Blocks.
func (m *Map) Run(i int64) (first, end int64) {
	first = m.next(i, true)
	return first, m.next(first, false)
}

// Runs gives all stretches of members in order.
func (m *Map) Runs() func(yield func(first, end int64) bool) {
	return func(yield func(int64, int64) bool) {
		for i := int64(0); ; {
			first, end := m.Run(i)
			if first == end || !yield(first, end) {
				return
			}
			i = end
		}
	}
}

// next is the first block from i on that is a member or, where member is
// false, is none; Blocks if there is none.
func (m *Map) next(i int64, member bool) int64 {
	for i < m.blocks {
		p := &m.parts[i>>partBits]
		if p.bits == nil {
			if (p.count > 0) == member {
				return i
			}
			i = (i>>partBits + 1) << partBits
			continue
		}
		start := i &^ (partBlocks - 1)
		for w := (i - start) / 64; w < words; w++ {
			word := p.bits[w]
			if !member {
				word = ^word
			}
			if off := i - start - w*64; off > 0 {
				word &= ^uint64(0) << off
			}
			if word != 0 {
				return min(m.blocks, start+w*64+int64(bits.TrailingZeros64(word)))
			}
		}
		i = start + partBlocks
	}
	return m.blocks
}
