package images

import (
	"context"
	"errors"
	"io"
	"iter"
	"sort"
	"sync"

	"kuva/disk"
	"kuva/internal/catalog"
	"kuva/internal/depot"
)

// partsOpen is how many parts of an upload are open at a time for reads here and
// there, partChunks how many opened chunks each of them keeps.
const (
	partsOpen  = 16
	partChunks = 4
)

// uploadFile is an upload's parts as the one file that they are; what no part
// covers reads as zeros. It implements disk.Disk. It holds nothing that needs
// closing.
type uploadFile struct {
	ctx   context.Context //nolint:containedctx // of the one job; io.ReaderAt has no room for it
	depot *depot.Depot
	parts []catalog.UploadPart
	size  int64

	mu    sync.Mutex
	clock int64
	open  map[int]*openPart
}

type openPart struct {
	o    *depot.Object
	file *depot.Cached
	used int64
}

// openParts opens the parts of an upload.
func (s *Service) openParts(ctx context.Context, id string) (*uploadFile, error) {
	const batch = 1000
	f := &uploadFile{ctx: ctx, depot: s.depot, open: map[int]*openPart{}}
	err := s.view(ctx, func(tx *catalog.Tx) error {
		up, err := catalog.GetUpload(ctx, tx, id)
		if err != nil {
			return err
		}
		f.parts, f.size = nil, max(up.Size, up.Received)
		for off := int64(0); ; {
			some, err := catalog.UploadParts(ctx, tx, id, off, batch)
			if err != nil {
				return err
			}
			f.parts = append(f.parts, some...)
			if len(some) < batch {
				return nil
			}
			off = some[len(some)-1].Off + 1
		}
	})
	if err != nil {
		return nil, err
	}
	for i, p := range f.parts {
		if i > 0 && p.Off < f.parts[i-1].Off+f.parts[i-1].Size || p.Off+p.Size > f.size {
			return nil, errors.New("parts of upload " + id + " overlap or lie outside of it")
		}
	}
	return f, nil
}

// whole reports whether there is no gap between the parts.
func (f *uploadFile) whole() bool {
	end := int64(0)
	for _, p := range f.parts {
		if p.Off != end {
			return false
		}
		end += p.Size
	}
	return end == f.size
}

// Size implements disk.Disk.
func (f *uploadFile) Size() int64 { return f.size }

// at finds the first part that ends behind off.
func (f *uploadFile) at(off int64) int {
	return sort.Search(len(f.parts), func(i int) bool { return f.parts[i].Off+f.parts[i].Size > off })
}

// part opens a part, or finds it open.
func (f *uploadFile) part(i int) (*openPart, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock++
	if p := f.open[i]; p != nil {
		p.used = f.clock
		return p, nil
	}
	o, err := f.object(i)
	if err != nil {
		return nil, err
	}
	for len(f.open) >= partsOpen {
		oldest := -1
		for k, p := range f.open {
			if oldest < 0 || p.used < f.open[oldest].used {
				oldest = k
			}
		}
		delete(f.open, oldest)
	}
	p := &openPart{o: o, file: o.Cached(f.ctx, partChunks), used: f.clock}
	f.open[i] = p
	return p, nil
}

func (f *uploadFile) object(i int) (*depot.Object, error) {
	o, err := f.depot.OpenObject(f.ctx, f.parts[i].Object)
	if err == nil && o.Size() != f.parts[i].Size {
		err = errors.New("a part of an upload has another size than its row says")
	}
	return o, err
}

// ReadAt implements disk.Disk.
func (f *uploadFile) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, f.size, func(p []byte, off int64) error {
		for i := f.at(off); len(p) > 0; {
			if i == len(f.parts) || f.parts[i].Off > off {
				n := int64(len(p))
				if i < len(f.parts) {
					n = min(n, f.parts[i].Off-off)
				}
				clear(p[:n])
				p, off = p[n:], off+n
				continue
			}
			part, err := f.part(i)
			if err != nil {
				return err
			}
			n := min(int64(len(p)), f.parts[i].Off+f.parts[i].Size-off)
			if err := disk.ReadFull(part.file, p[:n], off-f.parts[i].Off); err != nil {
				return err
			}
			p, off, i = p[n:], off+n, i+1
		}
		return nil
	})
}

// Extents implements disk.Disk.
func (f *uploadFile) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, f.size)
		end := off + n
		for i := f.at(off); off < end; i++ {
			next := end
			if i < len(f.parts) {
				next = min(end, f.parts[i].Off)
			}
			if next > off && !yield(disk.Extent{Off: off, Len: next - off, Kind: disk.Hole, At: disk.Nowhere}, nil) {
				return
			}
			if off = max(off, next); off >= end {
				return
			}
			part, err := f.part(i)
			if err != nil {
				yield(disk.Extent{}, err)
				return
			}
			begin := f.parts[i].Off
			for e, err := range (&objectDisk{Cached: part.file, o: part.o}).Extents(ctx, off-begin, end-off) {
				if err != nil {
					yield(disk.Extent{}, err)
					return
				}
				if e.Off += begin; e.Kind == disk.Data {
					e.At = e.Off
				}
				if !yield(e, nil) {
					return
				}
				off = e.End()
			}
		}
	}
}

// reader reads the file in order, from its beginning to its end.
func (f *uploadFile) reader() io.ReadCloser { return &uploadReader{f: f} }

type uploadReader struct {
	f    *uploadFile
	i    int // the part that is read, or the one behind the gap
	off  int64
	part *depot.Reader
}

// Read implements io.Reader.
func (r *uploadReader) Read(p []byte) (int, error) {
	for {
		if r.part != nil {
			n, err := r.part.Read(p)
			r.off += int64(n)
			if err == io.EOF {
				err = r.Close()
				r.i++
			}
			if n > 0 || err != nil {
				return n, err
			}
			continue
		}
		next := r.f.size
		if r.i < len(r.f.parts) {
			next = r.f.parts[r.i].Off
		}
		if r.off < next {
			n := int(min(int64(len(p)), next-r.off))
			clear(p[:n])
			r.off += int64(n)
			return n, nil
		}
		if r.i == len(r.f.parts) {
			return 0, io.EOF
		}
		o, err := r.f.object(r.i)
		if err != nil {
			return 0, err
		}
		r.part = o.Reader(r.f.ctx, 0, o.Size())
	}
}

// Close ends the reading ahead.
func (r *uploadReader) Close() error {
	if r.part == nil {
		return nil
	}
	err := r.part.Close()
	r.part = nil
	return err
}
