package catalog

import (
	"crypto/rand"
	"encoding/binary"
)

// NewID returns a random positive 63-bit id for a row's key. Two calls give
// the same id with a probability of 2^-63; a primary key catches it.
func NewID() int64 {
	for {
		var b [8]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand crashes the program instead
		if id := int64(binary.BigEndian.Uint64(b[:]) >> 1); id != 0 {
			return id
		}
	}
}
