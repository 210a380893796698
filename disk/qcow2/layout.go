package qcow2

import (
	"context"
	"encoding/binary"
	"iter"

	"kuva/disk"
	"kuva/disk/internal/blockmap"
)

// LayoutVersion counts the layouts that Layout and Stream have had. Version
// 1, in clusters:
//
//	header │ data in the order of the disk │ L2 tables │ L1 │ refcount blocks │ refcount table
//
// Tables come behind the data, so that a file can be written in one pass when
// it is not known beforehand how much there will be. Stream draws its own.
const LayoutVersion = 1

const (
	headerBytesOut = 112 // of version 3, with the compression type
	refcountOrder  = 4
)

// settings are what a new file is made with.
type settings struct {
	version     int
	clusterBits int
	compression int
}

var settingList = []disk.Setting{
	{Key: "cluster_size", Help: "512 to 2M, a power of 2 (64k): unit of allocation"},
	{Key: "compat", Help: "1.1, v3 or 0.10, v2 (1.1): version of the format"},
	{Key: "compression_type", Help: "zlib or zstd (zlib): how compressed clusters are packed"},
}

func parseSettings(s disk.Settings) (settings, error) {
	out := settings{version: 3}
	if err := s.Known(name, settingList); err != nil {
		return out, err
	}
	size, err := s.Bytes(name, "cluster_size", 64<<10)
	if err != nil {
		return out, err
	}
	for out.clusterBits = minClusterBits; int64(1)<<out.clusterBits != size; out.clusterBits++ {
		if out.clusterBits == maxClusterBits {
			return out, disk.Refuse(name, disk.ReasonSetting, "cluster_size must be a power of 2 from 512 to 2M, not %d", size)
		}
	}
	compat, err := s.OneOf(name, "compat", "1.1", "v3", "0.10", "v2")
	if err != nil {
		return out, err
	}
	if compat == "0.10" || compat == "v2" {
		out.version = 2
	}
	compression, err := s.OneOf(name, "compression_type", "zlib", "zstd")
	if err != nil {
		return out, err
	}
	if compression == "zstd" {
		out.compression = zstandard
		if out.version == 2 {
			return out, disk.Refuse(name, disk.ReasonSetting, "compression_type=zstd needs compat=1.1")
		}
	}
	return out, nil
}

// plan is where everything lies in a new file, in clusters. It follows from
// the settings, the disk's size, the clusters that have data, and the length
// of those data in the file.
type plan struct {
	settings
	cluster int64
	perL2   int64 // entries of an L2 table
	size    int64 // of the disk, in whole sectors
	data    *blockmap.Map
	tables  *blockmap.Map // L2 tables that there are
	l1      int64         // entries of the L1 table

	l2At, l1At, blocksAt, refTableAt, end int64
}

// newPlan begins a plan; place ends it.
func newPlan(ctx context.Context, d disk.Disk, s settings) (*plan, error) {
	p := &plan{settings: s, cluster: 1 << s.clusterBits, perL2: 1 << (s.clusterBits - 3)}
	if d.Size() > 1<<62 {
		return nil, disk.Refuse(name, disk.ReasonTooLarge, "the disk has %d bytes", d.Size())
	}
	p.size = (d.Size() + 511) &^ 511
	covers := p.cluster * p.perL2
	p.l1 = max(1, (p.size+covers-1)/covers)
	if p.l1*8 > maxL1Bytes {
		return nil, disk.Refuse(name, disk.ReasonTooLarge, "%d bytes are too many for clusters of %d: larger ones are needed", p.size, p.cluster)
	}
	var err error
	p.data, err = blockmap.Of(ctx, d, p.cluster)
	return p, err
}

// place puts the tables behind dataClusters clusters of data.
func (p *plan) place(dataClusters int64) error {
	p.tables = p.data.Coarse(p.perL2)
	p.l2At = 1 + dataClusters
	return p.placeTail(p.tables.Count())
}

