package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"

	"kuva/disk"
	"kuva/disk/internal/lru"
)

// What an open image keeps of its tables and of decompressed clusters, each.
const cacheBytes = 4 << 20

// Image is an open file. It is the disk without its backing file: where the
// file has one, Open gives an Overlay whose Unwrap is the Image.
type Image struct {
	r         io.ReaderAt
	fileSize  int64
	h         *header
	l1        []uint64 // offsets of L2 tables, 0 where there is none
	snapshots []snapshot
	l2        *lru.Cache[[]byte]
	clusters  *lru.Cache[[]byte] // decompressed
}

// Open opens a file of size bytes.
func Open(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (disk.Disk, error) {
	m, err := open(ctx, r, size, o)
	if err != nil {
		return nil, err
	}
	if o.Parent != nil {
		return disk.Overlay(o.Parent, m), nil
	}
	return m, nil
}

func open(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (*Image, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	if err := h.refuse(o); err != nil {
		return nil, err
	}
	m := &Image{
		r: r, fileSize: size, h: h,
		l2:       lru.New[[]byte](int(cacheBytes / (h.entryBytes() << h.l2Bits))),
		clusters: lru.New[[]byte](int(cacheBytes / h.cluster())),
	}
	if m.l1, err = readL1(ctx, r, size, h, h.l1Off, h.l1Needed(), o.Budget); err != nil {
		return nil, err
	}
	if m.snapshots, err = readSnapshots(ctx, r, size, h, o.Budget); err != nil {
		return nil, err
	}
	return m, nil
}

// readL1 reads a table of n entries whose place has been checked, and checks
// every offset in it. A table that is used twice is refused here already: no
// writer makes such files, and walking one takes time that its length does not
// tell.
func readL1(ctx context.Context, r io.ReaderAt, size int64, h *header, off, n int64, b *disk.Budget) ([]uint64, error) {
	if off < 0 || off > size || n*8 > size-off {
		return nil, disk.Malform(name, "the L1 table lies at %#x, out of the file", off)
	}
	for _, err := range []error{b.Alloc(n * 24), b.Read(n * 8), b.Steps(ctx, n)} {
		if err != nil {
			return nil, err
		}
	}
	defer b.Free(n * 16)
	buf := make([]byte, n*8)
	if err := disk.ReadFull(r, buf, off); err != nil {
		return nil, err
	}
	l1 := make([]uint64, n)
	used := make([]uint64, 0, n)
	for i := range l1 {
		e := binary.BigEndian.Uint64(buf[i*8:])
		at, err := h.l2Offset(e, size)
		if err != nil {
			return nil, err
		}
		if at == 0 {
			continue
		}
		if at < uint64(off+n*8) && at+uint64(h.entryBytes()<<h.l2Bits) > uint64(off) {
			return nil, disk.Malform(name, "the L2 table at %#x lies in the L1 table", at)
		}
		l1[i], used = at, append(used, at)
	}
	slices.Sort(used)
	for i := 1; i < len(used); i++ {
		if used[i] == used[i-1] {
			return nil, disk.Malform(name, "the L2 table at %#x is used twice", used[i])
		}
	}
	return l1, nil
}

// l2Offset says where an L1 entry's table lies, 0 for nowhere.
func (h *header) l2Offset(e uint64, size int64) (uint64, error) {
	if h.version > 1 {
		if e&l1Reserved != 0 {
			return 0, disk.Malform(name, "L1 entry %#x has reserved bits", e)
		}
		e &= hostMask
		if e&uint64(h.cluster()-1) != 0 {
			return 0, disk.Malform(name, "the L2 table at %#x is not aligned", e)
		}
	}
	if e == 0 {
		return 0, nil
	}
	bytes := h.entryBytes() << h.l2Bits
	if e > uint64(size) || bytes > size-int64(e) {
		return 0, disk.Malform(name, "the L2 table at %#x lies behind the end of the file", e)
	}
	if e < headerBytes1 || h.version > 1 && e < uint64(h.cluster()) {
		return 0, disk.Malform(name, "the L2 table at %#x lies in the header", e)
	}
	return e, nil
}

// Size implements disk.Disk.
func (m *Image) Size() int64 { return m.h.size }

// Details implements disk.Detailer.
func (m *Image) Details() []disk.Detail {
	h := m.h
	d := []disk.Detail{
		{Key: "version", Value: strconv.Itoa(h.version)},
		{Key: "cluster_size", Value: strconv.FormatInt(h.cluster(), 10)},
	}
	if h.version > 1 {
		d = append(d,
			disk.Detail{Key: "compression_type", Value: [...]string{"zlib", "zstd"}[h.compression]},
			disk.Detail{Key: "extended_l2", Value: strconv.FormatBool(h.extendedL2)},
			disk.Detail{Key: "refcount_bits", Value: strconv.Itoa(1 << h.refcountOrder)},
			disk.Detail{Key: "dirty", Value: strconv.FormatBool(h.incompat&incompatDirty != 0)},
			disk.Detail{Key: "corrupt", Value: strconv.FormatBool(h.incompat&incompatCorrupt != 0)},
		)
	}
	if len(h.backing) > 0 {
		d = append(d, disk.Detail{Key: "backing_file", Value: string(h.backing)})
	}
	for _, s := range m.snapshots {
		d = append(d, disk.Detail{Key: "snapshot", Value: s.name})
	}
	return d
}

// run is a stretch of the disk in one place of the file.
type run struct {
	kind disk.Kind
	len  int64
	at   int64 // of data: where it lies
	// A compressed cluster: zlen bytes from at. The run is a part of it, from
	// skip bytes on.
	zlen, skip int64
}

// find gives the longest run from off that one L2 table tells of, n bytes at
// most. The range must lie in the disk.
func (m *Image) find(off, n int64) (run, error) {
	covers := m.h.covers()
	i := off / covers
	if m.l1[i] == 0 {
		end := i + 1
		for end < int64(len(m.l1)) && m.l1[end] == 0 && end*covers-off < n {
			end++
		}
		return run{kind: disk.Hole, len: min(n, end*covers-off)}, nil
	}
	table, err := m.table(m.l1[i])
	if err != nil {
		return run{}, err
	}
	n = min(n, (i+1)*covers-off)
	unit := m.h.cluster()
	if m.h.extendedL2 {
		unit /= 32
	}
	first, err := m.h.entry(table, off%covers, unit, m.fileSize)
	if err != nil {
		return run{}, err
	}
	skip := off % unit
	first.len -= skip
	if first.zlen > 0 {
		first.skip += skip
	} else {
		first.at += skip
	}
	for first.len < n && first.zlen == 0 {
		next, err := m.h.entry(table, (off+first.len)%covers, unit, m.fileSize)
		if err != nil || next.kind != first.kind || next.zlen > 0 ||
			first.kind == disk.Data && next.at != first.at+first.len {
			break // an error is met again by whoever comes here
		}
		first.len += next.len
	}
	first.len = min(first.len, n)
	return first, nil
}

func (m *Image) table(at uint64) ([]byte, error) {
	return m.l2.Get(int64(at), func() ([]byte, error) {
		table := make([]byte, m.h.entryBytes()<<m.h.l2Bits)
		return table, disk.ReadFull(m.r, table, int64(at))
	})
}

// entry says what an L2 table has for the unit (cluster or subcluster) that
// off, counted from the start of what the table covers, lies in. The run
// begins at the unit's start; a compressed one is its cluster from there on.
func (h *header) entry(table []byte, off, unit, size int64) (run, error) {
	i := off >> h.clusterBits * h.entryBytes()
	e := binary.BigEndian.Uint64(table[i:])
	r := run{len: unit}
	switch {
	case h.version == 1:
		if e == 0 {
			r.kind = disk.Hole
			return r, nil
		}
		if e&compressed1 != 0 {
			shift := 63 - h.clusterBits
			r.at = int64(e & (1<<shift - 1))
			r.zlen = int64(e >> shift & uint64(h.cluster()-1))
			if r.zlen == 0 {
				return r, disk.Malform(name, "a compressed cluster without length at %#x", r.at)
			}
			return r, h.inside(&r, size)
		}
		r.at = int64(e)
		return r, h.inside(&r, size)
	case e&compressed != 0:
		if h.extendedL2 {
			if binary.BigEndian.Uint64(table[i+8:]) != 0 {
				return r, disk.Malform(name, "a compressed cluster has subclusters")
			}
			r.skip = off &^ (unit - 1) & (h.cluster() - 1)
			r.len = h.cluster() - r.skip
		}
		shift := 62 - (h.clusterBits - 8)
		r.at = int64(e & (1<<shift - 1))
		sectors := int64(e>>shift&(1<<(h.clusterBits-8)-1)) + 1
		r.zlen = sectors*512 - r.at&511
		return r, h.inside(&r, size)
	case e&l2Reserved != 0 || e&zeroFlag != 0 && (h.version == 2 || h.extendedL2):
		return r, disk.Malform(name, "L2 entry %#x has reserved bits", e)
	}
	host := e & hostMask
	if host&uint64(h.cluster()-1) != 0 {
		return r, disk.Malform(name, "the cluster at %#x is not aligned", host)
	}
	r.at = int64(host)
	if h.extendedL2 {
		bits := binary.BigEndian.Uint64(table[i+8:])
		sub := off & (h.cluster() - 1) / unit
		r.at += sub * unit
		allocated, zero := bits>>sub&1 != 0, bits>>(32+sub)&1 != 0
		switch {
		case allocated && (zero || host == 0):
			return r, disk.Malform(name, "subcluster bits %#x of the cluster at %#x", bits, host)
		case zero:
			r.kind, r.at = disk.Zero, 0
			return r, nil
		case !allocated:
			r.kind, r.at = disk.Hole, 0
			return r, nil
		}
	} else {
		switch {
		case e&zeroFlag != 0:
			r.kind, r.at = disk.Zero, 0
			return r, nil
		case host == 0:
			r.kind = disk.Hole
			return r, nil
		}
	}
	// The last cluster of a file may be cut; of others all must be there.
	if host >= uint64(size) {
		return r, disk.Malform(name, "the cluster at %#x lies behind the end of the file", host)
	}
	return r, nil
}

// inside checks the place of data, and cuts a compressed cluster at the end of
// the file: its length is rounded up to sectors.
func (h *header) inside(r *run, size int64) error {
	if r.at < headerBytes1 || r.at >= size {
		return disk.Malform(name, "the cluster at %#x lies out of the file", r.at)
	}
	if h.version == 1 && r.zlen == 0 {
		return nil
	}
	r.zlen = min(r.zlen, size-r.at)
	return nil
}

// ReadAt implements disk.Disk.
func (m *Image) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, m.h.size, func(p []byte, off int64) error {
		for len(p) > 0 {
			r, err := m.find(off, int64(len(p)))
			if err != nil {
				return err
			}
			part := p[:r.len]
			switch {
			case r.kind != disk.Data:
				clear(part)
			case r.zlen > 0:
				err = m.readCompressed(part, off, r)
			default:
				n := max(0, min(r.len, m.fileSize-r.at))
				clear(part[n:])
				err = disk.ReadFull(m.r, part[:n], r.at)
			}
			if err != nil {
				return err
			}
			p, off = p[r.len:], off+r.len
		}
		return nil
	})
}

