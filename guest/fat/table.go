package fat

import (
	"encoding/binary"
	"iter"
	"sync"

	"kuva/disk"
	"kuva/guest/tree"
)

// entry reads the table's entry of a cluster.
func (f *FS) entry(c uint32) (uint32, error) {
	if int64(c) > f.clusters+1 {
		return 0, disk.Malform(format, "cluster %d of %d", c, f.clusters)
	}
	var b [4]byte
	le := binary.LittleEndian
	switch f.width {
	case 12:
		if err := f.read(b[:2], f.table+int64(c)*3/2); err != nil {
			return 0, err
		}
		return uint32(le.Uint16(b[:])>>(4*(c&1))) & 0xfff, nil
	case 16:
		if err := f.read(b[:2], f.table+int64(c)*2); err != nil {
			return 0, err
		}
		return uint32(le.Uint16(b[:])), nil
	}
	if err := f.read(b[:], f.table+int64(c)*4); err != nil {
		return 0, err
	}
	return le.Uint32(b[:]) & 0x0fffffff, nil
}

// follow gives the cluster behind c. end is true behind the last one.
func (f *FS) follow(c uint32) (next uint32, end bool, err error) {
	if err := f.budget.Step(1); err != nil {
		return 0, false, err
	}
	v, err := f.entry(c)
	if err != nil {
		return 0, false, err
	}
	last := uint32(1)<<min(f.width, 28) - 1 // FAT32 has 28 bits
	switch {
	case v >= last&^7:
		return 0, true, nil
	case v < 2 || int64(v) > f.clusters+1:
		return 0, false, disk.Malform(format, "cluster %d is followed by %d", c, v)
	}
	return v, false, nil
}

// at is where a cluster lies. The first two numbers stand for no cluster.
func (f *FS) at(c uint32) (int64, error) {
	if c < 2 || int64(c) > f.clusters+1 {
		return 0, disk.Malform(format, "cluster %d of %d", c, f.clusters)
	}
	return f.data + int64(c-2)*f.cluster, nil
}

// chain finds the clusters of a file by their number in it. It remembers the
// first cluster of every stride, up to 4,096 of them, and the latest.
type chain struct {
	f      *FS
	stride int64

	mu     sync.Mutex
	points []uint32
	n      int64 // of the latest
	c      uint32
}

func (f *FS) chain(first uint32, clusters int64) *chain {
	return &chain{f: f, stride: clusters/4096 + 1, points: []uint32{first}, c: first}
}

func (h *chain) cluster(n int64) (uint32, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n < h.n || n-h.n > h.stride {
		if i := min(n/h.stride, int64(len(h.points)-1)); n < h.n || i*h.stride > h.n {
			h.n, h.c = i*h.stride, h.points[i]
		}
	}
	for h.n < n {
		next, end, err := h.f.follow(h.c)
		if err != nil {
			return 0, err
		}
		if end {
			return 0, disk.Malform(format, "a file ends after %d clusters and needs %d", h.n+1, n+1)
		}
		h.n, h.c = h.n+1, next
		if h.n == int64(len(h.points))*h.stride {
			h.points = append(h.points, next)
		}
	}
	return h.c, nil
}

// Free gives the free clusters. It implements tree.Spacer.
func (f *FS) Free() iter.Seq2[tree.Extent, error] {
	return func(yield func(tree.Extent, error) bool) {
		var run tree.Extent
		for c := uint32(2); int64(c) <= f.clusters+1; c++ {
			if c%1024 == 2 {
				if err := f.budget.Step(1024); err != nil {
					yield(tree.Extent{}, err)
					return
				}
			}
			v, err := f.entry(c)
			if err != nil {
				yield(tree.Extent{}, err)
				return
			}
			off, _ := f.at(c)
			switch {
			case v == 0 && run.Len > 0:
				run.Len += f.cluster
			case v == 0:
				run = tree.Extent{Off: off, Len: f.cluster}
			case run.Len > 0:
				if !yield(run, nil) {
					return
				}
				run = tree.Extent{}
			}
		}
		if run.Len > 0 {
			yield(run, nil)
		}
	}
}
