package chunk

import (
	"errors"
	"fmt"
	"io"
)

// Piece is a stretch of a stream: a chunk, or a hole.
type Piece struct {
	Off  int64  // where it lies in the stream
	Len  int64  // how long it is, > 0; for a chunk at most Size
	Data []byte // its Len bytes; nil says that all of them are zeros
}

// Cutter cuts a stream into pieces and hands them to Emit, in order and without
// gaps. What it cuts depends only on the bytes and on the places of Cut, not on
// how the bytes were divided into writes, nor on whether zeros came by Write or
// by Skip; only the lengths of neighbouring holes do. It is used by one
// goroutine. After an error it takes no more.
type Cutter struct {
	// Emit takes a piece. Its error ends the cutting and is returned as it is.
	Emit func(Piece) error
	// Buffer gives a buffer of at least Size bytes whenever the cutter needs
	// one; a piece's Data lies in such a buffer, which then belongs to Emit.
	// Nil: Data is only valid until Emit returns, and big writes are not copied.
	Buffer func() []byte

	off int64  // where the piece in buf begins
	buf []byte // the bytes of the piece that is being gathered
	own []byte // the buffer behind buf, nil if Emit got the last one
	err error
}

// Write adds p to the stream.
func (c *Cutter) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if c.err != nil {
			return n, c.err
		}
		rest := p[n:]
		if c.Buffer == nil && len(c.buf) == 0 && len(rest) >= Size {
			c.emit(rest[:Size:Size])
			n += Size
			continue
		}
		c.take()
		k := copy(c.buf[len(c.buf):Size], rest)
		n += k
		c.grown(k)
	}
	return n, c.err
}

// ReadFrom adds all of r to the stream, reading straight into the pieces. It
// forces no boundary at the end.
func (c *Cutter) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for empty := 0; c.err == nil; {
		c.take()
		k, err := r.Read(c.buf[len(c.buf):Size])
		if k < 0 || k > Size-len(c.buf) {
			return total, errors.New("reader counts more than it was given room for")
		}
		total += int64(k)
		c.grown(k)
		if err == io.EOF {
			return total, c.err
		}
		if err != nil {
			return total, err
		}
		if empty++; k > 0 {
			empty = 0
		}
		if empty >= 100 {
			return total, io.ErrNoProgress
		}
	}
	return total, c.err
}

// Skip adds n zeros to the stream in a time that hardly depends on n. Where
// they fill whole steps of the grid they come out as one hole.
func (c *Cutter) Skip(n int64) error {
	if n < 0 {
		return fmt.Errorf("%d zeros", n)
	}
	for n > 0 && c.err == nil {
		if len(c.buf) == 0 && n >= Size {
			run := n - n%Size
			c.put(Piece{Off: c.off, Len: run})
			c.off += run
			n -= run
			continue
		}
		c.take()
		k := int(min(n, int64(Size-len(c.buf))))
		clear(c.buf[len(c.buf) : len(c.buf)+k])
		n -= int64(k)
		c.grown(k)
	}
	return c.err
}

// Cut ends the piece that is being gathered, if there is one, and begins the
// grid anew. The end of the stream needs it too.
func (c *Cutter) Cut() error {
	if c.err == nil && len(c.buf) > 0 {
		c.flush()
	}
	return c.err
}

// Pass ends the piece that is being gathered and counts n bytes behind it that
// somebody else takes: the grid begins anew after them.
func (c *Cutter) Pass(n int64) error {
	if n < 0 {
		return fmt.Errorf("%d bytes passed", n)
	}
	if err := c.Cut(); err != nil {
		return err
	}
	c.off += n
	return nil
}

// Offset is where the next byte will lie in the stream.
func (c *Cutter) Offset() int64 { return c.off + int64(len(c.buf)) }

// take sees to it that there is a buffer.
func (c *Cutter) take() {
	if c.own != nil {
		return
	}
	if c.Buffer != nil {
		c.own = c.Buffer()[:Size]
	} else {
		c.own = make([]byte, Size)
	}
	c.buf = c.own[:0]
}

// grown counts k bytes that were put behind buf.
func (c *Cutter) grown(k int) {
	c.buf = c.buf[:len(c.buf)+k]
	if len(c.buf) == Size {
		c.flush()
	}
}

// flush emits what was gathered. A hole leaves the buffer to the cutter.
func (c *Cutter) flush() {
	hole := c.emit(c.buf)
	if c.Buffer != nil && !hole {
		c.own = nil
	}
	c.buf = c.own[:0]
}

func (c *Cutter) emit(data []byte) (hole bool) {
	p := Piece{Off: c.off, Len: int64(len(data)), Data: data}
	if hole = IsZero(data); hole {
		p.Data = nil
	}
	c.off += p.Len
	c.put(p)
	return hole
}

func (c *Cutter) put(p Piece) {
	if err := c.Emit(p); err != nil {
		c.err = err
	}
}
