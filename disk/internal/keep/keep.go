// Package keep holds in memory what cannot be written yet, up to a limit: the
// file of a format whose beginning depends on its end, on its way into a pipe.
package keep

import (
	"bytes"
	"io"
)

// DefaultMax is how much is kept where a format has no reason for another
// number.
const DefaultMax = 64 << 20

// Buffer keeps what is written to it, up to Max bytes. What is more is thrown
// away, and all that was kept with it.
type Buffer struct {
	Max   int
	n     int64
	parts [][]byte
}

// Write keeps p. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.n += int64(len(p))
	if b.Full() {
		b.parts = nil
		return len(p), nil
	}
	b.parts = append(b.parts, bytes.Clone(p))
	return len(p), nil
}

// Len is how many bytes were written, kept or not.
func (b *Buffer) Len() int64 { return b.n }

// Full tells that there was more than Max.
func (b *Buffer) Full() bool { return b.n > int64(b.Max) }

// WriteTo writes what was kept. It must not be Full.
func (b *Buffer) WriteTo(w io.Writer) (int64, error) {
	sum := int64(0)
	for _, p := range b.parts {
		n, err := w.Write(p)
		sum += int64(n)
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}
