package chunk

import (
	"encoding/binary"
	"math/bits"
)

// Keyed is keyed BLAKE3 of h: the name that a realm gives to a chunk whose plain
// hash is h. Whoever lacks the key can neither make nor test such a name.
//
// A message of 32 bytes is one single block, so this is one call of BLAKE3's
// compression function, written out here: the library's keyed hasher is an
// allocation of 10 KB for every key. A test compares the two.
func Keyed(key *[32]byte, h Hash) Hash {
	// Flags of a message that is one block: first and last block of its chunk,
	// root of its tree, keyed mode.
	const flags = 1<<0 | 1<<1 | 1<<3 | 1<<4

	var m, v [16]uint32
	for i := range 8 {
		m[i] = binary.LittleEndian.Uint32(h[4*i:])
		v[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	v[8], v[9], v[10], v[11] = 0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A
	v[14], v[15] = uint32(len(h)), flags // v[12], v[13]: the chunk's number, 0

	for round := range 7 {
		if round > 0 {
			m = [16]uint32{
				m[2], m[6], m[3], m[10], m[7], m[0], m[4], m[13],
				m[1], m[11], m[12], m[5], m[9], m[14], m[15], m[8],
			}
		}
		v[0], v[4], v[8], v[12] = mix(v[0], v[4], v[8], v[12], m[0], m[1])
		v[1], v[5], v[9], v[13] = mix(v[1], v[5], v[9], v[13], m[2], m[3])
		v[2], v[6], v[10], v[14] = mix(v[2], v[6], v[10], v[14], m[4], m[5])
		v[3], v[7], v[11], v[15] = mix(v[3], v[7], v[11], v[15], m[6], m[7])
		v[0], v[5], v[10], v[15] = mix(v[0], v[5], v[10], v[15], m[8], m[9])
		v[1], v[6], v[11], v[12] = mix(v[1], v[6], v[11], v[12], m[10], m[11])
		v[2], v[7], v[8], v[13] = mix(v[2], v[7], v[8], v[13], m[12], m[13])
		v[3], v[4], v[9], v[14] = mix(v[3], v[4], v[9], v[14], m[14], m[15])
	}

	var out Hash
	for i := range 8 {
		binary.LittleEndian.PutUint32(out[4*i:], v[i]^v[i+8])
	}
	return out
}

// mix is BLAKE3's quarter round G.
func mix(a, b, c, d, x, y uint32) (uint32, uint32, uint32, uint32) {
	a += b + x
	d = bits.RotateLeft32(d^a, -16)
	c += d
	b = bits.RotateLeft32(b^c, -12)
	a += b + y
	d = bits.RotateLeft32(d^a, -8)
	c += d
	b = bits.RotateLeft32(b^c, -7)
	return a, b, c, d
}