// placeTail puts the rest behind so many clusters of L2 tables from l2At on.
func (p *plan) placeTail(l2 int64) error {
	p.l1At = p.l2At + l2
	p.blocksAt = p.l1At + clusters(p.l1*8, p.cluster)
	// The refcount blocks count themselves and their table: go on until the
	// numbers stay.
	perBlock := p.cluster * 8 >> refcountOrder
	for blocks, table := int64(1), int64(1); ; {
		p.refTableAt = p.blocksAt + blocks
		p.end = p.refTableAt + table
		b, t := clusters(p.end, perBlock), clusters(blocks*8, p.cluster)
		if b <= blocks && t <= table {
			if table*p.cluster > maxRefTableBytes {
				return disk.Refuse(name, disk.ReasonTooLarge, "the file would have %d clusters of %d bytes: larger ones are needed", p.end, p.cluster)
			}
			return nil
		}
		blocks, table = max(b, blocks), max(t, table)
	}
}

// clusters is how many times n goes into what holds size things.
func clusters(n, size int64) int64 { return (n + size - 1) / size }

// header is the first cluster.
func (p *plan) header() []byte {
	b, be := make([]byte, p.cluster), binary.BigEndian
	be.PutUint32(b[0:], magic)
	be.PutUint32(b[4:], uint32(p.version))
	be.PutUint32(b[20:], uint32(p.clusterBits))
	be.PutUint64(b[24:], uint64(p.size))
	be.PutUint32(b[36:], uint32(p.l1))
	be.PutUint64(b[40:], uint64(p.l1At*p.cluster))
	be.PutUint64(b[48:], uint64(p.refTableAt*p.cluster))
	be.PutUint32(b[56:], uint32(p.end-p.refTableAt))
	if p.version == 3 {
		if p.compression != zlib {
			be.PutUint64(b[72:], incompatCompression)
		}
		be.PutUint32(b[96:], refcountOrder)
		be.PutUint32(b[100:], headerBytesOut)
		b[headerBytes3] = byte(p.compression)
	}
	return b
}

// l1Table is the L1 table from entry i on.
func (p *plan) l1Table(b []byte, i int64) {
	at := p.l2At + p.tables.Rank(i)
	for ; len(b) > 0; b, i = b[8:], i+1 {
		var e uint64
		if i < p.tables.Blocks() && p.tables.Has(i) {
			e = copied | uint64(at*p.cluster)
			at++
		}
		binary.BigEndian.PutUint64(b, e)
	}
}

// refTable is the refcount table from entry i on.
func (p *plan) refTable(b []byte, i int64) {
	for ; len(b) > 0; b, i = b[8:], i+1 {
		var e uint64
		if at := p.blocksAt + i; at < p.refTableAt {
			e = uint64(at * p.cluster)
		}
		binary.BigEndian.PutUint64(b, e)
	}
}

// Layout lays a disk out as an uncompressed file.
func Layout(ctx context.Context, d disk.Disk, s disk.Settings) (disk.View, error) {
	set, err := parseSettings(s)
	if err != nil {
		return nil, err
	}
	set.compression = zlib // there is nothing to pack
	p, err := newPlan(ctx, d, set)
	if err != nil {
		return nil, err
	}
	if err := p.place(p.data.Count()); err != nil {
		return nil, err
	}
	return &view{plan: p, d: d, first: p.header()}, nil
}

// view is an uncompressed file. Its k-th cluster of data is cluster 1+k.
type view struct {
	*plan
	d     disk.Disk
	first []byte
}

// Unwrap gives the disk.
func (v *view) Unwrap() disk.Disk { return v.d }

// Size implements disk.Disk.
func (v *view) Size() int64 { return v.end * v.cluster }

// ReadAt implements disk.Disk.
func (v *view) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, v.Size(), func(p []byte, off int64) error {
		for len(p) > 0 {
			n, err := v.read(p, off)
			if err != nil {
				return err
			}
			p, off = p[n:], off+int64(n)
		}
		return nil
	})
}

