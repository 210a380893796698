package wrap

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"

	"kuva/disk"
)

// The container is read here ("The .xz File Format" 1.2.1), since the
// dictionary must be bounded before it is made, the index be compared with the
// blocks, and delta filters be known. The blocks' LZMA2 is lzma's work.

const (
	xzMagic  = "\xfd7zXZ\x00"
	xzBuffer = 1 << 20

	filterDelta = 0x03
	filterLZMA2 = 0x21
)

var crc64ECMA = crc64.MakeTable(crc64.ECMA)

// xzInput counts what the container and the decoder take.
type xzInput struct {
	*bufio.Reader
	n int64
}

func (in *xzInput) Read(p []byte) (int, error) {
	n, err := in.Reader.Read(p)
	in.n += int64(n)
	return n, err
}

func (in *xzInput) ReadByte() (byte, error) {
	b, err := in.Reader.ReadByte()
	if err == nil {
		in.n++
	}
	return b, err
}

type xzReader struct {
	in      *xzInput
	memory  int64
	flags   [2]byte
	blocks  uint64
	records hash.Hash // over the sizes of the blocks, to compare the index with
	block   *xzBlock  // nil between blocks
}

// xzBlock is the block that is being read.
type xzBlock struct {
	r            io.Reader // what comes out of the filters
	start, first int64     // where in the input the header and the data begin
	packed, size int64     // as the header says, or -1
	n            int64     // bytes that came out
	check        hash.Hash // nil for none
}

// newXZ reads streams one behind the other.
func newXZ(in io.Reader, memory int64) (io.Reader, error) {
	x := &xzReader{in: &xzInput{Reader: bufio.NewReaderSize(in, xzBuffer)}, memory: memory}
	return x, x.startStream()
}

