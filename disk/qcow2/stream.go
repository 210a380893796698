package qcow2

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"iter"
	"sync"

	"kuva/disk"
	"kuva/disk/internal/keep"
	"kuva/disk/internal/ordered"
)

const (
	// batchBytes is how much of a disk is read and packed at a time by one
	// worker.
	batchBytes = 1 << 20
	// waitBytes is how much that does not get shorter waits for the end of a
	// cluster. See compressor.
	waitBytes = 4 << 20

	maxRefcount = 1<<(1<<refcountOrder) - 1
)

// Stream lays a disk out as a compressed file. Layout version 1:
//
//	header │ data of L2 table 0 │ L2 table 0 │ data of 1 │ L2 table 1 │ … │ L1 │ refcount blocks │ refcount table
//
// Packed clusters follow each other without gaps. All-zero clusters are left
// out, whatever the disk's extents say.
func Stream(ctx context.Context, d disk.Disk, s disk.Settings) (disk.Stream, error) {
	set, err := parseSettings(s)
	if err != nil {
		return nil, err
	}
	p, err := newPlan(ctx, d, set)
	if err != nil {
		return nil, err
	}
	return &stream{plan: p, d: d, spool: keep.DefaultMax, maxRefs: maxRefcount}, nil
}

type stream struct {
	plan    *plan
	d       disk.Disk
	spool   int    // keep.DefaultMax, less in tests: longer files are packed twice for a pipe
	maxRefs uint16 // maxRefcount, less in tests
}

// WriteTo implements disk.Stream.
func (s *stream) WriteTo(ctx context.Context, w io.Writer) (int64, error) {
	if f, ok := w.(disk.Target); ok {
		return s.writeFile(ctx, f)
	}
	return s.writePipe(ctx, w)
}

// writeFile writes all but the header, and then the header.
func (s *stream) writeFile(ctx context.Context, f disk.Target) (int64, error) {
	if err := f.Truncate(0); err != nil {
		return 0, err
	}
	p, err := s.pack(ctx, io.NewOffsetWriter(f, s.plan.cluster))
	if err != nil {
		return 0, err
	}
	_, err = f.WriteAt(p.header(), 0)
	return p.end * p.cluster, err
}

// writePipe needs the header first, which tells where the tables begin: behind
// the data. Short files wait in memory for it, others are packed twice.
func (s *stream) writePipe(ctx context.Context, w io.Writer) (int64, error) {
	kept := keep.Buffer{Max: s.spool}
	p, err := s.pack(ctx, &kept)
	if err != nil {
		return 0, err
	}
	if _, err := w.Write(p.header()); err != nil {
		return 0, err
	}
	if !kept.Full() {
		_, err = kept.WriteTo(w)
	} else {
		_, err = s.pack(ctx, w)
	}
	return p.end * p.cluster, err
}

// batch is some clusters of data that follow each other and belong to one L2
// table.
type batch struct {
	first, end int64
	last       bool // of its table
}

func (s *stream) batches() iter.Seq2[batch, error] {
	return func(yield func(batch, error) bool) {
		p := s.plan
		most := max(1, batchBytes/p.cluster)
		var next batch
		for first, end := range p.data.Runs() {
			for first < end {
				stop := min(end, first+most, (first/p.perL2+1)*p.perL2)
				if next.end > 0 {
					next.last = next.first/p.perL2 != first/p.perL2
					if !yield(next, nil) {
						return
					}
				}
				next = batch{first: first, end: stop}
				first = stop
			}
		}
		if next.last = true; next.end > 0 {
			yield(next, nil)
		}
	}
}

// packed is what a batch becomes: one piece a cluster.
type packed struct {
	batch
	pieces [][]byte // nil where the cluster is zero
	plain  []bool   // the piece is the cluster as it is

	data, out []byte // what the pieces lie in, to be used again
}

