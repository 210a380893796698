package disk

import (
	"context"
	"io"
	"iter"
	"runtime"

	"golang.org/x/sync/errgroup"
)

const (
	// piece is how much of a disk is read at a time, on offsets that are
	// multiples of it. Larger pieces were not faster.
	piece = 1 << 20
	// grain is the least stretch of zeros that is left out of a file, as
	// qemu-img's -S 4k does.
	grain = 4 << 10
)

// CopyOptions are choices for Copy. The zero value is good.
type CopyOptions struct {
	// Workers is how many pieces are read and written at a time; 0 means two
	// for every processor, at most 16. Each needs 1 MiB.
	Workers int
	// Full writes zeros and holes too, instead of leaving them out.
	Full bool
	// Progress is called now and then, never twice at once, with the bytes
	// of the disk that are done, holes included.
	Progress func(done, total int64)
}

// Copy writes all bytes of a disk, or of a view, into an empty file and gives
// it its length. Holes and stretches of zeros are left out, so that they take
// no space where the file system knows holes. It returns how many bytes it
// wrote. After an error the file holds a part.
func Copy(ctx context.Context, dst Target, src Disk, o CopyOptions) (int64, error) {
	size := src.Size()
	if err := dst.Truncate(size); err != nil {
		return 0, err
	}
	workers := o.Workers
	if workers <= 0 {
		workers = min(16, 2*runtime.GOMAXPROCS(0))
	}
	jobs := make(chan Extent)
	written := make([]int64, workers)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(jobs)
		for e, err := range pieces(ctx, src, o.Full) {
			if err != nil {
				return err
			}
			if o.Progress != nil {
				o.Progress(e.Off, size)
			}
			select {
			case jobs <- e:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for i := range workers {
		g.Go(func() error {
			buf := make([]byte, piece)
			for e := range jobs {
				p := buf[:e.Len]
				if err := ReadFull(src, p, e.Off); err != nil {
					return err
				}
				n, err := writeSparse(dst, p, e.Off, o.Full)
				written[i] += n
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	var sum int64
	for _, n := range written {
		sum += n
	}
	if err == nil && o.Progress != nil {
		o.Progress(size, size)
	}
	return sum, err
}

// pieces cuts the data of a disk, or all of it, on the grid of pieces. Extents
// that share a piece are read in one go.
func pieces(ctx context.Context, d Disk, all bool) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		var next Extent // what has been found of a piece and not yet been given out
		for e, err := range d.Extents(ctx, 0, d.Size()) {
			if err != nil {
				yield(Extent{}, err)
				return
			}
			if e.Kind != Data && !all {
				continue
			}
			for off := e.Off; off < e.End(); {
				end := min(e.End(), (off/piece+1)*piece)
				if next.Len > 0 && off < (next.Off/piece+1)*piece && off-next.End() < grain {
					next.Len = end - next.Off
				} else {
					if next.Len > 0 && !yield(next, nil) {
						return
					}
					next = Extent{Off: off, Len: end - off}
				}
				off = end
			}
		}
		if next.Len > 0 {
			yield(next, nil)
		}
	}
}

// writeSparse writes p without its zero grains and tells how much it wrote.
func writeSparse(dst io.WriterAt, p []byte, off int64, full bool) (written int64, err error) {
	for i := 0; i < len(p); {
		first := i
		for i < len(p) {
			end := min(len(p), i+grain-int(off+int64(i))%grain)
			if !full && IsZero(p[i:end]) {
				break
			}
			i = end
		}
		if i > first {
			n, err := dst.WriteAt(p[first:i], off+int64(first))
			written += int64(n)
			if err != nil {
				return written, err
			}
			continue
		}
		i = min(len(p), i+grain-int(off+int64(i))%grain)
	}
	return written, nil
}
