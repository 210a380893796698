package osinfo

import (
	"encoding/binary"
	"errors"
	"io"
)

// legacyLZ4 unpacks what "lz4 -l" packs, the only format of LZ4 that the
// kernel takes: a magic number, then blocks of at most 8 MiB, each with its
// packed length in front (LZ4 Frame Format, "Legacy frame").
type legacyLZ4 struct {
	r     io.Reader
	begun bool
	in    []byte
	out   []byte // what is left of a block
	buf   []byte
}

const (
	lz4Block = 8 << 20
	lz4Magic = 0x184c2102
)

var errLZ4 = errors.New("lz4: damaged")

func newLegacyLZ4(r io.Reader) *legacyLZ4 { return &legacyLZ4{r: r} }

// Read implements io.Reader.
func (z *legacyLZ4) Read(p []byte) (int, error) {
	for len(z.out) == 0 {
		if err := z.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, z.out)
	z.out = z.out[n:]
	return n, nil
}

func (z *legacyLZ4) next() error {
	var b [4]byte
	if _, err := io.ReadFull(z.r, b[:]); err != nil {
		if err == io.ErrUnexpectedEOF || !z.begun {
			err = errLZ4
		}
		return err
	}
	n := binary.LittleEndian.Uint32(b[:])
	if n == lz4Magic {
		z.begun = true
		return nil
	}
	if !z.begun || n == 0 || n > lz4Block+lz4Block/255+16 {
		return io.EOF // the archive's padding, or another one
	}
	if int(n) > cap(z.in) {
		z.in = make([]byte, n)
	}
	z.in = z.in[:n]
	if _, err := io.ReadFull(z.r, z.in); err != nil {
		return errLZ4
	}
	if z.buf == nil {
		z.buf = make([]byte, lz4Block)
	}
	m, err := lz4Unpack(z.buf, z.in)
	z.out = z.buf[:m]
	return err
}

// lz4Unpack unpacks one block (LZ4 Block Format).
func lz4Unpack(dst, src []byte) (int, error) {
	d, s := 0, 0
	length := func(n int) (int, bool) {
		if n != 15 {
			return n, true
		}
		for s < len(src) {
			c := src[s]
			s++
			if n += int(c); n > len(dst) {
				return 0, false
			}
			if c != 255 {
				return n, true
			}
		}
		return 0, false
	}
	for s < len(src) {
		token := src[s]
		s++
		n, ok := length(int(token >> 4))
		if !ok || n > len(src)-s || n > len(dst)-d {
			return 0, errLZ4
		}
		copy(dst[d:], src[s:s+n])
		d, s = d+n, s+n
		if s == len(src) {
			return d, nil // the last sequence has no match
		}
		if len(src)-s < 2 {
			return 0, errLZ4
		}
		back := int(src[s]) | int(src[s+1])<<8
		s += 2
		if n, ok = length(int(token & 15)); !ok || back == 0 || back > d || n+4 > len(dst)-d {
			return 0, errLZ4
		}
		for end := d + n + 4; d < end; { // may overlap: copy what is there
			d += copy(dst[d:end], dst[d-back:d])
		}
	}
	return 0, errLZ4
}
