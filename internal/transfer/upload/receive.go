package upload

import (
	"context"
	"errors"
	"io"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
)

// Chunk is the next bytes of an upload.
type Chunk struct {
	// Offset is where they begin, which must be where the upload stands.
	Offset int64
	// Content is read to its end; nil is none. What an error of it comes behind
	// is kept, unless the error is a kuva.Error.
	Content io.Reader
	// Size is how many bytes Content has, below 0 unknown.
	Size int64
	// Length says how long the whole upload will be, where that was not said
	// before; below 0 it says nothing.
	Length int64
	// Digest, if not nil, is of Content: other bytes are CodeDigest, and nothing
	// of them is kept.
	Digest *images.Digest
	// Interrupt, if not nil, makes a Read of Content that blocks return soon.
	Interrupt func()
}

// Receive keeps the next bytes of an upload and returns how it stands then.
// What it keeps it keeps in parts of at most Config.PartSize, each durable
// before the next but one is read, so that little is lost where the sender or
// this process dies.
//
// Only one call at a time brings an upload's bytes: a later one takes over from
// one that goes on, here or in another process, whose bytes since its last part
// are dropped; that one gets CodeConflict. CodeConflict too for an offset where
// the upload does not stand; CodeGone where it ended or its image was deleted;
// CodeTooLarge for more bytes than announced or allowed; CodeCancelled where
// Content ended in an error, behind which another call goes on.
//
// The last byte begins the job that makes the image of it.
func (s *Service) Receive(ctx context.Context, p kuva.Principal, id string, c Chunk) (*catalog.Upload, error) {
	r := &receiver{s: s, p: p, id: id, c: c}
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		r.u, err = s.see(ctx, tx, catalog.GetUpload, p, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	// The sender's context ends with its connection, and what came is kept.
	ctx, w, done := s.attach(context.WithoutCancel(ctx), r.u, c.Interrupt)
	defer done()
	if err := r.claim(ctx); err != nil {
		if ctx.Err() != nil {
			err = r.why(ctx, err) // taken over at once
		}
		return nil, err
	}
	if r.token == 0 {
		return r.u, nil
	}
	s.interrupt(id, errTaken(), w)
	if c.Content != nil && r.u.State == catalog.UploadOpen {
		err = r.run(ctx)
		if e := r.settle(ctx); err == nil {
			err = e
		}
	}
	return r.u, err
}

type receiver struct {
	s  *Service
	p  kuva.Principal
	id string
	c  Chunk
	u  *catalog.Upload // as it is after the newest commit

	// As it was claimed.
	token  int64 // 0 where there is nothing to write
	size   int64 // of the upload, below 0 unknown
	most   int64 // bytes that it may have, below 0 any number
	image  string
	realm  string
	blocks bool
}

// claim takes the pen from whoever has it.
func (r *receiver) claim(ctx context.Context) error {
	token := catalog.NewID()
	return r.s.db.Update(ctx, func(tx *catalog.Tx) error {
		r.token = 0
		u, img, err := r.s.lock(ctx, tx, r.p, r.id)
		if err != nil {
			return err
		}
		r.u, r.image, r.realm = u, u.Image, u.Project
		if img != nil {
			r.realm = images.RealmOf(img)
		}
		r.blocks = images.CutAsDisk(u.Options.DiskFormat, u.Options.ContainerFormat)
		switch {
		case u.Concat == concatFinal:
			return kuva.E(kuva.CodeForbidden, "upload.final")
		case u.Protocol == ProtocolAsk:
			return kuva.E(kuva.CodeConflict, "upload.protocol", "protocol", u.Protocol)
		case u.State != catalog.UploadOpen && u.State != catalog.UploadFailed && r.c.Offset == u.Received && r.c.Size == 0:
			return nil // once more what came already
		}
		if err := waits(u); err != nil {
			return err
		}
		if r.c.Offset != u.Received {
			return kuva.E(kuva.CodeConflict, "upload.offset", "offset", u.Received)
		}
		if u.Parts >= MaxParts && r.c.Size != 0 {
			return kuva.E(kuva.CodeTooLarge, "upload.too_many_parts", "limit", MaxParts)
		}
		if r.most, err = r.s.most(ctx, tx, u, img); err != nil {
			return err
		}
		if err := r.measure(ctx, tx, u, img); err != nil {
			return err
		}
		u.Writer, u.UpdatedAt, r.token, r.size = token, r.s.now(), token, u.Size
		if complete(u) {
			_, err := r.s.images.FinishUpload(ctx, tx, r.p, u)
			return err
		}
		return catalog.UpdateUpload(ctx, tx, u)
	})
}

// measure takes the length, and makes the upload hold what it needs by now.
func (r *receiver) measure(ctx context.Context, tx *catalog.Tx, u *catalog.Upload, img *catalog.Image) error {
	if n := r.c.Length; n >= 0 && n != u.Size {
		if u.Size >= 0 {
			return kuva.E(kuva.CodeInvalid, "upload.length_set", "size", u.Size)
		}
		if n < u.Received {
			return kuva.E(kuva.CodeInvalid, "upload.length_short", "received", u.Received)
		}
		u.Size = n
		if err := r.s.fits(ctx, tx, u, img); err != nil {
			return err
		}
	}
	if u.Size >= 0 && r.c.Offset+max(r.c.Size, 0) > u.Size {
		return kuva.E(kuva.CodeTooLarge, "upload.longer", "size", u.Size)
	}
	if r.most >= 0 && r.c.Offset+max(r.c.Size, 0) > r.most {
		return kuva.E(kuva.CodeTooLarge, "image.too_large", "limit", r.most)
	}
	want := u.Size
	if want < 0 {
		want = u.Received // another writer may have left more
	}
	_, err := r.s.images.HoldBytes(ctx, tx, holder(u), want, want)
	return err
}

// complete reports whether an upload is to be made an image.
func complete(u *catalog.Upload) bool {
	return u.Size >= 0 && u.Received == u.Size && u.Concat != concatPartial
}

// step is a part on its way: while it is made durable, the next is read.
type step struct {
	done chan struct{}
	err  error // read after done is closed
}

func (st *step) wait() error {
	if st == nil {
		return nil
	}
	<-st.done
	return st.err
}

// failed reports whether it is known already that it came to nothing.
func (st *step) failed() bool {
	select {
	case <-st.done:
		return st.err != nil
	default:
		return false
	}
}

// run reads Content to its end, part by part. At most two are on their way.
func (r *receiver) run(ctx context.Context) error {
	b, err := newBody(r.c)
	if err != nil {
		return err
	}
	off := r.u.Received
	var prev, last *step
	for b.more() && prev.wait() == nil {
		limit, over, err := r.limit(ctx, off)
		if err != nil {
			b.err = err
			break
		}
		prev, last = last, &step{done: make(chan struct{})}
		pt := b.part(limit, over, prev)
		go r.keep(ctx, pt, off, last)
		<-pt.over
		off += pt.n
		if last.failed() {
			break
		}
	}
	for _, err := range []error{prev.wait(), last.wait(), b.broken(), b.check()} {
		if err != nil {
			return r.why(ctx, err)
		}
	}
	return nil
}

// why is what the sender is told.
func (r *receiver) why(ctx context.Context, err error) error {
	var coded *kuva.Error
	switch cause := context.Cause(ctx); {
	case ctx.Err() != nil && errors.As(cause, &coded):
		return cause
	case errors.As(err, &coded):
		return err
	}
	return kuva.E(kuva.CodeCancelled, "upload.broken_off").Because(err)
}

// limit says how many bytes the part that begins at off may have, and with what
// error the content fails that has more; without one they are another part's.
func (r *receiver) limit(ctx context.Context, off int64) (n int64, over, err error) {
	whole := r.c.Digest != nil
	rest := int64(1) << 62
	switch {
	case r.size >= 0:
		rest, over = r.size-off, kuva.E(kuva.CodeTooLarge, "upload.longer", "size", r.size)
	case r.most >= 0:
		rest, over = r.most-off, kuva.E(kuva.CodeTooLarge, "image.too_large", "limit", r.most)
	}
	if rest <= 0 {
		return 0, nil, over
	}
	n = rest
	if border := r.s.cfg.PartSize - off%r.s.cfg.PartSize; !whole && border < rest {
		n, over = border, nil
	}
	if r.size >= 0 {
		return n, over, nil
	}
	want := n
	if whole {
		want = min(n, r.c.Size) // is known, or newBody refuses
	}
	held, err := r.hold(ctx, off+1, off+want)
	if err == nil && held-off < n {
		n = held - off
		if whole {
			over = kuva.E(kuva.CodeTooLarge, "upload.longer", "size", off+n)
		}
	}
	return n, over, err
}

// hold makes an upload of unknown length hold so many bytes of the quota.
func (r *receiver) hold(ctx context.Context, least, want int64) (held int64, err error) {
	err = r.s.db.Update(ctx, func(tx *catalog.Tx) error {
		u, err := catalog.LockUpload(ctx, tx, r.id)
		if err == nil {
			err = r.mine(u)
		}
		if err != nil {
			return err
		}
		held, err = r.s.images.HoldBytes(ctx, tx, holder(u), least, want)
		return err
	})
	return held, err
}

// settle gives back what an upload of unknown length holds beyond what came.
func (r *receiver) settle(ctx context.Context) error {
	if r.size >= 0 {
		return nil
	}
	_, err := r.hold(ctx, r.u.Received, r.u.Received)
	if c := kuva.CodeOf(err); c == kuva.CodeConflict || c == kuva.CodeGone {
		return nil // another's business now
	}
	return err
}

// mine refuses an upload that has another writer, or none.
func (r *receiver) mine(u *catalog.Upload) error {
	if err := waits(u); err != nil {
		return err
	}
	if u.Writer != r.token {
		return errTaken()
	}
	return nil
}

// keep takes a part into the depot.
func (r *receiver) keep(ctx context.Context, pt *part, off int64, st *step) {
	_, st.err = r.s.images.KeepPart(ctx, images.Part{
		Project: r.realm, Holder: catalog.UploadHolder(r.id), Content: pt, Size: -1, Most: pt.limit, Blocks: r.blocks, Off: off,
		Still:  func() error { return r.s.Still(ctx, r.id, r.token) },
		Commit: func(tx *catalog.Tx, object, size int64) error { return r.commit(ctx, tx, off, object, size) },
	})
	close(st.done)
	pt.close()
}

// commit notes a part, and begins to finish the upload where it was the last.
func (r *receiver) commit(ctx context.Context, tx *catalog.Tx, off, object, size int64) error {
	if r.image != "" && off+size == r.size { // an image is locked before its upload
		if _, err := catalog.LockImage(ctx, tx, r.image); err != nil {
			return err
		}
	}
	u, err := catalog.LockUpload(ctx, tx, r.id)
	if errors.Is(err, catalog.ErrNoUpload) {
		return errGone()
	}
	if err != nil {
		return err
	}
	if err := r.mine(u); err != nil {
		return err
	}
	if u.Received != off {
		return errTaken()
	}
	if err := catalog.InsertPart(ctx, tx, u.ID, catalog.UploadPart{Off: off, Size: size, Object: object}); err != nil {
		return err
	}
	at := r.s.now()
	u.Received, u.UpdatedAt, u.ExpiresAt = off+size, at, at.Add(r.s.cfg.Expire)
	u.Parts++
	if complete(u) {
		_, err = r.s.images.FinishUpload(ctx, tx, r.p, u)
	} else {
		err = catalog.UpdateUpload(ctx, tx, u)
	}
	if err == nil {
		r.u = u
	}
	return err
}
