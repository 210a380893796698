package xfs

import (
	"fmt"
	"iter"

	"kuva/disk"
	"kuva/guest/tree"
)

// Free implements tree.Spacer, from the tree of each group that is sorted by
// block. What a group keeps back for its own trees is not free.
func (f *FS) Free() iter.Seq2[tree.Extent, error] {
	return func(yield func(tree.Extent, error) bool) {
		s := f.s
		w := &spaceWalk{f: f, yield: yield}
		for ag := range s.agCount {
			if err := w.group(ag); err != nil {
				yield(tree.Extent{}, err)
				return
			}
			if w.stopped {
				return
			}
		}
		if w.run.Len > 0 {
			yield(w.run, nil)
		}
	}
}

type spaceWalk struct {
	f       *FS
	yield   func(tree.Extent, error) bool
	run     tree.Extent // grows over the borders of groups
	end     int64       // of what was told
	stopped bool
	blocks  uint64 // of the group's tree that may still be read
}

func (w *spaceWalk) group(ag uint64) error {
	s := w.f.s
	start, err := s.agBlock(ag, 0)
	if err != nil {
		return err
	}
	p, err := w.f.r.Get(start+s.sectorSize, int(s.sectorSize))
	if err != nil {
		return err
	}
	if string(p[:4]) != "XAGF" {
		return disk.Malform("xfs", "group %d has no header of its free space", ag)
	}
	if s.v5 && !sum(p, 216) {
		w.f.note(tree.BadChecksum, fmt.Sprintf("free space of group %d", ag))
	}
	levels := be.Uint32(p[28:])
	if levels == 0 || levels > maxLevels {
		return disk.Malform("xfs", "group %d has a tree of %d levels", ag, levels)
	}
	w.blocks = s.agBlocks
	return w.node(ag, uint64(be.Uint32(p[16:])), int(levels)-1)
}

// node reads a block of the tree, and those below it. The level falls by one
// on each step.
func (w *spaceWalk) node(ag, n uint64, level int) error {
	s := w.f.s
	off, err := s.agBlock(ag, n)
	if err != nil {
		return err
	}
	if w.blocks == 0 {
		return disk.Malform("xfs", "the tree of free space of group %d has more blocks than the group", ag)
	}
	w.blocks--
	p, err := w.f.r.Get(off, int(s.blockSize))
	if err != nil {
		return err
	}
	magic, header := "ABTB", 16
	if s.v5 {
		magic, header = "AB3B", 56
	}
	if string(p[:4]) != magic || int(be.Uint16(p[4:])) != level {
		return disk.Malform("xfs", "no node of level %d of the free space of group %d", level, ag)
	}
	if s.v5 && !sum(p, 52) {
		w.f.note(tree.BadChecksum, fmt.Sprintf("free space of group %d", ag))
	}
	count, body := int(be.Uint16(p[6:])), p[header:]
	if err := w.f.r.Budget().Step(int64(count)); err != nil {
		return err
	}
	if level > 0 {
		room := len(body) / 12
		if count > room {
			return disk.Malform("xfs", "a node of %d children", count)
		}
		for k := range count {
			if err := w.node(ag, uint64(be.Uint32(body[8*room+4*k:])), level-1); err != nil || w.stopped {
				return err
			}
		}
		return nil
	}
	if count > len(body)/8 {
		return disk.Malform("xfs", "a leaf of %d stretches", count)
	}
	for k := range count {
		start, length := uint64(be.Uint32(body[8*k:])), uint64(be.Uint32(body[8*k+4:]))
		if length == 0 || start+length > s.agBlocks || ag*s.agBlocks+start+length > s.blocks {
			return disk.Malform("xfs", "%d free blocks at %d of group %d", length, start, ag)
		}
		if err := w.add(int64(ag*s.agBlocks+start)*s.blockSize, int64(length)*s.blockSize); err != nil || w.stopped {
			return err
		}
	}
	return nil
}

func (w *spaceWalk) add(off, n int64) error {
	switch {
	case off < w.end:
		return disk.Malform("xfs", "free space at %d behind %d", off, w.end)
	case off == w.end && w.run.Len > 0:
		w.run.Len += n
	default:
		if w.run.Len > 0 && !w.yield(w.run, nil) {
			w.stopped = true
			return nil
		}
		w.run = tree.Extent{Off: off, Len: n}
	}
	w.end = off + n
	return nil
}
