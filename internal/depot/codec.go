package depot

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// One decoder serves the process: DecodeAll may be called at the same time. It
// opens records, too, which are larger than chunks.
var (
	decoderZstd = newDecoder()
	scratch     = sync.Pool{New: func() any { b := make([]byte, 0, 300<<10); return &b }}
)

func newDecoder() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxRecordLen))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}
