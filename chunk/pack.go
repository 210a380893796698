package chunk

import (
	"errors"
	"math"

	"github.com/klauspost/compress/zstd"
)

// One encoder and one decoder serve the process: EncodeAll and DecodeAll may be
// called at the same time and share their workers' memory.
var (
	encoder = newEncoder()
	decoder = newDecoder()
)

func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithAllLitEntropyCompression(true), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(Size), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}

// Pack appends p, packed by zstd, to dst, where that saves at least 5 %. Else ok
// is false, and what it returns is only good for its room.
func Pack(dst, p []byte) (packed []byte, ok bool) {
	if len(p) < 64 || looksRandom(p) {
		return dst, false
	}
	at := len(dst)
	dst = encoder.EncodeAll(p, dst)
	return dst, len(dst)-at <= len(p)-len(p)/20
}

// ErrPacked means that packed bytes are damaged, or hold another number of bytes
// than they should.
var ErrPacked = errors.New("packed bytes are damaged")

// Unpack appends the n bytes that packed holds to dst; n is at most Size. It
// takes no more memory than that, whatever packed says.
func Unpack(dst, packed []byte, n int) ([]byte, error) {
	out, err := decoder.DecodeAll(packed, dst[len(dst):])
	if err != nil {
		return nil, errors.Join(ErrPacked, err)
	}
	if len(out) != n {
		return nil, ErrPacked
	}
	return append(dst, out...), nil // onto itself where there was room
}

// looksRandom estimates from a sample whether compression can pay, because
// even a quick encoder costs more than the rest of the way of a random chunk.
func looksRandom(p []byte) bool {
	const piece, pieces = 512, 8
	if len(p) < 4*piece*pieces {
		return false
	}
	var count [256]uint32
	step := len(p) / pieces
	for i := range pieces {
		for _, c := range p[i*step : i*step+piece] {
			count[c]++
		}
	}
	// Shannon entropy in bits a byte; 4,096 random bytes show about 7.95.
	entropy := math.Log2(piece * pieces)
	for _, n := range count {
		if n > 0 {
			entropy -= float64(n) * math.Log2(float64(n)) / (piece * pieces)
		}
	}
	return entropy > 7.9
}