// readCompressed reads a part of a compressed cluster. A whole one is unpacked
// in place, others by way of the cache.
func (m *Image) readCompressed(p []byte, off int64, r run) error {
	cluster := m.h.cluster()
	if int64(len(p)) == cluster {
		return m.unpack(p, r)
	}
	buf, err := m.clusters.Get(off/cluster, func() ([]byte, error) {
		buf := make([]byte, cluster)
		return buf, m.unpack(buf, r)
	})
	if err != nil {
		return err
	}
	copy(p, buf[r.skip:])
	return nil
}

func (m *Image) unpack(dst []byte, r run) error {
	src := make([]byte, r.zlen)
	if err := disk.ReadFull(m.r, src, r.at); err != nil {
		return err
	}
	if err := unpack(dst, src, m.h.compression); err != nil {
		return &disk.Malformed{Format: name, Detail: fmt.Sprintf("the compressed cluster at %#x", r.at), Err: err}
	}
	return nil
}

// Extents implements disk.Disk.
func (m *Image) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, m.h.size)
		var next disk.Extent
		for end := off + n; off < end; {
			r, err := m.find(off, end-off)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(disk.Extent{}, err)
				return
			}
			e := disk.Extent{Off: off, Len: r.len, Kind: r.kind, At: disk.Nowhere}
			if r.kind == disk.Data && r.zlen == 0 && r.at+r.len <= m.fileSize {
				e.At = r.at
			}
			off += r.len
			if next.Len > 0 && next.Kind == e.Kind && (next.At == disk.Nowhere && e.At == disk.Nowhere ||
				next.At != disk.Nowhere && e.At == next.At+next.Len) {
				next.Len += e.Len
				continue
			}
			if next.Len > 0 && !yield(next, nil) {
				return
			}
			next = e
		}
		if next.Len > 0 {
			yield(next, nil)
		}
	}
}