func (x *xzReader) Read(p []byte) (int, error) {
	for {
		if x.block == nil {
			if err := x.next(); err != nil {
				return 0, err
			}
			continue // the next stream may have no block
		}
		b := x.block
		n, err := b.r.Read(p)
		b.n += int64(n)
		if b.check != nil {
			b.check.Write(p[:n])
		}
		switch {
		case b.size >= 0 && b.n > b.size:
			return 0, broken("a block is longer than it says")
		case err == io.EOF:
			if err := x.endBlock(); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

func broken(what string) error { return disk.Malform("xz", "%s", what) }

// take reads n bytes of the container, at most 1,024.
func (x *xzReader) take(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(x.in, b)
	return b, noEOF(err)
}

// checkSizes by the number in the flags (§2.1.1.2).
var checkSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

// newCheck makes the sum that blocks end with. What is not known could be
// skipped, but then nobody would know whether the data are whole.
func (x *xzReader) newCheck() (hash.Hash, error) {
	switch x.flags[1] {
	case 0:
		return nil, nil
	case 1:
		return crc32.NewIEEE(), nil
	case 4:
		return crc64.New(crc64ECMA), nil
	case 10:
		return sha256.New(), nil
	}
	return nil, disk.Refuse("xz", disk.ReasonFeature, "the check of kind %d is not known", x.flags[1])
}

// startStream reads a stream header (§2.1.1).
func (x *xzReader) startStream() error {
	b, err := x.take(12)
	switch {
	case err != nil:
		return err
	case string(b[:6]) != xzMagic:
		return broken("something else follows the stream")
	case crc32.ChecksumIEEE(b[6:8]) != binary.LittleEndian.Uint32(b[8:]):
		return broken("the stream header is damaged")
	case b[6] != 0 || b[7] > 15:
		return disk.Refuse("xz", disk.ReasonFeature, "stream flags %02x %02x", b[6], b[7])
	}
	x.flags = [2]byte{b[6], b[7]}
	x.blocks, x.records = 0, sha256.New()
	return nil
}

// next begins the next block, or ends the stream and begins the next one. It
// gives io.EOF where there is none.
func (x *xzReader) next() error {
	start := x.in.n
	size, err := x.in.ReadByte()
	switch {
	case err != nil:
		return noEOF(err)
	case size != 0:
		return x.startBlock(start, size)
	}
	if err := x.index(start); err != nil {
		return err
	}
	for { // stream padding (§2.2)
		word, err := x.in.Peek(4)
		switch {
		case len(word) == 0 && err == io.EOF:
			return io.EOF
		case err == io.EOF:
			return broken("something else follows the stream")
		case err != nil:
			return err
		case !disk.IsZero(word):
			return x.startStream()
		}
		if _, err := x.take(4); err != nil {
			return err
		}
	}
}

// startBlock reads a block header (§3.1), the first byte of which is size.
func (x *xzReader) startBlock(start int64, size byte) error {
	rest, err := x.take((int(size)+1)*4 - 1)
	if err != nil {
		return err
	}
	b := append([]byte{size}, rest...)
	body, sum := b[:len(b)-4], b[len(b)-4:]
	flags := b[1]
	switch {
	case crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(sum):
		return broken("a block header is damaged")
	case flags&0x3c != 0:
		return disk.Refuse("xz", disk.ReasonFeature, "block flags %02x", flags)
	}
	block := &xzBlock{start: start, first: start + int64(len(b)), packed: -1, size: -1}
	r := bytes.NewReader(body[2:])
	if flags&0x40 != 0 {
		if block.packed, err = number(r); err != nil || block.packed == 0 {
			return broken("a block header has no size")
		}
	}
	if flags&0x80 != 0 {
		if block.size, err = number(r); err != nil {
			return broken("a block header has no size")
		}
	}
	var deltas []int
	dict := int64(0)
	for left := int(flags&3) + 1; left > 0; left-- {
		id, err := number(r)
		if err != nil {
			return err
		}
		n, err := number(r)
		if err != nil || n > int64(r.Len()) {
			return broken("a filter reaches over the end of its header")
		}
		props := make([]byte, n)
		_, _ = io.ReadFull(r, props) // it has that many
		switch {
		case id == filterLZMA2 && left == 1 && n == 1 && props[0] <= 40:
			dict = min(1<<32-1, (2|int64(props[0])&1)<<(11+props[0]>>1))
		case id == filterDelta && left > 1 && n == 1:
			deltas = append(deltas, int(props[0])+1)
		case id == filterLZMA2 || id == filterDelta:
			return broken("a filter that cannot be so")
		default:
			return disk.Refuse("xz", disk.ReasonFeature, "the filter %#x is not known", id)
		}
	}
	for r.Len() > 0 {
		if pad, _ := r.ReadByte(); pad != 0 {
			return disk.Refuse("xz", disk.ReasonFeature, "a block header holds something unknown")
		}
	}
	if dict == 0 {
		return broken("a block is not packed with LZMA2")
	}
	if dict, err = x.dictionary(dict, block.size); err != nil {
		return err
	}
	if block.r, err = (lzma.Reader2Config{DictCap: int(dict)}).NewReader2(x.in); err != nil {
		return err
	}
	for i := len(deltas) - 1; i >= 0; i-- {
		block.r = &delta{r: block.r, back: make([]byte, deltas[i])}
	}
	if block.check, err = x.newCheck(); err != nil {
		return err
	}
	x.block = block
	return nil
}

// dictionary is how large a dictionary the block needs: what it asks for, or
// its size where that is less. Without it a file of many small blocks would
// have 64 MiB cleared for each.
func (x *xzReader) dictionary(dict, size int64) (int64, error) {
	if dict > x.memory {
		return 0, disk.Refuse("xz", disk.ReasonLimit, "a dictionary of %d bytes, the limit is %d", dict, x.memory)
	}
	if size < 0 {
		size = x.small(dict)
	}
	return max(lzma.MinDictCap, min(dict, size)), nil
}

// small adds up what the chunks of a block unpack to, if the block ends within
// the buffer; where it does not, it gives most.
func (x *xzReader) small(most int64) int64 {
	b, _ := x.in.Peek(x.in.Buffered())
	if sum, ok := chunks(b, most); ok {
		return sum
	}
	// Filling the buffer moves what is in it, so this comes second.
	_, _ = x.in.Peek(xzBuffer) // fewer bytes are fine, and errors come again
	b, _ = x.in.Peek(x.in.Buffered())
	sum, _ := chunks(b, most)
	return sum
}

// chunks adds up what the chunks of LZMA2 at the start of b unpack to. Where
// that is more than most, or the end is not in b, it gives most; ok tells the
// end was found, or something that the decoder will refuse.
func chunks(b []byte, most int64) (sum int64, ok bool) {
	for len(b) > 0 && sum < most {
		skip := 0
		switch c := b[0]; {
		case c == 0 || c > 2 && c < 0x80:
			return sum, true
		case len(b) < 6:
			return most, false
		case c >= 0x80:
			sum += int64(c&0x1f)<<16 + int64(binary.BigEndian.Uint16(b[1:])) + 1
			skip = int(binary.BigEndian.Uint16(b[3:])) + 6
			if c >= 0xc0 {
				skip++
			}
		default:
			n := int(binary.BigEndian.Uint16(b[1:])) + 1
			sum += int64(n)
			skip = n + 3
		}
		if skip >= len(b) {
			return most, false
		}
		b = b[skip:]
	}
	return most, sum >= most
}

// endBlock reads what stands behind a block's data (§3.3, §3.4).
func (x *xzReader) endBlock() error {
	b := x.block
	x.block = nil
	packed := x.in.n - b.first
	switch {
	case b.packed >= 0 && b.packed != packed:
		return broken("a block has another length than it says")
	case b.size >= 0 && b.size != b.n:
		return broken("a block unpacks to another length than it says")
	}
	pad, err := x.take(int(-packed & 3))
	if err != nil {
		return err
	}
	if !disk.IsZero(pad) {
		return broken("the padding of a block is not zero")
	}
	sum, err := x.take(checkSizes[x.flags[1]])
	if err != nil {
		return err
	}
	if b.check != nil {
		want := b.check.Sum(nil)
		if x.flags[1] == 1 || x.flags[1] == 4 { // little endian
			for i, j := 0, len(want)-1; i < j; i, j = i+1, j-1 {
				want[i], want[j] = want[j], want[i]
			}
		}
		if !bytes.Equal(sum, want) {
			return broken("the check of a block is wrong")
		}
	}
	x.blocks++
	x.record(b.first-b.start+packed+int64(len(sum)), b.n)
	return nil
}

func (x *xzReader) record(unpadded, size int64) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(unpadded))
	binary.LittleEndian.PutUint64(b[8:], uint64(size))
	x.records.Write(b[:])
}

// index reads the index behind its first byte, and the footer (§4, §2.1.2).
func (x *xzReader) index(start int64) error {
	sum := crc32.NewIEEE()
	sum.Write([]byte{0})
	r := teeByte{x.in, sum}
	n, err := number(r)
	if err != nil {
		return err
	}
	if uint64(n) != x.blocks {
		return broken("the index has another number of blocks")
	}
	want := x.records.Sum(nil)
	x.records = sha256.New()
	for range n {
		unpadded, err := number(r)
		if err != nil {
			return err
		}
		size, err := number(r)
		if err != nil {
			return err
		}
		x.record(unpadded, size)
	}
	if !bytes.Equal(x.records.Sum(nil), want) {
		return broken("the index has other blocks")
	}
	for (x.in.n-start)&3 != 0 {
		switch pad, err := r.ReadByte(); {
		case err != nil:
			return noEOF(err)
		case pad != 0:
			return broken("the padding of the index is not zero")
		}
	}
	size := x.in.n - start
	b, err := x.take(4 + 12)
	if err != nil {
		return err
	}
	crc, foot := b[:4], b[4:]
	le := binary.LittleEndian
	switch {
	case le.Uint32(crc) != sum.Sum32():
		return broken("the index is damaged")
	case string(foot[10:]) != "YZ" || le.Uint32(foot) != crc32.ChecksumIEEE(foot[4:10]):
		return broken("the stream footer is damaged")
	case (int64(le.Uint32(foot[4:]))+1)*4 != size+4 || [2]byte(foot[8:10]) != x.flags:
		return broken("the stream footer tells another stream")
	}
	return nil
}

// teeByte adds each byte to a sum.
type teeByte struct {
	r   io.ByteReader
	sum hash.Hash
}

func (t teeByte) ReadByte() (byte, error) {
	b, err := t.r.ReadByte()
	if err == nil {
		t.sum.Write([]byte{b})
	}
	return b, err
}

// number reads a number of up to 63 bits in as few bytes as it takes (§1.2).
func number(r io.ByteReader) (int64, error) {
	var n int64
	for i := range 9 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, noEOF(err)
		}
		n |= int64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if b == 0 && i > 0 {
				break
			}
			return n, nil
		}
	}
	return 0, broken("a number is written wrong")
}

// delta adds to each byte the one that came len(back) before it (§5.3.3).
type delta struct {
	r    io.Reader
	back []byte
	at   int
}

func (d *delta) Read(p []byte) (int, error) {
	n, err := d.r.Read(p)
	for i := range p[:n] {
		p[i] += d.back[d.at]
		d.back[d.at] = p[i]
		if d.at++; d.at == len(d.back) {
			d.at = 0
		}
	}
	return n, err
}
