package ntfs

import (
	"cmp"
	"io/fs"
	"iter"
	"slices"
	"sort"
	"sync"

	"kuva/disk"
)

// maxRuns is in how many pieces a stream may lie: 24 MiB of memory.
const maxRuns = 1 << 20

// run is a piece of a stream, in clusters. A hole has no place.
type run struct{ vcn, lcn, n int64 }

const hole = -1

// stream is the content of an attribute. It may be read from any goroutine.
type stream struct {
	f           *FS
	resident    []byte
	runs        []run
	size        int64
	initialized int64 // behind it are zeros
	stored      int64 // bytes on the disk
	unit        int64 // clusters of a compression unit, 0 if not compressed

	mu   sync.Mutex // guards the unit that was unpacked last
	last int64
	data []byte
}

// open opens a stream of a file by its name; the main one has none.
func (f *FS) open(ref uint64, name string) (*stream, error) {
	n, err := f.node(ref)
	if err != nil {
		return nil, err
	}
	return f.stream(n.records, attrData, name)
}

// stream puts the pieces of an attribute together.
func (f *FS) stream(records []*record, kind uint32, name string) (*stream, error) {
	var pieces []*attr
	for _, r := range records {
		for _, a := range r.attrs {
			if a.kind == kind && a.name == name {
				pieces = append(pieces, a)
			}
		}
	}
	if len(pieces) == 0 {
		return nil, fs.ErrNotExist
	}
	slices.SortStableFunc(pieces, func(a, b *attr) int { return cmp.Compare(a.first, b.first) })
	a := pieces[0]
	if a.flags&flagEncrypted != 0 && kind == attrData {
		return nil, disk.Refuse(format, disk.ReasonEncrypted, "the file is encrypted (EFS)")
	}
	s := &stream{f: f, size: a.size, initialized: min(a.initialized, a.size), stored: a.stored, last: -1}
	if !a.nonResident {
		s.resident, s.stored = a.value, 0
		return s, nil
	}
	for _, p := range pieces {
		if !p.nonResident {
			return nil, disk.Malform(format, "an attribute lies in the record and outside")
		}
		if err := s.addRuns(p); err != nil {
			return nil, err
		}
	}
	if s.clusters() < (s.initialized+f.cluster-1)/f.cluster {
		return nil, disk.Malform(format, "a stream of %d bytes has %d clusters of %d", s.size, s.clusters(), f.cluster)
	}
	switch method := a.flags & flagCompressed; {
	case method == 0:
	case method != 1:
		return nil, disk.Refuse(format, disk.ReasonFeature, "compression of kind %d", method)
	case a.unit != 4 || f.cluster > 4096:
		return nil, disk.Malform(format, "compressed by 2^%d clusters of %d bytes", a.unit, f.cluster)
	default:
		s.unit = 1 << a.unit
	}
	return s, nil
}

// clusters is how many the runs cover.
func (s *stream) clusters() int64 {
	if len(s.runs) == 0 {
		return 0
	}
	r := s.runs[len(s.runs)-1]
	return r.vcn + r.n
}

// addRuns reads the list of runs of a piece: for each how many bytes the
// length and the distance from the run before take, and these.
func (s *stream) addRuns(a *attr) error {
	vcn, lcn := a.first, int64(0)
	if vcn != s.clusters() {
		return disk.Malform(format, "clusters %d to %d of a stream are missing", s.clusters(), vcn)
	}
	for b := a.runs; len(b) > 0 && b[0] != 0; {
		if err := s.f.budget.Step(1); err != nil {
			return err
		}
		nl, no := int(b[0]&15), int(b[0]>>4)
		if nl == 0 || nl > 8 || no > 8 || 1+nl+no > len(b) {
			return disk.Malform(format, "a run of %d and %d bytes", nl, no)
		}
		n, delta := signed(b[1:1+nl]), signed(b[1+nl:1+nl+no])
		b = b[1+nl+no:]
		if n <= 0 || n > 1<<52-vcn {
			return disk.Malform(format, "a run of %d clusters", n)
		}
		r := run{vcn, hole, n}
		if no > 0 {
			lcn += delta
			if lcn < 0 || lcn > s.f.clusters || n > s.f.clusters-lcn {
				return disk.Malform(format, "clusters %d to %d of %d", lcn, lcn+n, s.f.clusters)
			}
			r.lcn = lcn
		}
		if len(s.runs) >= maxRuns {
			return disk.Refuse(format, disk.ReasonLimit, "a stream in more than %d pieces", maxRuns)
		}
		s.runs = append(s.runs, r)
		vcn += n
	}
	if vcn != a.last+1 {
		return disk.Malform(format, "runs of a stream end at cluster %d, not %d", vcn, a.last+1)
	}
	return nil
}

