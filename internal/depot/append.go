package depot

import (
	"errors"
	"fmt"
	"io"
)

// refsMost is how many chunks that are referred to a window holds: enough that
// most of an object's packs are leased together.
const refsMost = 256

// Append adds the n bytes of o from off by reference: chunks that lie wholly
// inside are taken over as they are stored, holes stay holes, and what of a
// chunk lies at a border is read and cut anew. Nothing else is read, unless a
// chunk cannot be referred to: its pack is on its way out or suspect, or it is
// sealed for another realm than the writer's and the platform's, or under an
// older key. Then its bytes are read and stored like written ones.
//
// Append counts as a Write of those bytes with a Cut before and behind each
// chunk and hole that was taken over. o must stay readable until Append and
// what is written after it came through, that is until Commit or Written; an
// object that is deleted meanwhile may let Commit fail with ErrGone. o may be
// of another writer's Written.
func (w *Writer) Append(o *Object, off, n int64) error {
	r := o.current()
	if off < 0 || n < 0 || off > r.Size-n {
		return fmt.Errorf("append %d bytes at %d of an object of %d: %w", n, off, r.Size, io.ErrUnexpectedEOF)
	}
	for end := off + n; off < end; {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		pc, err := w.d.pieceAt(w.ctx, r, off)
		if isNotFound(err) {
			if r, err = o.newer(w.ctx, r); err == nil {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("append object %016x at %d: %w", o.ref, off, err)
		}
		length := min(pc.n, end-off)
		switch {
		case pc.entry.Hole > 0:
			err = errors.Join(w.cut.Cut(), w.cut.Skip(length), w.cut.Cut())
		case pc.skip == 0 && length == pc.n:
			err = w.appendChunk(o, pc)
		default:
			err = w.appendBytes(o, off, int(length))
		}
		if err != nil {
			return err
		}
		off += length
	}
	return nil
}

// appendChunk puts a reference into the window.
func (w *Writer) appendChunk(o *Object, pc piece) error {
	if err := w.cut.Pass(pc.n); err != nil {
		return err
	}
	it := item{plain: int(pc.n), loc: pc.entry.Loc, found: true, from: o, off: pc.off}
	if it.loc.Pack.Realm == w.keys.realm {
		it.name = pc.entry.Name
	} else {
		it.other = pc.entry.Name
	}
	w.window = append(w.window, it)
	if w.refs++; w.refs == refsMost {
		return w.send()
	}
	return nil
}

// appendBytes writes a part of a chunk.
func (w *Writer) appendBytes(o *Object, off int64, n int) error {
	buf := plainBufs.Get().(*[]byte)
	defer plainBufs.Put(buf)
	if _, err := o.readAt(w.ctx, (*buf)[:n], off); err != nil {
		return err
	}
	_, err := w.Write((*buf)[:n])
	return err
}

// refer leases the packs of the chunks that a window refers to. Where that is
// refused the chunk counts as not found.
func (w *Writer) refer(win []item) error {
	var ask []int64
	asked := map[int64]bool{}
	last := (*Object)(nil)
	for i := range win {
		it := &win[i]
		if it.from == nil {
			continue
		}
		if it.from != last { // its segments may be referred to as well
			last = it.from
			if r := last.current(); w.match.roots[last.ref] != r {
				w.match.keepRoot(last.ref, r)
			}
		}
		id := it.loc.Pack.ID
		if !w.readsSealed(it.loc.Pack) || w.refused[id] {
			continue
		}
		if !w.leased[id] && !asked[id] {
			ask, asked[id] = append(ask, id), true
		}
	}
	if err := w.match.take(ask); err != nil {
		return err
	}
	for i := range win {
		if it := &win[i]; it.from != nil && (!w.readsSealed(it.loc.Pack) || !w.leased[it.loc.Pack.ID]) {
			it.found, it.loc = false, Loc{}
		}
	}
	return nil
}

// readsSealed says whether chunks of the pack are sealed for whoever may read
// what is being written, and named as this writer names.
func (w *Writer) readsSealed(p PackRef) bool {
	for _, k := range []*realmKeys{w.keys, w.common} {
		if k != nil && k.realm == p.Realm && k.keyID == p.KeyID {
			return true
		}
	}
	return false
}

// fetch reads the chunks that could not be referred to.
func (w *Writer) fetch(win []item) error {
	errs := make([]error, len(win))
	parallel(len(win), func(i int) {
		it := &win[i]
		if it.hole > 0 || it.found || it.data != nil {
			return
		}
		it.data = getChunkBuf()[:it.plain]
		_, errs[i] = it.from.readAt(w.ctx, it.data, it.off)
	})
	return errors.Join(errs...)
}
