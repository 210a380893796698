package vmdk

import (
	"bytes"
	"encoding/binary"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"

	"kuva/disk"
)

// grainHeader is the length of a grain's marker: its first sector on the disk
// (8 bytes) and the number of compressed bytes that follow (4).
const grainHeader = 12

// packedSize reads the marker of grain i and gives the length of its bytes.
func (x *sparse) packedSize(i, at int64) (int64, error) {
	var b [grainHeader]byte
	if err := disk.ReadFull(x.r, b[:], at); err != nil {
		return 0, err
	}
	if lba := binary.LittleEndian.Uint64(b[:]); lba != uint64(i)*x.Grain {
		return 0, disk.Malform(name, "grain %d is said to be at %d, where the one of sector %d is", i, at, lba)
	}
	n := int64(binary.LittleEndian.Uint32(b[8:]))
	// Deflate makes nothing much longer.
	if n == 0 || n > x.grain+x.grain/8+1024 || at+grainHeader+n > x.size {
		return 0, disk.Malform(name, "grain %d has %d compressed bytes", i, n)
	}
	return n, nil
}

var readers sync.Pool

// unpack reads and decompresses grain i.
func (x *sparse) unpack(i, at int64) ([]byte, error) {
	n, err := x.packedSize(i, at)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	if err := disk.ReadFull(x.r, b, at+grainHeader); err != nil {
		return nil, err
	}
	broken := func(err error) error {
		return &disk.Malformed{Format: name, Detail: "a compressed grain", Err: err}
	}
	z, _ := readers.Get().(io.ReadCloser)
	if z == nil {
		z, err = zlib.NewReader(bytes.NewReader(b))
	} else {
		err = z.(zlib.Resetter).Reset(bytes.NewReader(b), nil)
	}
	if err != nil {
		return nil, broken(err)
	}
	defer readers.Put(z)
	out := make([]byte, x.grain)
	got, err := io.ReadFull(z, out)
	switch err {
	case nil:
		// The checksum comes at the end, and nothing may follow.
		if more, err := io.ReadFull(z, make([]byte, 1)); more > 0 {
			return nil, disk.Malform(name, "grain %d is longer than a grain", i)
		} else if err != io.EOF {
			return nil, broken(err)
		}
	case io.EOF, io.ErrUnexpectedEOF:
		// The last grain may end with the disk. A stream that is cut off
		// gives the same error as one that ends here.
		if int64(got) < min(x.grain, x.length-i*x.grain) {
			return nil, disk.Malform(name, "grain %d has %d bytes only", i, got)
		}
	default:
		return nil, broken(err)
	}
	return out, nil
}
