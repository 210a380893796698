package depot

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"kuva/chunk"
)

// Reader reads n bytes of the object from off, in order, with chunks fetched
// and opened ahead by several goroutines. It is used by one goroutine and must
// be closed. It implements io.WriterTo, which copies nothing.
func (o *Object) Reader(ctx context.Context, off, n int64) *Reader {
	n = max(0, min(n, o.Size()-off))
	r := &Reader{o: o, off: off, end: off + n, depth: 2*runtime.GOMAXPROCS(0) + 2}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// Reader is a sequential reader of an object.
type Reader struct {
	o      *Object
	ctx    context.Context
	cancel context.CancelFunc
	off    int64 // of the next byte to be handed out
	end    int64
	depth  int
	ahead  chan *fetch // nil until the first read
	cur    []byte      // what is left of the fetch being handed out
	zeros  int64       // what is left of the hole being handed out
	held   *[]byte     // pooled buffer that cur lies in
	err    error
}

// fetch is one stretch under way.
type fetch struct {
	hole int64
	buf  *[]byte
	n    int
	err  error
	done chan struct{}
}

func (r *Reader) start() {
	r.ahead = make(chan *fetch, r.depth)
	go r.plan(r.off)
}

// plan walks the object's stretches and sends them to be fetched. The
// channel's capacity bounds what is in flight.
func (r *Reader) plan(off int64) {
	defer close(r.ahead)
	gen := r.o.current()
	for off < r.end {
		pc, err := r.o.d.pieceAt(r.ctx, gen, off)
		if isNotFound(err) {
			if gen, err = r.o.newer(r.ctx, gen); err == nil {
				continue
			}
		}
		f := &fetch{err: err, done: make(chan struct{})}
		n := min(pc.n, r.end-off)
		switch {
		case err != nil:
			close(f.done)
		case pc.entry.Hole > 0:
			f.hole = n
			close(f.done)
		default:
			f.n = int(n)
		}
		select {
		case r.ahead <- f:
		case <-r.ctx.Done():
			return
		}
		if f.err != nil {
			return
		}
		if f.hole == 0 {
			f.buf = plainBufs.Get().(*[]byte)
			go r.fetch(f, pc)
		}
		off += n
	}
}

func (r *Reader) fetch(f *fetch, pc piece) {
	defer close(f.done)
	p := (*f.buf)[:f.n]
	if f.err = r.o.d.readPiece(r.ctx, pc, p); isNotFound(f.err) {
		_, f.err = r.o.readAt(r.ctx, p, pc.off) // by a newer generation
	} else if f.err != nil {
		r.o.d.noteDamage(r.ctx, pc.entry.Loc.Pack, f.err)
	}
}

// next makes cur or zeros non-empty, or sets err.
func (r *Reader) next() bool {
	if len(r.cur) > 0 || r.zeros > 0 {
		return true
	}
	if r.held != nil {
		plainBufs.Put(r.held)
		r.held = nil
	}
	if r.err != nil {
		return false
	}
	if r.off >= r.end {
		r.err = io.EOF
		return false
	}
	if r.ahead == nil {
		r.start()
	}
	f, ok := <-r.ahead
	if !ok {
		if r.err = r.ctx.Err(); r.err == nil {
			r.err = io.ErrUnexpectedEOF
		}
		return false
	}
	select {
	case <-f.done:
	case <-r.ctx.Done():
		// The fetch still writes into its buffer: leave that to the collector.
		r.err = r.ctx.Err()
		return false
	}
	if f.err != nil {
		r.err = f.err
		return false
	}
	if f.hole > 0 {
		r.zeros = f.hole
		return true
	}
	r.held, r.cur = f.buf, (*f.buf)[:f.n]
	return true
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !r.next() {
		return 0, r.err
	}
	var n int
	if r.zeros > 0 {
		n = int(min(int64(len(p)), r.zeros))
		clear(p[:n])
		r.zeros -= int64(n)
	} else {
		n = copy(p, r.cur)
		r.cur = r.cur[n:]
	}
	r.off += int64(n)
	return n, nil
}

var zeroChunk = sync.OnceValue(func() []byte { return make([]byte, chunk.Size) })

// WriteTo implements io.WriterTo.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for r.next() {
		b := r.cur
		if r.zeros > 0 {
			b = zeroChunk()[:min(r.zeros, chunk.Size)]
		}
		n, err := w.Write(b)
		if r.zeros > 0 {
			r.zeros -= int64(n)
		} else {
			r.cur = r.cur[n:]
		}
		r.off, total = r.off+int64(n), total+int64(n)
		if err != nil {
			return total, err
		}
	}
	if errors.Is(r.err, io.EOF) {
		return total, nil
	}
	return total, r.err
}

// Close ends the reading ahead.
func (r *Reader) Close() error {
	r.cancel()
	if r.err == nil {
		r.err = errors.New("read after close")
	}
	r.cur, r.zeros = nil, 0
	return nil
}
