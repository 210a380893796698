package vmdk

import (
	"context"
	"encoding/binary"
	"io"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"

	"kuva/disk"
	"kuva/disk/internal/blocks"
	"kuva/disk/internal/lru"
)

// sparse is a file of grains behind two levels of tables.
type sparse struct {
	*header
	r      io.ReaderAt
	size   int64 // of the file
	length int64 // of the disk
	grain  int64 // bytes
	dir    *blocks.Table
	tabs   *lru.Cache[[]byte]
	grains *lru.Cache[[]byte] // decompressed
}

func newSparse(r io.ReaderAt, size int64, h *header) *sparse {
	x := &sparse{
		header: h, r: r, size: size,
		length: int64(h.Capacity) * sector,
		grain:  int64(h.Grain) * sector,
		tabs:   lru.New[[]byte](512),
	}
	if h.Flags&flagPacked != 0 {
		x.grains = lru.New[[]byte](int(max(2, 4<<20/x.grain)))
	}
	return x
}

// descriptor reads the text inside of a sparse file.
func (x *sparse) descriptor(budget *disk.Budget) (*descriptor, error) {
	if x.DescOff == 0 || x.DescSize == 0 {
		return nil, disk.Refuse(name, disk.ReasonDataFile, "one file of a disk that lies in several")
	}
	sectors := uint64(x.size / sector)
	if x.DescOff > sectors || x.DescSize > sectors-x.DescOff {
		return nil, disk.Malform(name, "the descriptor reaches over the end")
	}
	n := int64(x.DescSize) * sector
	if n > maxText {
		return nil, disk.Refuse(name, disk.ReasonLimit, "a descriptor of %d bytes", n)
	}
	if err := budget.Read(n); err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if err := disk.ReadFull(x.r, b, int64(x.DescOff)*sector); err != nil {
		return nil, err
	}
	return parseDescriptor(b)
}

// disk gives the disk in the file.
func (x *sparse) disk() disk.Disk {
	if x.Flags&flagPacked != 0 {
		return &packed{x: x, extents: blocks.Image{Length: x.length, Block: x.grain, Look: x.lookNowhere}}
	}
	return &blocks.Image{R: x.r, Length: x.length, Block: x.grain, Look: x.look}
}

// table reads grain table number t: nil if there is none.
func (x *sparse) table(t int64) ([]byte, error) {
	p, err := x.dir.Page(t)
	if err != nil {
		return nil, err
	}
	at := int64(binary.LittleEndian.Uint32(p))
	if at == 0 {
		return nil, nil
	}
	return x.tabs.Get(at, func() ([]byte, error) {
		if at*sector+tableBytes > x.size {
			return nil, disk.Malform(name, "grain table %d at sector %d reaches over the end", t, at)
		}
		b := make([]byte, tableBytes)
		return b, disk.ReadFull(x.r, b, at*sector)
	})
}

// look implements blocks.Look.
func (x *sparse) look(i, limit int64) (kind disk.Kind, at, n int64, err error) {
	tab, err := x.table(i / tableLen)
	if err != nil {
		return 0, 0, 0, err
	}
	if tab != nil {
		kind, at, n, err = blocks.RunIn(tab[i%tableLen*4:], 4, i, limit, x.grain, x.decode)
		if err != nil || kind != disk.Hole || n == limit || i%tableLen+n < tableLen {
			return kind, at, n, err
		}
	} else {
		n = min(limit, tableLen-i%tableLen)
	}
	more, err := x.empty((i+n)/tableLen, (limit-n)/tableLen)
	return disk.Hole, 0, n + more*tableLen, err
}

// empty counts the tables from number t on that have nothing: those that are
// not there, and those behind each other in the file that are all zeros. It
// gives up at the end of a page of the directory.
func (x *sparse) empty(t, limit int64) (n int64, err error) {
	if limit <= 0 {
		return 0, nil
	}
	p, err := x.dir.Page(t)
	if err != nil {
		return 0, err
	}
	limit = min(limit, int64(len(p))/4)
	entry := func(i int64) int64 { return int64(binary.LittleEndian.Uint32(p[i*4:])) }
	var buf []byte
	for n < limit {
		if entry(n) == 0 {
			n++
			continue
		}
		run := int64(1)
		for n+run < limit && run < 32 && entry(n+run) == entry(n)+run*tableBytes/sector {
			run++
		}
		if entry(n)*sector+run*tableBytes > x.size {
			return n, nil // found again by whoever looks there
		}
		if buf == nil {
			buf = make([]byte, 32*tableBytes)
		}
		b := buf[:run*tableBytes]
		if err := disk.ReadFull(x.r, b, entry(n)*sector); err != nil {
			return 0, err
		}
		if disk.IsZero(b) {
			n += run
			continue
		}
		for disk.IsZero(b[:tableBytes]) {
			n, b = n+1, b[tableBytes:]
		}
		return n, nil
	}
	return n, nil
}

// decode tells where a grain lies. Of an uncompressed one all that belongs to
// the disk must be in the file.
func (x *sparse) decode(entry []byte, i int64) (disk.Kind, int64, error) {
	v := int64(binary.LittleEndian.Uint32(entry))
	switch {
	case v == 0:
		return disk.Hole, 0, nil
	case v == 1 && x.Flags&flagZeroed != 0:
		return disk.Zero, 0, nil
	}
	at, need := v*sector, int64(grainHeader)
	if x.grains == nil {
		need = min(x.grain, x.length-i*x.grain)
	}
	if at+need > x.size {
		return 0, 0, disk.Malform(name, "grain %d at sector %d is outside of the file", i, v)
	}
	return disk.Data, at, nil
}

// lookNowhere is look for extents of compressed grains.
func (x *sparse) lookNowhere(i, limit int64) (kind disk.Kind, at, n int64, err error) {
	kind, _, n, err = x.look(i, limit)
	return kind, disk.Nowhere, n, err
}

// packed is a disk of compressed grains.
type packed struct {
	x       *sparse
	extents blocks.Image
}

func (p *packed) Size() int64 { return p.x.length }

func (p *packed) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return p.extents.Extents(ctx, off, n)
}

// ReadAt decompresses side by side when it is asked for several grains.
func (p *packed) ReadAt(b []byte, off int64) (int, error) {
	x := p.x
	return disk.ReadAtFunc(b, off, x.length, func(b []byte, off int64) error {
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		for len(b) > 0 {
			i, within := off/x.grain, off%x.grain
			part := b[:min(int64(len(b)), x.grain-within)]
			kind, at, _, err := x.look(i, 1)
			if err != nil {
				g.Go(func() error { return err })
				break
			}
			read := func() error {
				data, err := x.grains.Get(i, func() ([]byte, error) { return x.unpack(i, at) })
				if err == nil {
					copy(part, data[within:])
				}
				return err
			}
			switch {
			case kind != disk.Data:
				clear(part)
			case int64(len(b)) <= x.grain-within:
				g.Go(func() error { return nil })
				if err := read(); err != nil {
					_ = g.Wait() // the others' errors are no better
					return err
				}
			default:
				g.Go(read)
			}
			b, off = b[len(part):], off+int64(len(part))
		}
		return g.Wait()
	})
}
