package btrfs

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"

	"kuva/disk"
)

// unpack fills dst with a compressed extent. What is missing at its end are
// zeros.
func (f *FS) unpack(method uint8, dst, src []byte) error {
	n, err := 0, error(nil)
	switch method {
	case methodZlib:
		n, err = inflate(dst, src)
	case methodZstd:
		n, err = unzstd(dst, src)
	case methodLZO:
		n, err = f.unlzo(dst, src)
	}
	if err != nil {
		return &disk.Malformed{Format: format, Detail: "a compressed extent is damaged", Err: err}
	}
	clear(dst[n:])
	return nil
}

func inflate(dst, src []byte) (int, error) {
	r, err := zlib.NewReader(bytes.NewReader(src))
	if err != nil {
		return 0, err
	}
	return fill(dst, r)
}

var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options are wrong
	}
	return d
}}

// unzstd unpacks the one frame that src begins with; zeros follow it.
func unzstd(dst, src []byte) (int, error) {
	d := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(d)
	out, err := d.DecodeAll(src, dst[:0:len(dst)])
	if len(out) > 0 && errors.Is(err, zstd.ErrMagicMismatch) {
		err = nil
	}
	return len(out), err
}

// fill reads until dst is full or r ends. The rest of the sector behind the
// packed data means nothing, so what comes behind a full dst is not read.
func fill(dst []byte, r io.Reader) (int, error) {
	n, err := io.ReadFull(r, dst)
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		err = nil
	}
	return n, err
}

// unlzo unpacks segments of a sector each. All lengths are in front; none of
// these lies across the end of a sector.
func (f *FS) unlzo(dst, src []byte) (int, error) {
	if len(src) < 4 {
		return 0, io.ErrUnexpectedEOF
	}
	total := int(binary.LittleEndian.Uint32(src))
	if total < 4 || total > len(src) {
		return 0, io.ErrUnexpectedEOF
	}
	src = src[:total]
	n, at := 0, 4
	for at < total && n < len(dst) {
		if left := int(f.sectorSize) - at%int(f.sectorSize); left < 4 {
			at += left
		}
		if total-at < 4 {
			break
		}
		length := int(binary.LittleEndian.Uint32(src[at:]))
		at += 4
		if length > total-at {
			return 0, io.ErrUnexpectedEOF
		}
		k, err := lzo1x(dst[n:min(n+int(f.sectorSize), len(dst))], src[at:at+length])
		if err != nil {
			return 0, err
		}
		n, at = n+k, at+length
	}
	return n, nil
}
