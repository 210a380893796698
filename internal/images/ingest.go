package images

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/job"
	"kuva/internal/policy"
)

// upload is one upload of this process.
type upload struct {
	cancel    context.CancelCauseFunc
	interrupt func()
}

// Ingest fills a queued image from src and activates it: the image, its
// content and its card are durable when nil returns. Only one upload at a time
// fills an image (CodeConflict). Whatever goes wrong, the image is queued
// again, its space is given back, it keeps the reason, and it can be filled
// again; CodeGone where it was deleted meanwhile.
//
// ctx is the sender's: where it ends, so does the upload.
func (s *Service) Ingest(ctx context.Context, p kuva.Principal, id string, src Source) (*kuva.Image, error) {
	f := &filling{s: s, p: p, id: id, src: &src, as: kuva.StatusSaving}
	img, parent, err := f.mayFill(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.fill(ctx, f, img, parent); err != nil {
		return nil, err
	}
	if err := s.putCard(ctx, id); err != nil {
		return nil, err
	}
	return &f.img.Image, nil
}

// fill feeds the sink from f's source, for the image as it was when it was
// looked at.
func (s *Service) fill(ctx context.Context, f *filling, img *catalog.Image, parent int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	id, src := f.id, f.src
	u := &upload{cancel: cancel, interrupt: src.Interrupt}
	f.owner, f.kind = img.Owner, img
	in := intake{
		project: realmFor(img), parent: parent, content: src.Content, size: src.Size, algo: s.cfg.HashAlgo, digests: src.Digests,
		begin: func(lease int64) error {
			if err := f.begin(ctx, lease); err != nil {
				return err
			}
			s.register(id, u)
			return f.still(ctx) // deleted between the two
		},
		room:   func(need int64) (int64, error) { return f.room(ctx, need) },
		still:  func() error { return f.still(ctx) },
		commit: func(tx *catalog.Tx, c committed) error { return f.commit(ctx, tx, c) },
	}
	if f.as != kuva.StatusUploading && f.disk == nil { // of a disk it was asked before
		if err := s.takes(img); err != nil {
			return err
		}
	}
	q, err := s.quotaOf(ctx, img.Owner)
	if err != nil {
		return err
	}
	in.blocks = opens(img.DiskFormat, img.ContainerFormat)
	if f.as != kuva.StatusUploading {
		in.check = func(o *depot.Object) (seen, error) {
			virtual, err := s.checkContent(ctx, img, o, q.VirtualSize)
			if err == nil {
				err = s.refuseFindings(ctx, img, o)
			}
			return seen{virtual: virtual, size: -1}, err
		}
	}
	in.most = mostBytes(q, img.DiskFormat, img.ContainerFormat)
	if f.disk != nil {
		f.disk.into(&in)
		in.check = func(o *depot.Object) (seen, error) { return s.seeDisk(ctx, img, o, f.disk.native, q) }
	}
	if in.most >= 0 && src.Size > in.most {
		return kuva.E(kuva.CodeTooLarge, "image.too_large", "limit", in.most)
	}
	f.realm = in.project
	f.received, err = s.store(ctx, in)
	s.unregister(id, u)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); ctx.Err() != nil && kuva.CodeOf(cause) == kuva.CodeGone {
		err = cause
	}
	err = coded(ctx, err)
	if f.lease != 0 && f.run == nil { // what becomes of a job its queue decides
		f.giveUp(err, f.received)
	}
	return err
}

// mayFill checks what can be refused before the first byte, and finds an
// object that the content may resemble.
func (f *filling) mayFill(ctx context.Context) (img *catalog.Image, parent int64, err error) {
	for _, d := range f.src.Digests {
		if h := newHash(d.Algo); h == nil || h.Size() != len(d.Sum) {
			return nil, 0, kuva.E(kuva.CodeInvalid, "image.bad_digest", "algo", d.Algo)
		}
	}
	err = f.s.view(ctx, func(tx *catalog.Tx) error {
		if img, err = f.look(ctx, tx, catalog.GetImage); err != nil {
			return err
		}
		parent, err = parentOf(ctx, tx, img)
		return err
	})
	return img, parent, err
}

// look reads the image where it can be filled in this way.
func (f *filling) look(ctx context.Context, tx *catalog.Tx, get getImage) (*catalog.Image, error) {
	if f.run != nil {
		return f.claimed(ctx, tx, get)
	}
	img, _, err := f.s.see(ctx, tx, get, f.p, f.id)
	if err != nil {
		return nil, err
	}
	rule := policy.UploadImage
	if f.as == kuva.StatusUploading {
		rule = policy.ModifyImage
	}
	if err := f.s.allow(f.p, rule, img); err != nil {
		return nil, err
	}
	return img, f.s.fillable(f.p, img, f.as)
}

