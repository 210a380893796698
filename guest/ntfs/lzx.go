package ntfs

import "encoding/binary"

// Codes of LZX with a window of 32 KiB, as Windows has it in system files and
// WIM archives ([MS-PATCH] describes a relative).
const (
	lzxMain    = 256 + 8*30 // bytes; repetitions by slot of distance and length
	lzxLengths = 249
	lzxAligned = 8
	lzxPre     = 20
)

// lzxState is what goes on from block to block of a chunk.
type lzxState struct {
	r               bitReader
	mainLengths     [lzxMain]byte
	lengthLengths   [lzxLengths]byte
	recent          [3]int
	main, len, algn huffman
}

// lzx unpacks a chunk: blocks, each with codes of its own or not compressed.
func lzx(dst, src []byte) error {
	s := lzxState{r: bitReader{src: src}, recent: [3]int{1, 1, 1}}
	for at := 0; at < len(dst); {
		kind := s.r.take(3)
		size := 32 << 10
		if s.r.take(1) == 0 {
			size = s.r.take(16)
		}
		if size == 0 || size > len(dst)-at {
			return errPacked
		}
		var err error
		switch kind {
		case 1, 2:
			if err = s.codes(kind == 2); err == nil {
				err = s.block(dst[:at+size], at, kind == 2)
			}
		case 3:
			err = s.plain(dst[at : at+size])
		default:
			err = errPacked
		}
		if err != nil {
			return err
		}
		at += size
	}
	calls(dst)
	return nil
}

// plain copies a block that is not compressed.
func (s *lzxState) plain(dst []byte) error {
	s.r.need(1)
	s.r.bits, s.r.n = 0, 0
	for i := range s.recent {
		b := s.r.bytes(4)
		if b == nil {
			return errPacked
		}
		s.recent[i] = int(binary.LittleEndian.Uint32(b))
	}
	b := s.r.bytes(len(dst))
	if b == nil {
		return errPacked
	}
	copy(dst, b)
	if len(dst)%2 != 0 {
		s.r.bytes(1)
	}
	return nil
}

// codes reads the codes of a block.
func (s *lzxState) codes(aligned bool) (err error) {
	if aligned {
		var lengths [lzxAligned]byte
		for i := range lengths {
			lengths[i] = byte(s.r.take(3))
		}
		if s.algn, err = newHuffman(lengths[:], 7); err != nil {
			return err
		}
	}
	for _, part := range [][]byte{s.mainLengths[:256], s.mainLengths[256:], s.lengthLengths[:]} {
		if err := s.lengths(part); err != nil {
			return err
		}
	}
	if s.main, err = newHuffman(s.mainLengths[:], 16); err != nil {
		return err
	}
	s.len, err = newHuffman(s.lengthLengths[:], 16)
	return err
}

// lengths reads lengths of codes as differences from those of the block before,
// by a code of their own.
func (s *lzxState) lengths(dst []byte) error {
	var pre [lzxPre]byte
	for i := range pre {
		pre[i] = byte(s.r.take(4))
	}
	code, err := newHuffman(pre[:], 15)
	if err != nil {
		return err
	}
	for i := 0; i < len(dst); {
		symbol := code.read(&s.r)
		run, value := 1, byte(0)
		switch {
		case symbol < 0:
			return errPacked
		case symbol == 17:
			run = 4 + s.r.take(4)
		case symbol == 18:
			run = 20 + s.r.take(5)
		default:
			if symbol == 19 {
				run = 4 + s.r.take(1)
				if symbol = code.read(&s.r); symbol < 0 || symbol > 16 {
					return errPacked
				}
			}
			value = byte((int(dst[i]) - symbol + 17) % 17)
		}
		if run > len(dst)-i {
			return errPacked
		}
		for range run {
			dst[i] = value
			i++
		}
	}
	return nil
}

// block unpacks from at to the end of dst.
func (s *lzxState) block(dst []byte, at int, aligned bool) error {
	for at < len(dst) {
		symbol := s.main.read(&s.r)
		if symbol < 0 {
			return errPacked
		}
		if symbol < 256 {
			dst[at] = byte(symbol)
			at++
			continue
		}
		slot, length := (symbol-256)>>3, symbol&7
		if length == 7 {
			more := s.len.read(&s.r)
			if more < 0 {
				return errPacked
			}
			length += more
		}
		length += 2
		distance := 0
		if slot < 3 {
			distance = s.recent[slot]
			s.recent[slot] = s.recent[0]
		} else {
			extra := max(slot>>1-1, 0)
			distance = slot // the slots 0 to 3 stand for themselves
			if slot > 3 {
				distance = (2 | slot&1) << extra
			}
			if aligned && extra >= 3 {
				distance += s.r.take(extra-3) << 3
				low := s.algn.read(&s.r)
				if low < 0 {
					return errPacked
				}
				distance += low
			} else {
				distance += s.r.take(extra)
			}
			distance -= 2
			s.recent[2], s.recent[1] = s.recent[1], s.recent[0]
		}
		s.recent[0] = distance
		if !repeat(dst, at, distance, length) {
			return errPacked
		}
		at += length
	}
	return nil
}

// calls makes targets of x86 call instructions relative again, which were made
// absolute so that they repeat.
func calls(b []byte) {
	const size = 12_000_000 // taken for the size of any file
	for i := 0; i < len(b)-10; i++ {
		if b[i] != 0xe8 {
			continue
		}
		target := b[i+1:]
		v := int32(binary.LittleEndian.Uint32(target))
		switch {
		case v >= 0 && v < size:
			binary.LittleEndian.PutUint32(target, uint32(v-int32(i)))
		case v < 0 && v >= -int32(i):
			binary.LittleEndian.PutUint32(target, uint32(v+size))
		}
		i += 4
	}
}
