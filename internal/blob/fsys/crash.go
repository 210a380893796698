package fsys

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Crash takes the power away and gives the file system that is there after it comes
// back; m and its Files say ErrCrashed from then on. What seed decides, each for
// itself: of every unsynced 4 KiB page of a file, whether all, none or some of
// its 512-byte sectors reached the disk; how long a file with unsynced pages is,
// and whether what never arrived reads as zeros or as somebody's old bytes; of
// every unsynced change of a folder, whether it is kept.
func (m *Mem) Crash(seed uint64) *Mem {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	m.dead = true
	c := crash{
		rnd:  rand.New(rand.NewPCG(seed, 0x6b757661)),
		done: map[*node]*node{},
		st:   &memState{limit: m.st.limit},
	}
	c.st.root = c.survive(m.st.root)
	return &Mem{st: c.st}
}

// Kill ends the process but not the machine: m and its Files say ErrCrashed, the
// next process gets everything that was written, synced or not.
func (m *Mem) Kill() *Mem {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	m.dead = true
	seen := map[*node]bool{}
	m.st.used = 0
	var visit func(*node)
	visit = func(n *node) {
		if seen[n] {
			return
		}
		seen[n] = true
		n.opens = 0
		m.st.used += int64(len(n.data)) + n.reserved
		for _, child := range n.entries {
			visit(child)
		}
	}
	visit(m.st.root)
	return &Mem{st: m.st}
}

type crash struct {
	rnd  *rand.Rand
	done map[*node]*node // old to new: a file keeps being one file under all its names
	st   *memState
}

// survive makes the node that n is after the crash, and what lies below it.
func (c *crash) survive(n *node) *node {
	if after := c.done[n]; after != nil {
		return after
	}
	if !n.dir {
		disk := c.content(n)
		after := &node{disk: disk, data: disk[:len(disk):len(disk)]}
		c.st.used += int64(len(disk))
		c.done[n] = after
		return after
	}
	after := newDir()
	c.done[n] = after
	names := maps.Clone(n.onDisk)
	for _, list := range [][]entry{n.doubt, n.pending} {
		for _, e := range list {
			if c.rnd.IntN(2) == 0 {
				e.apply(names)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order, so that a seed means one outcome
		child := c.survive(names[name])
		child.names++
		after.entries[name], after.onDisk[name] = child, child
	}
	return after
}

// content is what of a file's bytes is on the disk.
func (c *crash) content(n *node) []byte {
	if len(n.unsynced) == 0 && len(n.suspect) == 0 {
		return n.disk
	}
	size := max(len(n.disk), len(n.data))
	b := make([]byte, size)
	if c.rnd.IntN(4) == 0 {
		for i := len(n.disk); i < size; i++ {
			b[i] = byte(c.rnd.Uint32())
		}
	}
	copy(b, n.disk)
	for page := range (size + pageSize - 1) / pageSize {
		_, u := n.unsynced[page]
		_, s := n.suspect[page]
		if !u && !s {
			continue
		}
		var sectors uint32 // a bit for each that arrived
		switch c.rnd.IntN(3) {
		case 0:
			sectors = 1<<(pageSize/sectorSize) - 1
		case 1:
			sectors = c.rnd.Uint32()
		}
		for i := range pageSize / sectorSize {
			lo := page*pageSize + i*sectorSize
			if sectors>>i&1 == 1 && lo < len(n.data) {
				hi := min(lo+sectorSize, len(n.data))
				copy(b[lo:hi], n.data[lo:hi])
			}
		}
	}
	switch c.rnd.IntN(3) { // the length is saved on its own
	case 0:
		b = b[:len(n.disk)]
	case 1:
		b = b[:len(n.disk)+c.rnd.IntN(size-len(n.disk)+1)]
	}
	return b
}