// signed reads a little-endian number of up to 8 bytes.
func signed(b []byte) int64 {
	var v int64
	for i := len(b) - 1; i >= 0; i-- {
		if i == len(b)-1 {
			v = int64(int8(b[i]))
		} else {
			v = v<<8 | int64(b[i])
		}
	}
	return v
}

// at finds the run that a cluster lies in.
func (s *stream) at(vcn int64) (run, bool) {
	i := sort.Search(len(s.runs), func(i int) bool { return s.runs[i].vcn+s.runs[i].n > vcn })
	if i == len(s.runs) {
		return run{}, false
	}
	return s.runs[i], true
}

// Size is that of the content.
func (s *stream) Size() int64 { return s.size }

// ReadAt implements io.ReaderAt.
func (s *stream) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, s.size, s.read)
}

func (s *stream) read(p []byte, off int64) error {
	if s.resident != nil {
		copy(p, s.resident[off:])
		return nil
	}
	if n := max(s.initialized-off, 0); int64(len(p)) > n {
		clear(p[n:])
		p = p[:n]
	}
	if s.unit > 0 {
		return s.readUnits(p, off)
	}
	return s.readRaw(p, off)
}

// readRaw reads what the runs hold, without unpacking.
func (s *stream) readRaw(p []byte, off int64) error {
	for len(p) > 0 {
		r, ok := s.at(off / s.f.cluster)
		if !ok {
			clear(p)
			return nil
		}
		in := off - r.vcn*s.f.cluster
		n := min(int64(len(p)), r.n*s.f.cluster-in)
		if r.lcn == hole {
			clear(p[:n])
		} else if err := s.f.blocks.ReadFull(p[:n], r.lcn*s.f.cluster+in); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	return nil
}

// structure reads n bytes of a table, from the cache where they lie in one
// piece. They must not be changed.
func (s *stream) structure(off int64, n int) ([]byte, error) {
	if off < 0 || off > s.size-int64(n) {
		return nil, disk.Malform(format, "%d bytes at %d of a table of %d", n, off, s.size)
	}
	if r, ok := s.at(off / s.f.cluster); ok && s.resident == nil && s.unit == 0 && r.lcn != hole {
		if in := off - r.vcn*s.f.cluster; in+int64(n) <= r.n*s.f.cluster {
			return s.f.blocks.Get(r.lcn*s.f.cluster+in, n)
		}
	}
	b := make([]byte, n)
	return b, s.read(b, off)
}

// readUnits reads from compression units. One that has all its clusters is not
// packed, one that has none is zeros.
func (s *stream) readUnits(p []byte, off int64) error {
	size := s.unit * s.f.cluster
	for len(p) > 0 {
		i, in := off/size, off%size
		n := min(int64(len(p)), size-in)
		have := int64(0)
		for vcn := i * s.unit; vcn < (i+1)*s.unit; {
			r, ok := s.at(vcn)
			if !ok {
				break
			}
			part := min(r.vcn+r.n, (i+1)*s.unit) - vcn
			if r.lcn == hole { // what is behind a hole does not count
				break
			}
			have += part
			vcn += part
		}
		switch have {
		case 0:
			clear(p[:n])
		case s.unit:
			if err := s.readRaw(p[:n], off); err != nil {
				return err
			}
		default:
			if err := s.unpack(p[:n], i, in, have*s.f.cluster); err != nil {
				return err
			}
		}
		p, off = p[n:], off+n
	}
	return nil
}

func (s *stream) unpack(p []byte, i, in, packed int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != i {
		size := s.unit * s.f.cluster // at most 64 KiB
		if err := s.f.budget.Step(size / 64); err != nil {
			return err
		}
		b := make([]byte, packed)
		if err := s.readRaw(b, i*size); err != nil {
			return err
		}
		data := make([]byte, size)
		if err := lznt1(data, b); err != nil {
			return err
		}
		s.last, s.data = i, data
	}
	copy(p, s.data[in:])
	return nil
}

// Extents implements tree.Extenter.
func (s *stream) Extents() iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		if s.resident != nil || s.unit > 0 {
			if s.size > 0 {
				yield(disk.Extent{Len: s.size, Kind: disk.Data, At: disk.Nowhere}, nil)
			}
			return
		}
		end := s.initialized
		for _, r := range s.runs {
			off := r.vcn * s.f.cluster
			if off >= end {
				break
			}
			e := disk.Extent{Off: off, Len: min(r.n*s.f.cluster, end-off), Kind: disk.Data, At: r.lcn * s.f.cluster}
			if r.lcn == hole {
				e.Kind, e.At = disk.Hole, disk.Nowhere
			}
			if !yield(e, nil) {
				return
			}
		}
		if end < s.size {
			yield(disk.Extent{Off: end, Len: s.size - end, Kind: disk.Zero, At: disk.Nowhere}, nil)
		}
	}
}