// read fills the beginning of p, as far as one part of the file goes.
func (v *view) read(p []byte, off int64) (int, error) {
	at := off / v.cluster
	end := func(cluster int64) []byte { // of a part
		return p[:min(int64(len(p)), cluster*v.cluster-off)]
	}
	switch {
	case at == 0:
		return copy(p, v.first[off:]), nil
	case at < v.l2At:
		return v.readData(p, off)
	case at < v.l1At: // one L2 table at a time
		return v.words(end(at+1), off-at*v.cluster, func(b []byte, i int64) {
			v.l2Table(b, v.tables.Select(at-v.l2At)*v.perL2+i)
		})
	case at < v.blocksAt:
		return v.words(end(v.blocksAt), off-v.l1At*v.cluster, v.l1Table)
	case at < v.refTableAt:
		// All clusters of the file have one user. Two bytes at a time is what
		// the refcounts have; words of eight hold four of them.
		return v.words(end(v.refTableAt), off-v.blocksAt*v.cluster, func(b []byte, i int64) {
			for i *= 4; len(b) > 0; b, i = b[2:], i+1 {
				var users uint16
				if i < v.end {
					users = 1
				}
				binary.BigEndian.PutUint16(b, users)
			}
		})
	}
	return v.words(p, off-v.refTableAt*v.cluster, v.refTable)
}

// words reads from a table whose entries from the i-th on f makes. The range
// need not begin or end at an entry.
func (v *view) words(p []byte, off int64, f func(b []byte, i int64)) (int, error) {
	first := off / 8
	if off%8 == 0 && len(p)%8 == 0 {
		f(p, first)
		return len(p), nil
	}
	p = p[:min(len(p), 64<<10)]
	b := make([]byte, (off+int64(len(p))+7)/8*8-first*8)
	f(b, first)
	return copy(p, b[off-first*8:]), nil
}

// l2Table makes L2 entries from that of cluster i of the disk on.
func (v *view) l2Table(b []byte, i int64) {
	clear(b)
	last := min(i+int64(len(b))/8, v.data.Blocks())
	at := 1 + v.data.Rank(i)
	for j := i; j < last; {
		first, end := v.data.Run(j)
		for j = first; j < min(end, last); j++ {
			binary.BigEndian.PutUint64(b[(j-i)*8:], copied|uint64(at*v.cluster))
			at++
		}
		if first >= last {
			return
		}
	}
}

// readData reads data of clusters that follow each other on the disk too.
func (v *view) readData(p []byte, off int64) (int, error) {
	src, n := v.source(off)
	p = p[:min(int64(len(p)), n)]
	have := max(0, min(int64(len(p)), v.d.Size()-src))
	clear(p[have:])
	return len(p), disk.ReadFull(v.d, p[:have], src)
}

// source says where on the disk the data at an offset of the file lie, and for
// how many bytes that goes on.
func (v *view) source(off int64) (src, n int64) {
	k := off/v.cluster - 1
	i := v.data.Select(k)
	_, end := v.data.Run(i)
	src = i*v.cluster + off%v.cluster
	return src, end*v.cluster - src
}

// Extents implements disk.Disk. Holes are what the disk has as holes inside
// clusters with data.
func (v *view) Extents(ctx context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, v.Size())
		emit := func(n int64, kind disk.Kind) bool {
			e := disk.Extent{Off: off, Len: n, Kind: kind, At: disk.Nowhere}
			off += n
			return yield(e, nil)
		}
		dataEnd := v.l2At * v.cluster
		for end := off + n; off < end; {
			if off < v.cluster || off >= dataEnd {
				stop := v.cluster
				if off >= dataEnd {
					stop = v.Size()
				}
				if !emit(min(stop, end)-off, disk.Data) {
					return
				}
				continue
			}
			src, n := v.source(off)
			n = min(n, end-off)
			for e, err := range v.d.Extents(ctx, src, n) {
				if err != nil {
					yield(disk.Extent{}, err)
					return
				}
				kind := disk.Hole
				if e.Kind == disk.Data {
					kind = disk.Data
				}
				n -= e.Len
				if !emit(e.Len, kind) {
					return
				}
			}
			// Behind the end of the disk, in its last cluster.
			if n > 0 && !emit(n, disk.Hole) {
				return
			}
		}
	}
}
