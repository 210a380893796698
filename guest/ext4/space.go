package ext4

import (
	"fmt"
	"iter"

	"kuva/disk"
	"kuva/guest/tree"
)

// Free implements tree.Spacer, from the bitmaps of the groups.
func (f *FS) Free() iter.Seq2[tree.Extent, error] {
	return func(yield func(tree.Extent, error) bool) {
		s := f.s
		var run tree.Extent // grows over the borders of groups
		for n := range s.groups {
			bitmap, err := f.bitmap(n)
			if err != nil {
				yield(tree.Extent{}, err)
				return
			}
			start := s.groupStart(n)
			blocks := min(s.blocksPerGroup, s.blocks-start)
			clusters := (blocks + s.clusterRatio - 1) / s.clusterRatio
			for c := uint64(0); c < clusters; c++ {
				if c%8 == 0 && bitmap[c/8] == 0xff {
					c += 7
					continue
				}
				if bitmap[c/8]>>(c%8)&1 != 0 {
					continue
				}
				off := int64(start+c*s.clusterRatio) * s.blockSize
				length := int64(min(s.clusterRatio, blocks-c*s.clusterRatio)) * s.blockSize
				if run.Off+run.Len == off && run.Len > 0 {
					run.Len += length
					continue
				}
				if run.Len > 0 && !yield(run, nil) {
					return
				}
				run = tree.Extent{Off: off, Len: length}
			}
		}
		if run.Len > 0 {
			yield(run, nil)
		}
	}
}

// bitmap gives a group's bitmap of used clusters; shared, not to be changed.
func (f *FS) bitmap(n uint64) ([]byte, error) {
	s := f.s
	if err := f.r.Budget().Step(16); err != nil {
		return nil, err
	}
	g, err := f.group(n)
	if err != nil {
		return nil, err
	}
	if g.flags&blockUninit != 0 {
		return f.freshBitmap(n, g), nil
	}
	if g.blockBitmap == 0 {
		return nil, disk.Malform("ext4", "group %d has no bitmap", n)
	}
	p, err := f.block(g.blockBitmap)
	if err != nil {
		return nil, err
	}
	if s.csum() {
		c := crc32c(s.seed, p[:s.clustersPerGroup/8])
		if s.descSize < 64 {
			c &= 0xffff
		}
		if g.bitmapSum != c {
			f.note(tree.BadChecksum, fmt.Sprintf("bitmap of group %d", n))
		}
	}
	return p, nil
}

// freshBitmap is that of a group that was never used: only what mkfs puts
// into each group is used.
func (f *FS) freshBitmap(n uint64, g group) []byte {
	s := f.s
	p := make([]byte, s.blockSize)
	start := s.groupStart(n)
	use := func(from, count uint64) {
		for b := from; b < from+count; b++ {
			if b >= start && b-start < s.blocksPerGroup {
				c := (b - start) / s.clusterRatio
				p[c/8] |= 1 << (c % 8)
			}
		}
	}
	if s.hasSuper(n) {
		use(start, 1)
	}
	perBlock := uint64(s.blockSize) / uint64(s.descSize)
	tables := (s.groups + perBlock - 1) / perBlock
	reserved := uint64(le.Uint16(s.raw[206:]))
	if s.incompat&incompatMetaBG == 0 || n/perBlock < uint64(s.firstMetaBG) {
		if s.incompat&incompatMetaBG != 0 {
			tables = uint64(s.firstMetaBG)
		}
		if s.hasSuper(n) {
			use(start+1, min(tables+reserved, s.blocksPerGroup))
		}
	} else if k := n % perBlock; k == 0 || k == 1 || k == perBlock-1 {
		use(s.descCopy(n), 1)
	}
	use(g.blockBitmap, 1)
	use(g.inodeBitmap, 1)
	use(g.inodeTable, (uint64(s.inodesPerGroup)*uint64(s.inodeSize)+uint64(s.blockSize)-1)/uint64(s.blockSize))
	return p
}

// descCopy is where a group of a meta group has its block of descriptors.
func (s *super) descCopy(n uint64) uint64 {
	at := s.groupStart(n)
	if s.hasSuper(n) {
		at++
	}
	return at
}
