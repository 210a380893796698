package disk

import (
	"context"
	"iter"
)

// Overlay is a base with changed blocks on top: where top has a Hole the base
// shows through, Data and Zero of top hide it. The size is top's; behind its
// end the base counts as a hole. Extents of the base have At = Nowhere, since
// their bytes do not lie in top's file.
func Overlay(base, top Disk) Disk { return &overlay{base: base, top: top} }

type overlay struct{ base, top Disk }

// Unwrap gives the top disk.
func (o *overlay) Unwrap() Disk { return o.top }

func (o *overlay) Size() int64 { return o.top.Size() }

func (o *overlay) ReadAt(p []byte, off int64) (int, error) {
	return ReadAtFunc(p, off, o.Size(), func(p []byte, off int64) error {
		for e, err := range o.top.Extents(context.Background(), off, int64(len(p))) {
			if err != nil {
				return err
			}
			part := p[e.Off-off : e.End()-off]
			switch e.Kind {
			case Data:
				err = ReadFull(o.top, part, e.Off)
			case Zero:
				clear(part)
			case Hole:
				err = readOrZero(o.base, part, e.Off)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (o *overlay) Extents(ctx context.Context, off, n int64) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		for e, err := range o.top.Extents(ctx, off, n) {
			if err != nil {
				yield(Extent{}, err)
				return
			}
			if e.Kind != Hole {
				if !yield(e, nil) {
					return
				}
				continue
			}
			at := e.Off
			for b, err := range o.base.Extents(ctx, e.Off, e.Len) {
				if err != nil {
					yield(Extent{}, err)
					return
				}
				b.At = Nowhere
				at = b.End()
				if !yield(b, nil) {
					return
				}
			}
			if at < e.End() && !yield(Extent{Off: at, Len: e.End() - at, Kind: Hole, At: Nowhere}, nil) {
				return
			}
		}
	}
}

// readOrZero reads from a disk that may be shorter than asked for.
func readOrZero(d Disk, p []byte, off int64) error {
	_, n := Clamp(off, int64(len(p)), d.Size())
	clear(p[n:])
	return ReadFull(d, p[:n], off)
}
