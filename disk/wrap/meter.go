package wrap

import (
	"io"

	"kuva/disk"
)

// grain is the least stretch of zeros that becomes a hole somewhere and
// therefore costs nothing.
const grain = 4 << 10

// meter holds what comes out of a packed stream to the limits.
//
// A raw disk that is nearly empty packs a thousand to one and is what honest
// people send, while nothing is ever kept of its zeros: so the ratio counts
// the stretches of 4 KiB that hold something. What zeros cost is the time to
// pass over them, which Output bounds.
type meter struct {
	name   string
	limits Limits
	out    int64 // bytes
	data   int64 // bytes in grains that hold something
	full   bool  // the grain at out does
}

// add takes what came out, after in bytes went in.
func (m *meter) add(p []byte, in int64) error {
	for len(p) > 0 {
		n := min(grain-m.out%grain, int64(len(p)))
		if m.out%grain == 0 {
			m.full = false
		}
		if !m.full && !disk.IsZero(p[:n]) {
			m.full = true
			m.data += grain
		}
		m.out += n
		p = p[n:]
	}
	switch {
	case m.out > m.limits.Output:
		return disk.Refuse(m.name, disk.ReasonLimit, "more than %d bytes come out", m.limits.Output)
	case m.data > m.limits.Free && m.data/m.limits.Ratio > in:
		return disk.Refuse(m.name, disk.ReasonLimit, "%d bytes became %d that are no zeros, the limit is %d for one", in, m.data, m.limits.Ratio)
	}
	return nil
}

// Limit holds what r gives, a member of an archive that was packed in so many
// bytes, to the limits. name is the archive's format.
func Limit(name string, r io.Reader, packed int64, l Limits) io.Reader {
	return &limited{r: r, packed: packed, meter: meter{name: name, limits: l.WithDefaults()}}
}

type limited struct {
	r      io.Reader
	packed int64
	meter  meter
	err    error
}

func (l *limited) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.r.Read(p)
	if l.err = l.meter.add(p[:n], l.packed); l.err != nil {
		return 0, l.err
	}
	return n, err
}
