package images

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"sync"

	"kuva"
	"kuva/disk"
)

// surveyed is a disk whose extents were gathered once, for as many layouts as
// are wanted: a client that fetches a view in a hundred ranges asks for a
// hundred.
type surveyed struct {
	disk.Disk
	data []stretch // of data, ascending
}

type stretch struct{ off, end int64 }

const (
	// surveyMost bounds the stretches of one disk: 16 MiB. A disk in more
	// pieces is walked every time.
	surveyMost = 1 << 20
	// surveysMost and surveyKept bound what is kept: 16 MiB in all.
	surveysMost = 32
	surveyKept  = 1 << 15
)

// surveys keeps those of the contents that were looked at last, by object.
// Content never changes, so they never do. The zero value is empty.
type surveys struct {
	mu    sync.Mutex
	clock int64
	kept  map[int64]*survey
}

type survey struct {
	used int64
	data []stretch
}

// of returns the disk in an object, with its extents gathered.
func (s *surveys) of(ctx context.Context, object int64, d disk.Disk) (disk.Disk, error) {
	s.mu.Lock()
	s.clock++
	known := s.kept[object]
	if known != nil {
		known.used = s.clock
	}
	s.mu.Unlock()
	if known != nil {
		return &surveyed{d, known.data}, nil
	}
	data, err := gather(ctx, d)
	if err != nil {
		return nil, contentError(kuva.CodeConflict, err)
	}
	if len(data) > surveyMost {
		return d, nil
	}
	if len(data) <= surveyKept {
		s.keep(object, data)
	}
	return &surveyed{d, data}, nil
}

func (s *surveys) keep(object int64, data []stretch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept = map[int64]*survey{}
	}
	for len(s.kept) >= surveysMost {
		var oldest int64
		first := true
		for o, k := range s.kept {
			if first || k.used < s.kept[oldest].used {
				oldest, first = o, false
			}
		}
		delete(s.kept, oldest)
	}
	s.kept[object] = &survey{used: s.clock, data: slices.Clip(data)}
}

// gather lists where a disk has data, up to one stretch more than surveyMost.
func gather(ctx context.Context, d disk.Disk) (data []stretch, err error) {
	for e, err := range d.Extents(ctx, 0, d.Size()) {
		if err != nil {
			return nil, err
		}
		if e.Kind != disk.Data {
			continue
		}
		if n := len(data); n > 0 && data[n-1].end == e.Off {
			data[n-1].end = e.End()
		} else if data = append(data, stretch{e.Off, e.End()}); len(data) > surveyMost {
			return data, nil
		}
	}
	return data, nil
}

// Extents implements disk.Disk from what was gathered.
func (d *surveyed) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, d.Size())
		end := off + n
		i, _ := slices.BinarySearchFunc(d.data, off, func(s stretch, off int64) int { return cmp.Compare(s.end, off+1) })
		for off < end {
			if err := ctx.Err(); err != nil {
				yield(disk.Extent{}, err)
				return
			}
			e := disk.Extent{Off: off, Len: end - off, Kind: disk.Hole, At: disk.Nowhere}
			switch {
			case i < len(d.data) && d.data[i].off <= off:
				e.Kind, e.Len = disk.Data, min(end, d.data[i].end)-off
				i++
			case i < len(d.data):
				e.Len = min(end, d.data[i].off) - off
			}
			if !yield(e, nil) {
				return
			}
			off = e.End()
		}
	}
}
