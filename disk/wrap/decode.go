package wrap

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip" // a third faster than Go's own
	"github.com/klauspost/compress/zstd"

	"kuva/disk"
)

// inputBuffer is how much is read at a time. gzip and xz find the end of a
// stream to the byte only in a reader that is buffered already.
const inputBuffer = 64 << 10

// gzipReader reads members one behind the other. Zeros behind the last are no
// error, as with gzip(1): tapes and block devices leave them.
type gzipReader struct {
	in *bufio.Reader
	z  *gzip.Reader
}

func newGzip(in io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(in, inputBuffer)
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return &gzipReader{b, z}, nil
}

func (g *gzipReader) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if n > 0 || err != io.EOF {
			if err == io.EOF {
				err = nil // asked for again, with nothing left of this member
			}
			return n, err
		}
		head, err := g.in.Peek(1)
		switch {
		case err != nil:
			return 0, err
		case head[0] == 0:
			return 0, onlyZeros(g.in)
		}
		if err := g.z.Reset(g.in); err != nil {
			if errors.Is(err, gzip.ErrHeader) {
				err = disk.Malform("gzip", "something else follows the stream")
			}
			return 0, noEOF(err)
		}
		g.z.Multistream(false)
	}
}

// onlyZeros reads to the end and gives io.EOF if there was nothing but zeros.
func onlyZeros(r io.Reader) error {
	b := make([]byte, 32<<10)
	for {
		n, err := r.Read(b)
		if !disk.IsZero(b[:n]) {
			return disk.Malform("gzip", "something else follows the stream")
		}
		if err != nil {
			return err
		}
	}
}

// noEOF is an error for streams that end where they must not.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// newBzip2 reads streams one behind the other.
func newBzip2(in io.Reader) io.Reader {
	return bzip2.NewReader(bufio.NewReaderSize(in, inputBuffer))
}

// newZstd reads frames one behind the other, skippable ones too. It decodes
// frames of up to an eighth of the memory: the decoder keeps the window
// several times. RFC 8878 §3.1.1.1.2 recommends 8 MiB.
func newZstd(in io.Reader, memory int64) (io.Reader, func(), error) {
	window := uint64(max(1<<10, min(memory/8, 512<<20)))
	z, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(window), zstd.WithDecoderMaxMemory(1<<62),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, nil, err
	}
	return zstdReader{z}, z.Close, nil
}

type zstdReader struct{ z *zstd.Decoder }

func (z zstdReader) Read(p []byte) (int, error) {
	n, err := z.z.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = disk.Refuse("zstd", disk.ReasonLimit, "the window is larger than allowed")
	}
	return n, err
}
