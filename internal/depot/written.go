package depot

import (
	"context"
	"errors"
	"iter"

	"kuva/chunk"
)

// errWritten is what a write gets after Written.
var errWritten = errors.New("write to an object that was ended")

// Written ends the taking of bytes and opens what was written, before it is
// committed: whoever must look at content before it counts reads it here.
// Packs are durable when it returns; the writer's lease keeps them and those
// that it reuses, so the object may be read until Commit or Abort and not
// longer. Bytes written after it make Commit fail. Every byte read was verified. A lease that was lost meanwhile shows
// as ErrGone or as bytes that are not found, and lets Commit fail. Nobody else
// can open the object: no row points at it. After an error the writer must be
// aborted.
func (w *Writer) Written() (*Object, error) {
	if err := w.cut.Cut(); err != nil {
		return nil, err
	}
	if err := w.send(); err != nil {
		return nil, err
	}
	if err := w.end(); err != nil {
		return nil, err
	}
	w.cut.Emit = func(chunk.Piece) error { return errWritten }
	r := &root{Object: w.object, Gen: 1, Kind: w.opt.Kind, Size: w.Size(), View: w.opt.View, Stored: w.stored, Segments: w.segments}
	return &Object{d: w.d, ref: w.object, gen: r}, nil
}

// Stored is how many sealed bytes the object refers to.
func (o *Object) Stored() int64 { return o.current().Stored }

// Run is a stretch of an object that is stored, or that is a hole.
type Run struct {
	Off, Len int64
	Hole     bool
}

// Runs tells in ascending order, without a gap, what of the n bytes from off is
// stored and what reads as zeros because nothing is. Neighbours differ in kind.
// Only the recipe is read, a segment at a time. An error ends the sequence and
// comes with the zero Run.
func (o *Object) Runs(ctx context.Context, off, n int64) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		r := o.current()
		end := off + min(n, r.Size-off)
		var run Run
		for off >= 0 && off < end {
			err := ctx.Err()
			var pc piece
			if err == nil {
				pc, err = o.d.pieceAt(ctx, r, off)
			}
			if isNotFound(err) {
				if r, err = o.newer(ctx, r); err == nil {
					continue
				}
			}
			if err != nil {
				yield(Run{}, err)
				return
			}
			length, hole := min(pc.n, end-off), pc.entry.Hole > 0
			if run.Len > 0 && run.Hole == hole {
				run.Len += length
			} else {
				if run.Len > 0 && !yield(run, nil) {
					return
				}
				run = Run{Off: off, Len: length, Hole: hole}
			}
			off += length
		}
		if run.Len > 0 {
			yield(run, nil)
		}
	}
}
