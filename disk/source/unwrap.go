package source

import (
	"context"
	"io"

	"kuva/disk"
	"kuva/disk/wrap"
)

// piece is how much is unpacked at a time, and grain the least stretch of zeros
// that becomes a hole.
const (
	piece = 1 << 20
	grain = 4 << 10
)

// unwrap unpacks a compressed file into a spool.
func unwrap(ctx context.Context, name string, r io.ReaderAt, size int64, o Options) (Temp, int64, error) {
	in := io.Reader(io.NewSectionReader(r, 0, size))
	if o.Progress != nil {
		in = &progress{r: in, total: size, f: o.Progress}
	}
	z, err := wrap.NewReader(ctx, name, in, o.Limits)
	if err != nil {
		return nil, 0, err
	}
	defer z.Close()
	return spool(ctx, name, z, -1, o)
}

// spool writes a stream into a new file. Zeros become holes.
func spool(ctx context.Context, name string, r io.Reader, size int64, o Options) (Temp, int64, error) {
	if o.Spool == nil {
		return nil, 0, disk.Refuse(name, disk.ReasonLimit, "there is no room to unpack it")
	}
	f, err := o.Spool(size)
	if err != nil {
		return nil, 0, err
	}
	buf := make([]byte, piece)
	off := int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		// Not io.ReadFull: an unexpected end of the source is an error.
		n := 0
		for n < len(buf) && err == nil {
			var more int
			more, err = r.Read(buf[n:])
			n += more
		}
		if err != nil && err != io.EOF {
			return nil, 0, err
		}
		for p, at := buf[:n], off; len(p) > 0; {
			part := p[:min(grain, len(p))]
			if !disk.IsZero(part) {
				// As much at once as there is.
				for len(part) < len(p) && !disk.IsZero(p[len(part):min(len(part)+grain, len(p))]) {
					part = p[:min(len(part)+grain, len(p))]
				}
				if _, err := f.WriteAt(part, at); err != nil {
					return nil, 0, err
				}
			}
			p, at = p[len(part):], at+int64(len(part))
		}
		off += int64(n)
		if err != nil {
			return f, off, f.Truncate(off)
		}
	}
}

// progress tells what was read.
type progress struct {
	r           io.Reader
	done, total int64
	f           func(done, total int64)
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.done += int64(n)
	p.f(p.done, p.total)
	return n, err
}
