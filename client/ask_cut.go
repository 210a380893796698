package client

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"

	"kuva/api"
	"kuva/chunk"
	"kuva/disk"
)

// askPart is a stretch of a disk that is asked for at once. It holds names, not
// bytes: those are read again when they are to be sent, which keeps the memory
// of an upload small, and they are still in the system's cache then.
type askPart struct {
	off, size int64
	entries   []api.AskEntry
	data      int64 // bytes in chunks

	hashing sync.WaitGroup // of the entries' hashes
}

// number is the part's number: another one for every place where one may begin.
func (p *askPart) number() int64 { return p.off / chunk.Block }

// stretch is a range of a disk.
type stretch struct{ off, end int64 }

// partCutter cuts stretches of a disk into parts as files of that disk are cut
// when they are uploaded, so that the chunks are the same.
type partCutter struct {
	d     disk.Disk
	limit *atomic.Int64   // bytes of chunks in a part
	out   chan<- *askPart // in the order of the disk
	hash  chan hashing
	bufs  chan []byte // chunk.Size each

	part *askPart
}

// hashing is a chunk whose name is wanted.
type hashing struct {
	data []byte
	part *askPart
	to   int // entry
}

// firstPart is the data in a part as long as parts are to be sent: what may have
// to be sent again after a failure. Parts of which nothing lacks grow, so that
// each chunk costs little more than its name.
const firstPart = 16 << 20

// cutParts cuts the stretches and sends the parts, whose hashes may still be
// worked on.
func cutParts(ctx context.Context, d disk.Disk, todo []stretch, limit *atomic.Int64, out chan<- *askPart) error {
	workers := runtime.GOMAXPROCS(0)
	c := &partCutter{d: d, limit: limit, out: out, hash: make(chan hashing, workers), bufs: make(chan []byte, 4*workers)}
	for range cap(c.bufs) {
		c.bufs <- make([]byte, chunk.Size)
	}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for h := range c.hash {
				h.part.entries[h.to].Hash = chunk.Sum(h.data)
				c.bufs <- h.data[:chunk.Size]
				h.part.hashing.Done()
			}
		})
	}
	defer group.Wait()
	defer close(c.hash)
	for _, s := range todo {
		if err := c.cut(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// cut cuts one stretch, which begins where a piece does.
func (c *partCutter) cut(ctx context.Context, s stretch) error {
	cutter := &chunk.Cutter{
		Emit:   func(p chunk.Piece) error { return c.take(ctx, s.off, p) },
		Buffer: func() []byte { return <-c.bufs },
	}
	l := &chunk.Lattice{To: cutter}
	if err := pourData(ctx, c.d, s, l); err != nil {
		return err
	}
	if err := l.Flush(); err != nil {
		return err
	}
	if err := cutter.Cut(); err != nil {
		return err
	}
	return c.send(ctx)
}

// zeroSink takes bytes and zeros.
type zeroSink interface {
	Write(p []byte) (int, error)
	Skip(n int64) error
}

// pourData writes a stretch of a disk, without reading what holds nothing.
func pourData(ctx context.Context, d disk.Disk, s stretch, to zeroSink) error {
	buf := make([]byte, 1<<20)
	for e, err := range d.Extents(ctx, s.off, s.end-s.off) {
		if err != nil {
			return err
		}
		if e.Kind != disk.Data {
			if err := to.Skip(e.Len); err != nil {
				return err
			}
			continue
		}
		for off := e.Off; off < e.End(); {
			if err := ctx.Err(); err != nil {
				return err
			}
			p := buf[:min(int64(len(buf)), e.End()-off)]
			if err := disk.ReadFull(d, p, off); err != nil {
				return err
			}
			if _, err := to.Write(p); err != nil {
				return err
			}
			off += int64(len(p))
		}
	}
	return nil
}

// take puts a piece into the part.
func (c *partCutter) take(ctx context.Context, base int64, p chunk.Piece) error {
	if c.part == nil {
		// The entries have room from the beginning: hashes are written into them.
		c.part = &askPart{off: base + p.Off, entries: make([]api.AskEntry, 0, 2*api.MostPartChunks+1)}
	}
	part := c.part
	n := len(part.entries)
	part.size += p.Len
	if p.Data == nil {
		if n > 0 && part.entries[n-1].Hole {
			part.entries[n-1].Len += p.Len
		} else {
			part.entries = append(part.entries, api.AskEntry{Len: p.Len, Hole: true})
		}
		return nil
	}
	part.entries = append(part.entries, api.AskEntry{Len: p.Len})
	part.data += p.Len
	part.hashing.Add(1)
	c.hash <- hashing{p.Data, part, n}
	if part.data+chunk.Size > min(c.limit.Load(), api.MostPartData) || len(part.entries) >= api.MostPartChunks {
		return c.send(ctx)
	}
	return nil
}

// send hands the part on.
func (c *partCutter) send(ctx context.Context) error {
	if c.part == nil {
		return nil
	}
	part := c.part
	c.part = nil
	select {
	case c.out <- part:
		return nil
	case <-ctx.Done():
		part.hashing.Wait()
		return ctx.Err()
	}
}