// fillable refuses images that no content can go into now, as being the state
// that they would have meanwhile.
func (s *Service) fillable(p kuva.Principal, img *catalog.Image, as kuva.Status) error {
	switch {
	case img.Status != kuva.StatusQueued:
		return kuva.E(kuva.CodeConflict, "image.not_queued", "status", img.Status)
	case as == kuva.StatusSaving && (img.DiskFormat == "" || img.ContainerFormat == ""):
		return kuva.E(kuva.CodeInvalid, "image.no_formats")
	case signed(img):
		return kuva.E(kuva.CodeInvalid, "image.signed")
	case img.Visibility == kuva.VisibilityPublic && !s.allows(p, policy.PublicizeImage, img, nil):
		return kuva.E(kuva.CodeForbidden, "image.public_content_admin")
	}
	return nil
}

// parentOf returns the object of the image that img was made from, where img's
// realm may refer to it; 0 if there is none.
func parentOf(ctx context.Context, tx *catalog.Tx, img *catalog.Image) (int64, error) {
	if img.BaseImage == "" {
		return 0, nil
	}
	base, err := catalog.GetImage(ctx, tx, img.BaseImage)
	if errors.Is(err, catalog.ErrNoImage) || err == nil && base.Realm != "" && base.Realm != realmFor(img) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return base.Object, nil
}

// plainFormat: formats whose file is the disk that the guest sees.
func plainFormat(format string) bool { return format == "raw" || format == "iso" }

func (s *Service) register(id string, u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[id] = u
}

func (s *Service) unregister(id string, u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[id] == u {
		delete(s.running, id)
	}
}

// interrupt ends the upload of an image if this process runs one.
func (s *Service) interrupt(id string, why error) {
	s.mu.Lock()
	u := s.running[id]
	delete(s.running, id)
	s.mu.Unlock()
	if u == nil {
		return
	}
	u.cancel(why)
	if u.interrupt != nil {
		u.interrupt()
	}
}

// filling is content on its way into one image: sent (saving), staged
// (uploading) or brought by a job (importing).
type filling struct {
	s      *Service
	p      kuva.Principal
	id     string
	owner  string
	realm  string
	src    *Source
	as     kuva.Status    // that the image has meanwhile
	run    *job.Run       // where a job brings the content, else nil
	kind   *catalog.Image // as it was looked at: the formats that the content is checked by
	lease  int64          // from begin on
	img    *catalog.Image // from commit on
	held   int64          // bytes reserved
	step   int64          // to reserve next where the length is unknown
	upload string         // that it comes from, "" where from none
	terms  string         // that its sender accepted
	disk   *diskFill      // where the content becomes a disk's object, else nil
	file   *uploadFile    // that the content is, where it lies in parts, else nil

	received int64 // bytes, when it has ended
}

// begin takes the image and the space, in one transaction.
func (f *filling) begin(ctx context.Context, lease int64) error {
	var held int64
	err := f.s.update(ctx, func(tx *catalog.Tx) error {
		was, err := f.look(ctx, tx, catalog.LockImage)
		if err != nil {
			return err
		}
		if f.run != nil { // of the call that wanted it, or of an attempt before this one
			if _, err := catalog.DropReservation(ctx, tx, f.id); err != nil {
				return err
			}
		}
		q, err := catalog.GetQuota(ctx, tx, was.Owner, f.s.cfg.DefaultQuota)
		if err != nil {
			return err
		}
		use, err := catalog.LockUse(ctx, tx, was.Owner)
		if err != nil {
			return err
		}
		if f.run == nil && q.Uploads >= 0 && use.Uploads >= q.Uploads { // a job had its place when it was asked for
			return kuva.E(kuva.CodeQuota, "image.quota_uploads", "limit", q.Uploads)
		}
		if held, err = grant(q, use, f.src.Size, firstStep); err != nil {
			return err
		}
		if err := catalog.BeginReservation(ctx, tx, f.id, was.Owner, lease, held); err != nil {
			return err
		}
		now := was.Copy()
		now.Status, now.Lease = f.as, lease
		return catalog.UpdateImage(ctx, tx, was, now)
	})
	if err == nil {
		f.lease, f.held, f.step = lease, held, firstStep
	}
	return err
}

// errLost means that the image is not this upload's any more.
func errLost() error { return kuva.E(kuva.CodeGone, "image.gone") }

