package btrfs

import "errors"

var errLZO = errors.New("LZO data are damaged")

// lzo reads LZO1X, which has no description but programs: instructions that
// copy what comes next, or what came before.
type lzo struct {
	src, dst []byte
	in, out  int
	bad      bool
}

func (z *lzo) byte() int {
	if z.in >= len(z.src) {
		z.bad = true
		return 1 // ends loops over zeros
	}
	z.in++
	return int(z.src[z.in-1])
}

// length reads one that continues in further bytes if its bits are zero.
func (z *lzo) length(x, mask int) int {
	n := x & mask
	if n != 0 {
		return n
	}
	for x = z.byte(); x == 0; x = z.byte() {
		n += 255
	}
	return n + mask + x
}

func (z *lzo) literals(n int) {
	if n > len(z.src)-z.in || n > len(z.dst)-z.out {
		z.bad = true
		return
	}
	copy(z.dst[z.out:], z.src[z.in:z.in+n])
	z.in, z.out = z.in+n, z.out+n
}

func (z *lzo) repeat(back, n int) {
	if back > z.out || n > len(z.dst)-z.out {
		z.bad = true
		return
	}
	for range n {
		z.dst[z.out] = z.dst[z.out-back]
		z.out++
	}
}

// lzo1x unpacks src into dst and tells how many bytes that are.
func lzo1x(dst, src []byte) (int, error) {
	z := lzo{src: src, dst: dst}
	// What instructions below 16 mean depends on how many bytes the one before
	// left to be copied: none, one to three, or many.
	const many = 4
	before := 0
	x := z.byte()
	if x > 17 {
		z.literals(x - 17)
		before = min(x-17, many)
		x = z.byte()
	}
	for !z.bad {
		n, back := 0, 0
		switch {
		case x > 63:
			n = x>>5 + 1
			back = z.byte()<<3 + x>>2&7 + 1
		case x > 31:
			n = z.length(x, 31) + 2
			x = z.byte()
			back = z.byte()<<6 + x>>2 + 1
		case x > 15:
			n = z.length(x, 7) + 2
			back = 1<<14 + x&8<<11
			x = z.byte()
			back += z.byte()<<6 + x>>2
			if back == 1<<14 { // the end
				if z.bad || n != 3 {
					return 0, errLZO
				}
				return z.out, nil
			}
		case before == 0:
			z.literals(z.length(x, 15) + 3)
			before = many
			x = z.byte()
			continue
		case before == many:
			n, back = 3, 1<<11+z.byte()<<2+x>>2+1
		default:
			n, back = 2, z.byte()<<2+x>>2+1
		}
		z.repeat(back, n)
		z.literals(x & 3)
		before = x & 3
		x = z.byte()
	}
	return 0, errLZO
}
