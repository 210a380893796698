// Package wrap takes compressed streams off what they hold: gzip (of several
// members), xz, bzip2 and zstd (of several frames), within limits of output,
// expansion and memory. It writes raw disks inside gzip and zstd.
package wrap

import (
	"bytes"
	"context"
	"errors"
	"io"

	"kuva/disk"
)

// Names of the wrappers that NewReader knows.
var Names = []string{"gzip", "xz", "bzip2", "zstd"}

// HeadLen is how many bytes of a stream Detect wants to see.
const HeadLen = 10

// Detect tells by the first bytes of a stream what it is wrapped in: one of
// Names, or "". Fewer than HeadLen bytes are enough where the stream is shorter.
func Detect(head []byte) string {
	is := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case is("\x1f\x8b\x08"):
		return "gzip"
	case is("\xfd7zXZ\x00"):
		return "xz"
	case is("\x28\xb5\x2f\xfd"):
		return "zstd"
	case len(head) >= 10 && is("BZh") && head[3] >= '1' && head[3] <= '9' &&
		(string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17\x72\x45\x38\x50\x90"):
		return "bzip2"
	}
	return ""
}

// Limits bound what may come out of a stream and what it may take to get it.
// Zero fields take the default, negative ones mean no limit.
type Limits struct {
	// Output is the most bytes that may come out; default: no limit.
	Output int64
	// Ratio is how many bytes may come out for each that went in, counted
	// once Free bytes are out; defaults 200 and 64 MiB. Zeros (whole stretches
	// of 4 KiB) do not count: nothing is kept of them. Output bounds them.
	Ratio, Free int64
	// Memory is what a decoder may keep, nearly all of it the window: bytes
	// of it, for zstd at most an eighth. Default 64 MiB.
	Memory int64
}

// WithDefaults gives the limits that count: every field above 0.
func (l Limits) WithDefaults() Limits {
	def := func(v *int64, d int64) {
		switch {
		case *v == 0:
			*v = d
		case *v < 0:
			*v = 1<<63 - 1
		}
	}
	def(&l.Output, 1<<63-1)
	def(&l.Ratio, 200)
	def(&l.Free, 64<<20)
	def(&l.Memory, 64<<20)
	return l
}

// NewReader unwraps a stream of one of Names. Reading gives *disk.Malformed for
// streams that are broken, cut off, or followed by something else (zeros behind
// gzip and padding of whole words behind xz are none), *disk.Refused for those
// that are over a limit or use a feature that is not known, and errors of r and
// ctx as they are. It reads ahead of what it gives. Close releases the decoder
// and must be called; it does not close r.
func NewReader(ctx context.Context, name string, r io.Reader, l Limits) (io.ReadCloser, error) {
	l = l.WithDefaults()
	in := &input{ctx: ctx, r: r}
	out := &reader{name: name, in: in, meter: meter{name: name, limits: l}}
	var err error
	switch name {
	case "gzip":
		out.r, err = newGzip(in)
	case "xz":
		out.r, err = newXZ(in, l.Memory)
	case "bzip2":
		out.r = newBzip2(in)
	case "zstd":
		out.r, out.close, err = newZstd(in, l.Memory)
	default:
		return nil, disk.Refuse(name, disk.ReasonUnsupported, "this wrapping is not read")
	}
	if err != nil {
		return nil, out.fault(err)
	}
	return out, nil
}

// input counts what goes into a decoder and keeps the reader's own error apart
// from those of the decoder.
type input struct {
	ctx context.Context
	r   io.Reader
	n   int64
	err error
}

func (in *input) Read(p []byte) (int, error) {
	if err := in.ctx.Err(); err != nil {
		in.err = err
		return 0, err
	}
	n, err := in.r.Read(p)
	in.n += int64(n)
	if err != nil && err != io.EOF {
		in.err = err
	}
	return n, err
}

// reader holds a decoder to the limits and makes its errors ours.
type reader struct {
	name  string
	r     io.Reader
	close func()
	in    *input
	meter meter
	err   error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if err := r.in.ctx.Err(); err != nil {
		r.err = err
		return 0, err
	}
	n, err := r.r.Read(p)
	if over := r.meter.add(p[:n], r.in.n); over != nil {
		err = over
	} else if err != nil && err != io.EOF {
		err = r.fault(err)
	}
	if r.err = err; err != nil && err != io.EOF {
		n = 0 // nothing of a stream that is given up is worth having
	}
	return n, err
}

func (r *reader) Close() error {
	if r.close != nil {
		r.close()
		r.close = nil
	}
	if r.err == nil {
		r.err = errClosed
	}
	return nil
}

var errClosed = errors.New("wrap: read after close")

// fault says what an error of a decoder means.
func (r *reader) fault(err error) error {
	var refused *disk.Refused
	var malformed *disk.Malformed
	switch {
	case r.in.err != nil:
		return r.in.err
	case errors.As(err, &refused), errors.As(err, &malformed):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return disk.Malform(r.name, "the stream is cut off")
	}
	return &disk.Malformed{Format: r.name, Detail: "the stream is broken", Err: err}
}
