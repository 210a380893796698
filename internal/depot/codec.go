package depot

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// One encoder and one decoder serve the process: EncodeAll and DecodeAll may be
// called at the same time and share their workers' memory.
var (
	encoderZstd = newEncoder()
	decoderZstd = newDecoder()
	scratch     = sync.Pool{New: func() any { b := make([]byte, 0, 300<<10); return &b }}
)

func newEncoder() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithAllLitEntropyCompression(true), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxRecordLen))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}
