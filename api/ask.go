package api

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"kuva/chunk"
)

// The bodies of an upload that asks first. An ask says what a part of a disk is
// made of:
//
//	"kuvaask1"                          8 bytes
//	off                                 uvarint: where the part begins in the disk
//	size                                uvarint: its bytes, holes included, above 0
//	entries, to the end of the body:
//	    length × 2 + 1                  uvarint: a hole of so many zeros
//	    length × 2, BLAKE3 (32 bytes)   uvarint and hash: a chunk of so many bytes
//
// uvarint is the unsigned LEB128 of protocol buffers, in its shortest form. The
// lengths add up to size, and no two holes follow each other, so that one
// content has one ask. What is sent then are frames, one for each lacking
// chunk in order:
//
//	length × 2 + packed                 uvarint: bytes that follow, and whether they are packed
//	bytes                               the chunk, or one frame of zstd that holds it

// What a part may have. A body within these bounds is at most MostAsk long.
const (
	MostPartData   = 64 << 20 // bytes of chunks
	MostPartChunks = 4096
	MostAsk        = 8 + 20 + MostPartChunks*(32+3) + (MostPartChunks+1)*10
)

const (
	askMagic    = "kuvaask1"
	finishMagic = "kuvaupl1"
)

// AskMedia is the media type of an ask, ChunksMedia that of the chunks.
const (
	AskMedia    = "application/vnd.kuva.ask"
	ChunksMedia = "application/vnd.kuva.chunks"
)

// ErrAsk means that bytes are no ask, or no frames, of this form.
var ErrAsk = errors.New("malformed")

// AskEntry is a chunk or a hole of a part.
type AskEntry struct {
	Hash chunk.Hash // of a chunk
	Len  int64
	Hole bool
}

// AskedPart is an ask that was read.
type AskedPart struct {
	Off, Size int64
	Data      int64 // bytes in chunks
	Chunks    int
	Entries   []AskEntry
	Digest    chunk.Hash // BLAKE3 of the ask
}

// EncodeAsk writes the ask of a part. It trusts its entries.
func EncodeAsk(off int64, entries []AskEntry) []byte {
	size := int64(0)
	for _, e := range entries {
		size += e.Len
	}
	b := append(make([]byte, 0, 32+len(entries)*36), askMagic...)
	b = binary.AppendUvarint(b, uint64(off))  //nolint:gosec // offsets and lengths are never negative
	b = binary.AppendUvarint(b, uint64(size)) //nolint:gosec // the same
	for _, e := range entries {
		if e.Hole {
			b = binary.AppendUvarint(b, uint64(e.Len)<<1|1) //nolint:gosec // the same
			continue
		}
		b = binary.AppendUvarint(b, uint64(e.Len)<<1) //nolint:gosec // the same
		b = append(b, e.Hash[:]...)
	}
	return b
}

// DecodeAsk reads an ask and holds it to all bounds. Its errors wrap ErrAsk.
func DecodeAsk(b []byte) (*AskedPart, error) {
	if len(b) > MostAsk {
		return nil, fmt.Errorf("%w ask: %d bytes", ErrAsk, len(b))
	}
	p := &AskedPart{Digest: chunk.Sum(b)}
	rest, ok := bytes.CutPrefix(b, []byte(askMagic))
	if !ok {
		return nil, fmt.Errorf("%w ask: it does not begin with %s", ErrAsk, askMagic)
	}
	number := func() uint64 {
		v, n := binary.Uvarint(rest)
		if n <= 0 || n > 1 && rest[n-1] == 0 { // cut short, too large, or not the shortest form
			ok = false
			return 0
		}
		rest = rest[n:]
		return v
	}
	off, size := number(), number()
	if !ok || off > math.MaxInt64 || size == 0 || size > math.MaxInt64-off {
		return nil, fmt.Errorf("%w ask: offset or size", ErrAsk)
	}
	p.Off, p.Size = int64(off), int64(size)
	left := size
	for len(rest) > 0 {
		v := number()
		e := AskEntry{Hole: v&1 != 0}
		n := v >> 1
		switch {
		case !ok || n == 0 || n > left:
			return nil, fmt.Errorf("%w ask: length of entry %d", ErrAsk, len(p.Entries))
		case e.Hole && len(p.Entries) > 0 && p.Entries[len(p.Entries)-1].Hole:
			return nil, fmt.Errorf("%w ask: entry %d is one more hole", ErrAsk, len(p.Entries))
		case !e.Hole && (n > chunk.Size || len(rest) < len(e.Hash)):
			return nil, fmt.Errorf("%w ask: entry %d is a chunk of %d bytes", ErrAsk, len(p.Entries), n)
		}
		left -= n
		e.Len = int64(n) //nolint:gosec // at most size
		if !e.Hole {
			copy(e.Hash[:], rest)
			rest = rest[len(e.Hash):]
			p.Data += e.Len
			if p.Chunks++; p.Chunks > MostPartChunks || p.Data > MostPartData {
				return nil, fmt.Errorf("%w ask: more than %d chunks or %d bytes of data", ErrAsk, MostPartChunks, MostPartData)
			}
		}
		p.Entries = append(p.Entries, e)
	}
	if left != 0 {
		return nil, fmt.Errorf("%w ask: %d bytes are not described", ErrAsk, left)
	}
	return p, nil
}