// pack writes the file from its second cluster on.
func (s *stream) pack(ctx context.Context, w io.Writer) (*plan, error) {
	var packers, used sync.Pool
	work := func(_ context.Context, b batch) (*packed, error) {
		pk, _ := packers.Get().(*packer)
		if pk == nil {
			var err error
			if pk, err = newPacker(s.plan.compression); err != nil {
				return nil, err
			}
		}
		defer packers.Put(pk)
		out, _ := used.Get().(*packed)
		if out == nil {
			out = &packed{}
		}
		out.batch = b
		return out, s.packBatch(pk, out)
	}
	buffered := bufio.NewWriterSize(w, 256<<10)
	c := &compressor{plan: *s.plan, w: buffered, at: s.plan.cluster, refs: []uint16{1}, maxRefs: s.maxRefs, l1: make([]uint64, s.plan.l1)}
	c.l2 = make([]uint64, c.perL2)
	if err := ordered.Map(ctx, ordered.Workers(0), s.batches(), work, func(p *packed) error {
		defer used.Put(p)
		return c.emit(p)
	}); err != nil {
		return nil, err
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	return &c.plan, buffered.Flush()
}

func (s *stream) packBatch(pk *packer, b *packed) error {
	cluster := s.plan.cluster
	n := b.end - b.first
	b.pieces, b.plain = make([][]byte, n), make([]bool, n)
	if int64(cap(b.data)) < n*cluster {
		b.data = make([]byte, n*cluster)
		b.out = make([]byte, 0, n*cluster+n*cluster/8) // room for a try that gets longer
	}
	data, out := b.data[:n*cluster], b.out[:0]
	have := min(n*cluster, s.d.Size()-b.first*cluster)
	clear(data[have:])
	if err := disk.ReadFull(s.d, data[:have], b.first*cluster); err != nil {
		return err
	}
	for i := range b.pieces {
		from := data[int64(i)*cluster:][:cluster]
		if disk.IsZero(from) {
			continue
		}
		start := len(out)
		var shorter bool
		if out, shorter = pk.pack(out, from); shorter {
			b.pieces[i] = out[start:len(out):len(out)]
		} else {
			b.pieces[i], b.plain[i] = from, true
		}
	}
	return nil
}

// compressor puts pieces into the file. A cluster that does not get shorter
// needs a place at a cluster's start. So that not too much is lost before it,
// it waits until several do, or until the table is done: waiting has no
// influence on anything but the order.
type compressor struct {
	plan
	w       io.Writer
	at      int64 // where in the file the next piece comes
	l1, l2  []uint64
	refs    []uint16 // users of each cluster of the file so far
	maxRefs uint16
	waiting []waiter
	waits   int64 // bytes of them
}

type waiter struct {
	i    int64 // cluster of the disk
	data []byte
}

func (c *compressor) emit(p *packed) error {
	for k, piece := range p.pieces {
		i := p.first + int64(k)
		var err error
		switch {
		case piece == nil:
		case !p.plain[k]:
			err = c.putPacked(i, piece)
		case c.at%c.cluster == 0 && len(c.waiting) == 0:
			err = c.putPlain(i, piece)
		default:
			// A copy, lest each keeps its whole batch in memory.
			c.waiting = append(c.waiting, waiter{i, bytes.Clone(piece)})
			if c.waits += int64(len(piece)); c.waits >= waitBytes {
				err = c.flush()
			}
		}
		if err != nil {
			return err
		}
	}
	if !p.last {
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	return c.putL2(p.first / c.perL2)
}

func (c *compressor) putPacked(i int64, piece []byte) error {
	// A host cluster has more users than a refcount can say only if pieces
	// have a few bytes each.
	if h := c.at >> c.clusterBits; h < int64(len(c.refs)) && c.refs[h] == c.maxRefs {
		if err := c.align(); err != nil {
			return err
		}
	}
	end := c.at + int64(len(piece))
	sectors := (end-1)>>9 - c.at>>9
	c.l2[i%c.perL2] = compressed | uint64(sectors)<<(62-(c.clusterBits-8)) | uint64(c.at)
	for h := c.at >> c.clusterBits; h <= (end-1)>>c.clusterBits; h++ {
		if h == int64(len(c.refs)) {
			c.refs = append(c.refs, 0)
		}
		c.refs[h]++
	}
	return c.write(piece)
}

func (c *compressor) putPlain(i int64, data []byte) error {
	c.l2[i%c.perL2] = copied | uint64(c.at)
	c.refs = append(c.refs, 1)
	return c.write(data)
}

// flush writes the clusters that wait.
func (c *compressor) flush() error {
	if len(c.waiting) == 0 {
		return nil
	}
	if err := c.align(); err != nil {
		return err
	}
	for _, w := range c.waiting {
		if err := c.putPlain(w.i, w.data); err != nil {
			return err
		}
	}
	c.waiting, c.waits = nil, 0
	return nil
}

// putL2 writes the finished table, if it has anything.
func (c *compressor) putL2(i int64) error {
	b := make([]byte, c.cluster)
	var any uint64
	for j, e := range c.l2 {
		any |= e
		binary.BigEndian.PutUint64(b[j*8:], e)
	}
	if any == 0 {
		return nil
	}
	if err := c.align(); err != nil {
		return err
	}
	c.l1[i] = copied | uint64(c.at)
	clear(c.l2)
	c.refs = append(c.refs, 1)
	return c.write(b)
}

// align pads with zeros up to a cluster's start.
func (c *compressor) align() error {
	if rest := c.at % c.cluster; rest != 0 {
		return c.write(make([]byte, c.cluster-rest))
	}
	return nil
}

func (c *compressor) write(p []byte) error {
	c.at += int64(len(p))
	_, err := c.w.Write(p)
	return err
}

// finish writes L1 table and refcounts.
func (c *compressor) finish() error {
	if err := c.align(); err != nil {
		return err
	}
	c.l2At = c.at / c.cluster
	if err := c.placeTail(0); err != nil {
		return err
	}
	be := binary.BigEndian
	tail := make([]byte, (c.blocksAt-c.l1At)*c.cluster)
	for i, e := range c.l1 {
		be.PutUint64(tail[i*8:], e)
	}
	if err := c.write(tail); err != nil {
		return err
	}
	perBlock := c.cluster * 8 >> refcountOrder
	block := make([]byte, c.cluster)
	for first := int64(0); c.at < c.refTableAt*c.cluster; first += perBlock {
		for i := range perBlock {
			var users uint16
			switch h := first + i; {
			case h < int64(len(c.refs)):
				users = c.refs[h]
			case h < c.end:
				users = 1
			}
			be.PutUint16(block[i*2:], users)
		}
		if err := c.write(block); err != nil {
			return err
		}
	}
	table := make([]byte, (c.end-c.refTableAt)*c.cluster)
	c.refTable(table, 0)
	return c.write(table)
}