// room reserves for at least need bytes in all.
func (f *filling) room(ctx context.Context, need int64) (int64, error) {
	if need <= f.held {
		return f.held, nil
	}
	var got int64
	err := f.s.update(ctx, func(tx *catalog.Tx) error {
		project, ok, err := catalog.GetReservation(ctx, tx, f.id, f.lease)
		if err != nil {
			return err
		}
		if !ok {
			return errLost()
		}
		q, err := catalog.GetQuota(ctx, tx, project, f.s.cfg.DefaultQuota)
		if err != nil {
			return err
		}
		use, err := catalog.LockUse(ctx, tx, project)
		if err != nil {
			return err
		}
		if got, err = grant(q, use, -1, max(f.step, need-f.held)); err != nil {
			return err
		}
		if f.held+got < need {
			return kuva.E(kuva.CodeQuota, "image.quota_bytes", "limit", q.Bytes)
		}
		return catalog.GrowReservation(ctx, tx, f.id, project, got)
	})
	if err != nil {
		return 0, err
	}
	f.held += got
	f.step = min(2*f.step, lastStep)
	return f.held, nil
}

// still ends the upload where the image was deleted or taken back meanwhile.
func (f *filling) still(ctx context.Context) error {
	return f.s.view(ctx, func(tx *catalog.Tx) error {
		_, ok, err := catalog.GetReservation(ctx, tx, f.id, f.lease)
		if err == nil && !ok {
			err = errLost()
		}
		return err
	})
}

// commit makes the object the image's content, or what is staged for it.
func (f *filling) commit(ctx context.Context, tx *catalog.Tx, c committed) error {
	if f.run != nil {
		if err := f.run.Fence(ctx, tx); err != nil {
			return err
		}
	}
	was, err := catalog.LockImage(ctx, tx, f.id)
	if err != nil {
		return err
	}
	if was.Deleted() || was.Status != f.as || was.Lease != f.lease {
		return errLost()
	}
	if f.as == kuva.StatusUploading {
		return f.commitStaged(ctx, tx, was, c)
	}
	now := was.Copy()
	now.Status, now.Lease, now.LastFailure = kuva.StatusActive, 0, nil
	now.Object, now.Realm, now.Size = c.Ref, f.realm, c.Size
	if c.digests {
		now.MD5, now.HashAlgo, now.HashValue = hex.EncodeToString(c.md5[:]), f.s.cfg.HashAlgo, hex.EncodeToString(c.hash)
	}
	if f.kind.DiskFormat != was.DiskFormat || f.kind.ContainerFormat != was.ContainerFormat {
		return kuva.E(kuva.CodeConflict, "image.format_changed")
	}
	if f.disk != nil {
		if err := f.showDisk(ctx, tx, now, c); err != nil {
			return err
		}
	}
	if f.terms != "" {
		setProperty(now, PropertyTerms, f.terms)
	}
	now.VirtualSize = c.virtual
	now.Origin = f.origin(now)
	now.UpdatedAt = f.s.now()
	now.Version++
	f.img = now
	if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
		return err
	}
	if _, err := catalog.DropReservation(ctx, tx, f.id); err != nil {
		return err
	}
	if err := catalog.AddUse(ctx, tx, now.Owner, catalog.QuotaUse{Bytes: now.Size}); err != nil {
		return err
	}
	if err := f.s.settleRealm(ctx, tx, f.p, now); err != nil {
		return err
	}
	if err := f.s.inspectLater(ctx, tx, now, f.p.RequestID); err != nil {
		return err
	}
	if f.run != nil {
		return f.commitImport(ctx, tx)
	}
	return f.s.audit(ctx, tx, f.p, "image.upload", f.id, audit.OK, nil)
}

func (f *filling) origin(img *catalog.Image) kuva.Origin {
	switch {
	case f.src.Origin != kuva.OriginNone:
		return f.src.Origin
	case img.InstanceUUID != "":
		return kuva.OriginSnapshot
	}
	return kuva.OriginUploaded
}

// giveUp puts the image back to queued, with the reason. The sender may be
// gone already, so this has time of its own. Where the database refuses, for
// want of room perhaps, it is tried again until it does not.
func (f *filling) giveUp(why error, received int64) {
	back := func(ctx context.Context) error {
		return f.s.db.Update(ctx, func(tx *catalog.Tx) error {
			was, err := catalog.LockImage(ctx, tx, f.id)
			if err != nil || was.Deleted() || was.Lease != f.lease {
				return err
			}
			return f.s.backToQueued(ctx, tx, f.p, was, why, received)
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := back(ctx); err != nil {
		f.s.log.Warn("put image back to queued", "image", f.id, "error", err)
		f.s.mu.Lock()
		f.s.unfinished = append(f.s.unfinished, back)
		f.s.mu.Unlock()
	}
}

// finish does what giveUp could not.
func (s *Service) finish(ctx context.Context) error {
	s.mu.Lock()
	all := s.unfinished
	s.unfinished = nil
	s.mu.Unlock()
	for i, back := range all {
		if err := back(ctx); err != nil {
			s.mu.Lock()
			s.unfinished = append(s.unfinished, all[i:]...)
			s.mu.Unlock()
			return err
		}
	}
	return nil
}
