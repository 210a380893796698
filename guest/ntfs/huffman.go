package ntfs

import (
	"encoding/binary"

	"kuva/disk"
)

var errPacked = disk.Malform(format, "a compressed chunk is damaged")

// bitReader reads bits from the top of 16-bit words. Bytes between them are
// taken from behind the last word that was read, so it matters when words are
// read: when fewer bits are left than need says, and not before. Behind the end
// are zeros.
type bitReader struct {
	src  []byte
	bits uint64 // the next ones at the top
	n    int
}

func (r *bitReader) need(n int) {
	for r.n < n {
		if len(r.src) >= 2 {
			r.bits |= uint64(binary.LittleEndian.Uint16(r.src)) << (48 - r.n)
			r.src = r.src[2:]
		}
		r.n += 16
	}
}

// take reads up to 16 bits.
func (r *bitReader) take(n int) int {
	r.need(n)
	v := int(r.bits >> 48 >> (16 - n))
	r.bits <<= n
	r.n -= n
	return v
}

// bytes reads n whole bytes, nil if there are not so many.
func (r *bitReader) bytes(n int) []byte {
	if n > len(r.src) {
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

// huffman finds symbols by the next bits: symbol<<5 | length of its code.
type huffman struct {
	table []uint16
	depth int
}

// newHuffman makes the canonical code of some lengths, of at most depth bits. A
// code that does not use all of these up, or more, is damaged; one without
// symbols is right as long as nothing is read by it.
func newHuffman(lengths []byte, depth int) (huffman, error) {
	h := huffman{make([]uint16, 1<<depth), depth}
	at := 0
	for length := 1; length <= depth; length++ {
		for symbol, l := range lengths {
			if int(l) != length {
				continue
			}
			n := 1 << (depth - length)
			if at+n > len(h.table) {
				return h, errPacked
			}
			for i := range n {
				h.table[at+i] = uint16(symbol<<5 | length)
			}
			at += n
		}
	}
	if at != 0 && at != len(h.table) {
		return h, errPacked
	}
	return h, nil
}

// read gives a symbol, or -1 where the code has none.
func (h *huffman) read(r *bitReader) int {
	r.need(h.depth)
	e := h.table[r.bits>>48>>(16-h.depth)]
	if e == 0 {
		return -1
	}
	r.bits <<= e & 31
	r.n -= int(e & 31)
	return int(e >> 5)
}

// repeat copies length bytes from distance before at, which may lie on each
// other.
func repeat(dst []byte, at, distance, length int) bool {
	if distance <= 0 || distance > at || length > len(dst)-at {
		return false
	}
	for i := range length {
		dst[at+i] = dst[at+i-distance]
	}
	return true
}

// xpress unpacks a chunk of LZ77 with a Huffman code of 512 symbols ([MS-XCA]
// 2.2): bytes, and repetitions by the logarithm of their distance and their
// length.
func xpress(dst, src []byte) error {
	if len(src) < 256 {
		return errPacked
	}
	var lengths [512]byte
	for i, b := range src[:256] {
		lengths[2*i], lengths[2*i+1] = b&15, b>>4
	}
	code, err := newHuffman(lengths[:], 15)
	if err != nil {
		return err
	}
	r := bitReader{src: src[256:]}
	for at := 0; at < len(dst); {
		symbol := code.read(&r)
		if symbol < 0 {
			return errPacked
		}
		if symbol < 256 {
			dst[at] = byte(symbol)
			at++
			continue
		}
		length, log := symbol&15, symbol>>4&15
		r.need(16)
		distance := 1<<log | r.take(log)
		if length == 15 {
			b := r.bytes(1)
			if b == nil {
				return errPacked
			}
			length += int(b[0])
			if b[0] == 0xff {
				if b = r.bytes(2); b == nil {
					return errPacked
				}
				length = int(binary.LittleEndian.Uint16(b))
			}
		}
		length += 3
		if !repeat(dst, at, distance, length) {
			return errPacked
		}
		at += length
	}
	return nil
}