// FinishDigest is what a whole upload is checked by: BLAKE3 of "kuvaupl1" and
// the digests of its parts, in the order of their offsets.
func FinishDigest(parts []chunk.Hash) chunk.Hash {
	b := append(make([]byte, 0, 8+32*len(parts)), finishMagic...)
	for _, p := range parts {
		b = append(b, p[:]...)
	}
	return chunk.Sum(b)
}

// AppendFrame appends the frame of a chunk to dst, packed where that pays.
func AppendFrame(dst, data []byte) []byte {
	head := binary.AppendUvarint(nil, uint64(len(data))<<1)
	at := len(dst)
	dst = append(dst, head...)
	packed, ok := chunk.Pack(dst, data)
	if !ok {
		return append(dst[:at+len(head)], data...)
	}
	// The head of the packed bytes may be shorter.
	n := len(packed) - at - len(head)
	short := binary.AppendUvarint(nil, uint64(n)<<1|1) //nolint:gosec // not negative
	if len(short) < len(head) {
		copy(packed[at+len(short):], packed[at+len(head):])
		packed = packed[:at+len(short)+n]
	}
	copy(packed[at:], short)
	return packed
}

// FrameReader reads frames. Whatever it is fed, it holds no more than a chunk's
// worth of them, and unpacks no more than the length that it expects.
type FrameReader struct {
	r   io.ByteReader
	in  io.Reader
	buf []byte
}

// NewFrameReader reads from r, which should be buffered.
func NewFrameReader(r interface {
	io.Reader
	io.ByteReader
},
) *FrameReader {
	return &FrameReader{r: r, in: r}
}

// Next reads the next chunk, which has n bytes, 1 to chunk.Size, appended to
// dst. ErrAsk for a frame that is none or holds another number of bytes;
// io.ErrUnexpectedEOF where it is cut short. Whether they are the chunk's is the
// caller's to check.
func (f *FrameReader) Next(dst []byte, n int) ([]byte, error) {
	head, err := f.head()
	if err != nil {
		return nil, err
	}
	size := int(head >> 1) //nolint:gosec // head is below 2^24
	if head&1 == 0 {
		if size != n {
			return nil, fmt.Errorf("%w frame: %d bytes for a chunk of %d", ErrAsk, size, n)
		}
		at := len(dst)
		dst = append(dst, make([]byte, n)...)
		_, err := io.ReadFull(f.in, dst[at:])
		return dst, short(err)
	}
	if size == 0 || size >= n {
		return nil, fmt.Errorf("%w frame: %d packed bytes for a chunk of %d", ErrAsk, size, n)
	}
	if cap(f.buf) < size {
		f.buf = make([]byte, chunk.Size)
	}
	packed := f.buf[:size]
	if _, err := io.ReadFull(f.in, packed); err != nil {
		return nil, short(err)
	}
	out, err := chunk.Unpack(dst, packed, n)
	if err != nil {
		return nil, fmt.Errorf("%w frame: %w", ErrAsk, err)
	}
	return out, nil
}

// head reads a number of at most three bytes.
func (f *FrameReader) head() (uint64, error) {
	var v uint64
	for i := range 3 {
		b, err := f.r.ReadByte()
		if err != nil {
			return 0, short(err)
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if b == 0 && i > 0 {
				break
			}
			return v, nil
		}
	}
	return 0, fmt.Errorf("%w frame: its length", ErrAsk)
}

// End returns nil where nothing follows.
func (f *FrameReader) End() error {
	_, err := f.r.ReadByte()
	switch {
	case err == nil:
		return fmt.Errorf("%w frame: one too many", ErrAsk)
	case errors.Is(err, io.EOF):
		return nil
	}
	return err
}

func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
