package ntfs

import (
	"encoding/binary"

	"kuva/disk"
)

// lznt1 unpacks a compression unit: chunks of up to 4,096 bytes, each behind a
// head with its length; a head of 0 ends them, and zeros follow.
func lznt1(dst, src []byte) error {
	const chunk = 4096
	for len(dst) > 0 && len(src) >= 2 {
		head := binary.LittleEndian.Uint16(src)
		if head == 0 {
			break
		}
		n := int(head&0xfff) + 1
		if n > len(src)-2 {
			return disk.Malform(format, "a compressed chunk of %d bytes is cut off", n)
		}
		out := dst[:min(chunk, len(dst))]
		if head&0x8000 == 0 {
			clear(out[copy(out, src[2:2+n]):])
		} else if err := unpackChunk(out, src[2:2+n]); err != nil {
			return err
		}
		dst, src = dst[len(out):], src[2+n:]
	}
	clear(dst)
	return nil
}

// unpackChunk unpacks tokens: 8 of them behind a byte whose bits say which are
// plain bytes and which repeat what came before. How many bits of those are the
// distance depends on how far the chunk has come.
func unpackChunk(dst, src []byte) error {
	at := 0
	for len(src) > 0 {
		flags := src[0]
		src = src[1:]
		for range 8 {
			if len(src) == 0 {
				break
			}
			if flags&1 == 0 {
				if at >= len(dst) {
					return disk.Malform(format, "a compressed chunk has too many bytes")
				}
				dst[at] = src[0]
				at, src = at+1, src[1:]
			} else {
				if len(src) < 2 || at == 0 {
					return disk.Malform(format, "a compressed chunk is damaged")
				}
				token := int(binary.LittleEndian.Uint16(src))
				src = src[2:]
				lengthBits := 12
				for i := at - 1; i >= 0x10; i >>= 1 {
					lengthBits--
				}
				distance, length := token>>lengthBits+1, token&(1<<lengthBits-1)+3
				if distance > at || length > len(dst)-at {
					return disk.Malform(format, "a compressed chunk is damaged")
				}
				for range length {
					dst[at] = dst[at-distance]
					at++
				}
			}
			flags >>= 1
		}
	}
	clear(dst[at:])
	return nil
}
