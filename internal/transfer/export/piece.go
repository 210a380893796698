package export

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3 compares parts by it
	"crypto/sha256"
	"encoding"
	"errors"
	"hash"
	"io"

	"golang.org/x/sync/errgroup"

	"kuva"
	"kuva/internal/images"
)

// How a file is cut into parts.
const (
	maxParts  = 10_000   // that a bucket takes
	partSize  = 8 << 20  // of most files
	heldMost  = 16 << 20 // parts up to here are held in memory while they are sent
	heldAll   = 32 << 20 // bytes of parts held at a time
	largeFrom = 4_000    // parts of a file of unknown length, from which they are larger
)

// cutting is how one file is cut.
type cutting struct {
	size  int64 // bytes of a part
	grow  bool  // later parts are larger, because the file's length is not known
	held  bool  // parts are held in memory; else the file is read once more to send them
	lanes int   // parts under way at a time
}

// cut says how a file of so many bytes, below 0 unknown, is cut: into parts of
// at least least bytes and at most most parts.
func cut(total, least int64, most int) cutting {
	const grain = 1 << 20
	if total < 0 {
		return cutting{size: least, grow: true, held: true, lanes: 1}
	}
	size := max(least, (total+int64(most)-1)/int64(most))
	size = (size + grain - 1) / grain * grain
	c := cutting{size: size, held: size <= heldMost, lanes: 1}
	if c.held {
		c.lanes = max(1, int(heldAll/size)-1) // one more is being filled
	}
	return c
}

// sizes is how large each part is.
func (c cutting) sizes(n int) int64 {
	if c.grow && n > largeFrom {
		return heldMost
	}
	return c.size
}

// piece is one part on its way.
type piece struct {
	n     int // from 1
	size  int64
	sum   [md5.Size]byte
	state []byte // of SHA-256 behind it
	open  func(ctx context.Context) io.ReadSeeker
}

type sender func(ctx context.Context, p *piece) error

// pieces hands the parts of a file of known length from number from on to send,
// several at a time; sum is the digest of what is before.
func pieces(ctx context.Context, v *images.View, c cutting, from int, sum hash.Hash, send sender) error {
	off := int64(from-1) * c.size
	if !c.held {
		return direct(ctx, v, c, from, sum, send)
	}
	r, err := v.Reader(ctx, off, v.Size-off)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // it was only read
	return held(ctx, r, c.sizes, c.lanes, from, sum, send)
}

// held reads parts into memory and hands them to send. A file without a byte
// has one part.
func held(ctx context.Context, r io.Reader, sizeOf func(n int) int64, lanes, from int, sum hash.Hash, send sender) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(lanes)
	bufs := make(chan []byte, lanes+1)
	for range lanes + 1 {
		bufs <- nil
	}
	for n := from; ; n++ {
		if n > maxParts {
			_ = g.Wait()
			return kuva.E(kuva.CodeTooLarge, "export.too_large")
		}
		var buf []byte
		select {
		case buf = <-bufs:
		case <-ctx.Done():
			return errors.Join(g.Wait(), context.Cause(ctx))
		}
		if size := sizeOf(n); int64(len(buf)) != size {
			buf = make([]byte, size)
		}
		got, err := io.ReadFull(r, buf)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return errors.Join(err, g.Wait())
		}
		if got == 0 && n > 1 {
			return g.Wait()
		}
		p, err := newPiece(n, int64(got), sum, buf[:got])
		if err != nil {
			return errors.Join(err, g.Wait())
		}
		g.Go(func() error {
			defer func() { bufs <- buf }()
			p.sum = md5.Sum(buf[:got]) //nolint:gosec // as above
			return send(ctx, p)
		})
		if last {
			return g.Wait()
		}
	}
}

func newPiece(n int, size int64, sum hash.Hash, content []byte) (*piece, error) {
	sum.Write(content)
	state, err := sum.(encoding.BinaryMarshaler).MarshalBinary()
	return &piece{n: n, size: size, state: state, open: func(context.Context) io.ReadSeeker { return bytes.NewReader(content) }}, err
}

// direct reads each part twice, once to hash it and once to send it, because
// it is too large to be held.
func direct(ctx context.Context, v *images.View, c cutting, from int, sum hash.Hash, send sender) error {
	for n := from; int64(n-1)*c.size < v.Size; n++ {
		off := int64(n-1) * c.size
		p := &piece{n: n, size: min(c.size, v.Size-off)}
		r, err := v.Reader(ctx, off, p.size)
		if err != nil {
			return err
		}
		part := md5.New() //nolint:gosec // as above
		_, err = io.Copy(io.MultiWriter(sum, part), r)
		if err = errors.Join(err, r.Close()); err != nil {
			return err
		}
		part.Sum(p.sum[:0])
		if p.state, err = sum.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
			return err
		}
		p.open = func(ctx context.Context) io.ReadSeeker { return &section{ctx: ctx, v: v, off: off, size: p.size} }
		if err := send(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// section is a part of a file that is read anew from its beginning as often as
// is asked for.
type section struct {
	ctx       context.Context //nolint:containedctx // of the one part
	v         *images.View
	off, size int64
	r         io.ReadCloser
}

// Read implements io.Reader.
func (s *section) Read(p []byte) (int, error) {
	if s.r == nil {
		r, err := s.v.Reader(s.ctx, s.off, s.size)
		if err != nil {
			return 0, err
		}
		s.r = r
	}
	return s.r.Read(p)
}

// Seek goes to the beginning, and nowhere else.
func (s *section) Seek(off int64, whence int) (int64, error) {
	if off != 0 || whence != io.SeekStart {
		return 0, errors.New("only the beginning can be sought")
	}
	return 0, s.Close()
}

// Close gives the reader back.
func (s *section) Close() error {
	if s.r == nil {
		return nil
	}
	r := s.r
	s.r = nil
	return r.Close()
}

// newSum is SHA-256 behind what a state has hashed; nil is nothing.
func newSum(state []byte) (hash.Hash, error) {
	h := sha256.New()
	if state == nil {
		return h, nil
	}
	return h, h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
}

// streamed runs a file without a length through a pipe.
func streamed(ctx context.Context, v *images.View, read func(r io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := v.WriteTo(ctx, pw)
		done <- err
		_ = pw.CloseWithError(err) // nil is the end
	}()
	err := read(pr)
	cancel()
	_ = pr.Close()
	made := <-done
	if err == nil {
		return made
	}
	return err
}
