package wrap

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"iter"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"kuva/disk"
	"kuva/disk/internal/ordered"
)

// Gzip writes raw disks as gzip files of one member for every MiB, which all
// readers take for one stream (RFC 1952 §2.2).
var Gzip = &disk.Format{
	Name: "raw.gz", Aliases: []string{"gz"},
	Open: notHere, Stream: newStream(1<<20, gzipPacker),
	Settings: []disk.Setting{{Key: "level", Help: "1 (quick) to 9 (small); default 6"}},
}

// Zstd writes raw disks as zstd files of one frame for every MiB, which all
// readers take for one stream (RFC 8878 §3.1).
var Zstd = &disk.Format{
	Name: "raw.zst", Aliases: []string{"zst"},
	Open: notHere, Stream: newStream(1<<20, zstdPacker),
	Settings: []disk.Setting{{Key: "level", Help: "1 (quick) to 19 (small); default 3"}},
}

// notHere stands for what needs room to unpack: disk/source does it.
func notHere(context.Context, io.ReaderAt, int64, disk.OpenOptions) (disk.Disk, error) {
	return nil, disk.Refuse("", disk.ReasonUnsupported, "a compressed stream cannot be read anywhere; it must be unpacked first")
}

// packer makes of some bytes a stream that stands alone, behind out. It is used
// from one goroutine at a time.
type packer func(out, p []byte) ([]byte, error)

// level reads the setting.
func level(s disk.Settings, format string, most, def int) (int, error) {
	text, ok := s["level"]
	if !ok {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, disk.Refuse(format, disk.ReasonSetting, "level=%q is none of 1 to %d", text, most)
	}
	return n, nil
}

func gzipPacker(s disk.Settings) (func() packer, error) {
	n, err := level(s, "raw.gz", 9, 6)
	return func() packer {
		z, err := gzip.NewWriterLevel(nil, n)
		return func(out, p []byte) ([]byte, error) {
			if err != nil {
				return nil, err
			}
			b := bytes.NewBuffer(out)
			z.Reset(b)
			if _, err := z.Write(p); err != nil {
				return nil, err
			}
			err := z.Close()
			return b.Bytes(), err
		}
	}, err
}

func zstdPacker(s disk.Settings) (func() packer, error) {
	n, err := level(s, "raw.zst", 19, 3)
	return func() packer {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(n)), zstd.WithEncoderConcurrency(1),
			zstd.WithZeroFrames(true), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
		return func(out, p []byte) ([]byte, error) {
			if err != nil {
				return nil, err
			}
			return z.EncodeAll(p, out), nil
		}
	}, err
}

// newStream makes the Stream of a format that packs so many bytes at a time.
func newStream(block int64, packers func(disk.Settings) (func() packer, error)) func(context.Context, disk.Disk, disk.Settings) (disk.Stream, error) {
	return func(_ context.Context, d disk.Disk, s disk.Settings) (disk.Stream, error) {
		if err := s.Known("", []disk.Setting{{Key: "level"}}); err != nil {
			return nil, err
		}
		fresh, err := packers(s)
		if err != nil {
			return nil, err
		}
		return &stream{d: d, block: block, fresh: fresh}, nil
	}
}

type stream struct {
	d     disk.Disk
	block int64
	fresh func() packer
}

// WriteTo implements disk.Stream. One pass is enough for pipes too.
func (s *stream) WriteTo(ctx context.Context, w io.Writer) (int64, error) {
	if f, ok := w.(disk.Target); ok {
		if err := f.Truncate(0); err != nil {
			return 0, err
		}
		w = io.NewOffsetWriter(f, 0)
	}
	var packers, buffers sync.Pool
	zeros, err := s.fresh()(nil, make([]byte, min(s.block, s.d.Size())))
	if err != nil {
		return 0, err
	}
	work := func(ctx context.Context, off int64) ([]byte, error) {
		n := min(s.block, s.d.Size()-off)
		empty, err := isEmpty(ctx, s.d, off, n)
		if err != nil {
			return nil, err
		}
		whole := n == s.block || off == 0 // as long as zeros is
		if empty && whole {
			return zeros, nil
		}
		buf, _ := buffers.Get().(*[]byte)
		if buf == nil {
			b := make([]byte, s.block)
			buf = &b
		}
		defer buffers.Put(buf)
		data := (*buf)[:n]
		if err := disk.ReadFull(s.d, data, off); err != nil {
			return nil, err
		}
		if whole && disk.IsZero(data) {
			return zeros, nil
		}
		p, _ := packers.Get().(packer)
		if p == nil {
			p = s.fresh()
		}
		defer packers.Put(p)
		return p(nil, data)
	}
	o := bufio.NewWriterSize(w, 1<<20)
	sum := int64(0)
	emit := func(b []byte) error {
		n, err := o.Write(b)
		sum += int64(n)
		return err
	}
	if err := ordered.Map(ctx, ordered.Workers(0), s.offsets(), work, emit); err != nil {
		return sum, err
	}
	return sum, o.Flush()
}

// offsets are where blocks begin. A disk of no bytes has one block of none,
// since a file without any stream is no file of these formats.
func (s *stream) offsets() iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for off := int64(0); off < max(1, s.d.Size()); off += s.block {
			if !yield(off, nil) {
				return
			}
		}
	}
}

// isEmpty tells that a stretch of a disk holds no data, without reading it.
func isEmpty(ctx context.Context, d disk.Disk, off, n int64) (bool, error) {
	for e, err := range d.Extents(ctx, off, n) {
		if err != nil || e.Kind == disk.Data {
			return false, err
		}
	}
	return true, nil
}
