package images

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"kuva"
	"kuva/disk"
)

// viewPiece is how much of a view is computed at a time, on offsets that are
// multiples of it. The first piece is a small one, so that it is there soon.
const (
	viewPiece = 512 << 10
	viewFirst = 64 << 10
)

var viewBufs = sync.Pool{New: func() any { return new([viewPiece]byte) }}

// viewReader reads a part of a view in order, with pieces computed ahead by
// several goroutines. It is used by one goroutine.
type viewReader struct {
	ctx    context.Context //nolint:containedctx // of the one download
	cancel context.CancelFunc
	ahead  chan *viewFetch
	cur    *viewFetch
	left   []byte // of cur
	err    error
}

type viewFetch struct {
	buf  *[viewPiece]byte
	n    int
	err  error
	done chan struct{}
}

func newViewReader(ctx context.Context, v disk.View, off, n int64) *viewReader {
	r := &viewReader{ahead: make(chan *viewFetch, runtime.GOMAXPROCS(0)+2)}
	r.ctx, r.cancel = context.WithCancel(ctx)
	go r.plan(v, off, off+n)
	return r
}

// plan sends the pieces to be computed. The channel's capacity bounds how many
// are in flight.
func (r *viewReader) plan(v disk.View, off, end int64) {
	defer close(r.ahead)
	step := int64(viewFirst)
	for off < end {
		next := min(end, off-off%step+step)
		f := &viewFetch{n: int(next - off), done: make(chan struct{})}
		select {
		case r.ahead <- f:
		case <-r.ctx.Done():
			return
		}
		f.buf = viewBufs.Get().(*[viewPiece]byte)
		go func(off int64) {
			defer close(f.done)
			f.err = disk.ReadFull(v, f.buf[:f.n], off)
		}(off)
		off, step = next, viewPiece
	}
}

// next makes left non-empty or sets err.
func (r *viewReader) next() bool {
	if len(r.left) > 0 {
		return true
	}
	if r.cur != nil {
		viewBufs.Put(r.cur.buf)
		r.cur = nil
	}
	if r.err != nil {
		return false
	}
	f, ok := <-r.ahead
	if !ok {
		if r.err = r.ctx.Err(); r.err == nil {
			r.err = io.EOF
			return false
		}
		r.err = coded(r.ctx, r.err)
		return false
	}
	select {
	case <-f.done:
	case <-r.ctx.Done():
		// Somebody still writes into its buffer: leave that to the collector.
		r.err = coded(r.ctx, r.ctx.Err())
		return false
	}
	if f.err != nil {
		r.err = coded(r.ctx, contentError(kuva.CodeDamaged, f.err))
		return false
	}
	r.cur, r.left = f, f.buf[:f.n]
	return true
}

// Read implements io.Reader.
func (r *viewReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !r.next() {
		return 0, r.err
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

// WriteTo implements io.WriterTo, by which nothing is copied.
func (r *viewReader) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for r.next() {
		n, err := w.Write(r.left)
		r.left, total = r.left[n:], total+int64(n)
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
func (r *viewReader) Close() error {
	r.cancel()
	if r.err == nil {
		r.err = errors.New("read after close")
	}
	r.left = nil
	return nil
}
