package chunk

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Block is the unit in which a Lattice looks at a disk: the cluster of qcow2
// and the grain of VMDK as they are made nearly everywhere, and a divisor of
// the blocks of VDI, VHD and VHDX.
const Block = 64 << 10

// edge is how much of a block is looked at on either side of a boundary. Guests
// that leave a part of a file system's block unused leave zeros there.
const edge = 512

// Sink is what a Lattice cuts: a Cutter, or a writer that has one.
type Sink interface {
	Write(p []byte) (int, error)
	Cut() error
	Skip(n int64) error
}

// Lattice cuts the file of a virtual disk so that the same disk in another
// uncompressed format gives the same pieces. Formats lay the blocks of a disk
// one behind the other, in the disk's order, and leave out those without data;
// so the same blocks follow each other in every such file, with other things in
// between. Where to cut is therefore decided by the blocks alone, between each
// two:
//
//	… data │ zeros        cut: here another format leaves something out
//	zeros  │ data …       cut
//	… data │ data …       cut if the left one's last bytes say so, one time in eight
//
// The Sink cuts what has become longer than Size. After a difference, such as a
// table in the middle of one of the files, the pieces are the same again from
// the next cut on, half a megabyte later in the mean. Blocks of nothing but zeros
// are holes of their own.
//
// Blocks begin at Start and, where Stride is greater than 0, anew every Stride
// bytes from there behind Prefix bytes that are no data (the bitmaps of a
// VHD). What lies before Start is left to the Sink's grid. The zero value cuts
// a raw disk. It is used by one goroutine.
type Lattice struct {
	To     Sink
	Start  int64
	Stride int64
	Prefix int64

	off  int64
	tail []byte // the last bytes of the block before off, while they may matter
	head []byte // bytes taken and not passed on: the beginning of a block
}

// Write adds p to the file.
func (l *Lattice) Write(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		next, atBlock := l.boundary(l.off)
		if atBlock && len(l.tail) == edge {
			// Whether to cut is seen by the next block's first bytes.
			if rest := p[n:]; len(l.head) == 0 && len(rest) >= edge {
				if err := l.decide(rest[:edge]); err != nil {
					return n, err
				}
			} else {
				k := min(edge-len(l.head), len(rest))
				l.head = append(l.head, rest[:k]...)
				n += k
				if len(l.head) < edge {
					return n, nil
				}
				if err := l.release(); err != nil {
					return n, err
				}
			}
			continue
		}
		k := int(min(int64(len(p)-n), next-l.off))
		if err := l.pass(p[n : n+k]); err != nil {
			return n, err
		}
		n += k
		if l.off == next {
			if err := l.arrived(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// Skip adds n zeros to the file, in a time that hardly depends on n, and cuts
// as if they had been written.
func (l *Lattice) Skip(n int64) error {
	if n < 0 {
		return fmt.Errorf("%d zeros", n)
	}
	for n > 0 {
		at := l.off + int64(len(l.head)) - l.Start
		if l.Stride == 0 && at >= 0 && at%Block == 0 && n >= Block { // then nothing is held
			k := n - n%Block
			if err := l.skip(k); err != nil {
				return err
			}
			n -= k
			continue
		}
		k := Block - at%Block // to where a block begins
		if at < 0 {
			k = min(Block, -at)
		}
		k = min(k, n)
		if _, err := l.Write(zeros[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// skip adds whole blocks of zeros.
func (l *Lattice) skip(n int64) error {
	if err := l.To.Cut(); err != nil {
		return err
	}
	if err := l.To.Skip(n); err != nil {
		return err
	}
	l.off += n
	l.tail = append(l.tail[:0], zeros[:edge]...)
	return nil
}

var zeros [Block]byte

// Flush passes on what is held back. The file's end needs it.
func (l *Lattice) Flush() error {
	if len(l.head) > 0 {
		return l.release()
	}
	return nil
}

// release decides by the held bytes and passes them on.
func (l *Lattice) release() error {
	head := l.head
	l.head = l.head[:0]
	if err := l.decide(head); err != nil {
		return err
	}
	return l.pass(head)
}

// boundary finds the next place behind off where something begins or ends, and
// tells whether off itself lies between two blocks of data.
func (l *Lattice) boundary(off int64) (next int64, between bool) {
	if off < l.Start {
		return l.Start, false
	}
	at := off - l.Start
	begin := l.Start // of the run of blocks
	if l.Stride > 0 {
		begin += at / l.Stride * l.Stride
		at %= l.Stride
		if at < l.Prefix {
			return begin + l.Prefix, false
		}
		at -= l.Prefix
	}
	next = off - at%Block + Block
	if l.Stride > 0 {
		next = min(next, begin+l.Stride)
	}
	return next, at > 0 && at%Block == 0
}

// arrived is called where boundary said: data begin or end.
func (l *Lattice) arrived() error {
	if _, between := l.boundary(l.off); between {
		return nil
	}
	l.tail = l.tail[:0]
	return l.To.Cut()
}

// decide cuts before a block that begins with head, or does not.
func (l *Lattice) decide(head []byte) error {
	cut := IsZero(l.tail) || IsZero(head) || mark(l.tail)
	l.tail = l.tail[:0]
	if cut {
		return l.To.Cut()
	}
	return nil
}

// mark is true for one in eight ends of blocks.
func mark(tail []byte) bool {
	h := uint64(0)
	for b := tail[len(tail)-64:]; len(b) > 0; b = b[8:] {
		h = bits.RotateLeft64(h^binary.LittleEndian.Uint64(b), 29) * 0x9e3779b97f4a7c15
	}
	return h>>61 == 0
}

// pass writes p and remembers its end.
func (l *Lattice) pass(p []byte) error {
	if _, err := l.To.Write(p); err != nil {
		return err
	}
	l.off += int64(len(p))
	if len(p) >= edge {
		l.tail = append(l.tail[:0], p[len(p)-edge:]...)
		return nil
	}
	l.tail = append(l.tail, p...)
	if len(l.tail) > edge {
		l.tail = l.tail[:copy(l.tail, l.tail[len(l.tail)-edge:])]
	}
	return nil
}
