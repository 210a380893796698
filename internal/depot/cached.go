package depot

import (
	"context"
	"errors"
	"io"
	"sync"
)

// Cached reads an object at random and keeps the chunks that it opened last,
// for readers of tables, who come back for the next few bytes, and for readers
// of views, whose pieces begin and end inside chunks. It is safe for concurrent
// use; two that want the same chunk open it once. It holds nothing that needs
// closing.
type Cached struct {
	o      *Object
	ctx    context.Context //nolint:containedctx // io.ReaderAt has no room for one
	chunks int

	mu    sync.Mutex
	clock int64
	kept  map[int64]*keptChunk // by the offset of the chunk in the object
}

type keptChunk struct {
	used int64
	done chan struct{}
	data []byte
	err  error
}

// Cached opens a reader that keeps so many chunks of at most 256 KiB, at least
// one. Its reads end when ctx does.
func (o *Object) Cached(ctx context.Context, chunks int) *Cached {
	return &Cached{o: o, ctx: ctx, chunks: max(1, chunks), kept: map[int64]*keptChunk{}}
}

// Size is the object's length in bytes.
func (c *Cached) Size() int64 { return c.o.Size() }

// ReadAt implements io.ReaderAt as Object's does. What covers a whole chunk is
// opened into p and not kept.
func (c *Cached) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	r, done := c.o.current(), 0
	for done < len(p) {
		if off >= r.Size {
			return done, io.EOF
		}
		if err := c.ctx.Err(); err != nil {
			return done, err
		}
		pc, err := c.o.d.pieceAt(c.ctx, r, off)
		n := 0
		if err == nil {
			n = int(min(pc.n, int64(len(p)-done)))
			err = c.readPiece(pc, p[done:done+n])
		}
		if err != nil { // a newer generation, or a failure: that reader knows
			n, err := c.o.readAt(c.ctx, p[done:], off)
			return done + n, err
		}
		done, off = done+n, off+int64(n)
	}
	return done, nil
}

func (c *Cached) readPiece(pc piece, p []byte) error {
	if pc.entry.Hole > 0 {
		clear(p)
		return nil
	}
	if pc.skip == 0 && len(p) == int(pc.entry.Loc.Plain) {
		return c.o.d.readPiece(c.ctx, pc, p)
	}
	k, mine := c.keep(pc.off - pc.skip)
	if mine {
		sealed := sealedBufs.Get().(*[]byte)
		k.data, k.err = c.o.d.openChunk(c.ctx, pc.entry.Name, pc.entry.Loc, make([]byte, 0, pc.entry.Loc.Plain), *sealed)
		sealedBufs.Put(sealed)
		if k.err != nil {
			c.drop(pc.off-pc.skip, k)
		}
		close(k.done)
	}
	select {
	case <-k.done:
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
	if k.err != nil {
		return k.err
	}
	copy(p, k.data[pc.skip:])
	return nil
}

// keep finds the chunk at an offset, or makes room for it: then it is the
// caller's to open.
func (c *Cached) keep(at int64) (k *keptChunk, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	if k := c.kept[at]; k != nil {
		k.used = c.clock
		return k, false
	}
	for len(c.kept) >= c.chunks {
		var oldest int64 = -1
		for at, k := range c.kept {
			if oldest < 0 || k.used < c.kept[oldest].used {
				oldest = at
			}
		}
		delete(c.kept, oldest) // whoever waits for it has it in hand
	}
	k = &keptChunk{used: c.clock, done: make(chan struct{})}
	c.kept[at] = k
	return k, true
}

func (c *Cached) drop(at int64, k *keptChunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept[at] == k {
		delete(c.kept, at)
	}
}
