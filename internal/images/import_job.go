package images

import (
	"context"
	"errors"
	"io"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/job"
)

// The jobs that bring content, as the Image API's tasks tell them apart.
const (
	jobImport   = "image.import"
	jobLocation = "image.location"
)

const (
	importLimit    = 16 // at once on a node; they wait for others most of the time
	importAttempts = 4
)

// bring is the job. It may be run again at any point: until the transaction
// that makes the image active nothing of it is seen, and after it there is
// nothing left to do.
func (s *Service) bring(ctx context.Context, run *job.Run) error {
	var pl plan
	if err := run.Decode(&pl); err != nil {
		return err
	}
	f := &filling{s: s, p: pl.Principal, id: run.Image, src: &Source{Size: -1}, as: kuva.StatusImporting, run: run}
	img, err := s.waiting(ctx, run)
	if err != nil || img == nil {
		return err
	}
	if err := s.bringTo(ctx, f, &pl, img); err != nil {
		return s.importFailed(ctx, f, err)
	}
	if err := s.putCard(ctx, run.Image); err != nil {
		return err
	}
	if f.upload != "" && (f.disk == nil || f.disk.source == "") { // else they are hashed first
		return s.dropParts(ctx, f.upload)
	}
	return nil
}

// waiting returns the image, nil where it does not wait for this job.
func (s *Service) waiting(ctx context.Context, run *job.Run) (img *catalog.Image, err error) {
	err = s.view(ctx, func(tx *catalog.Tx) error {
		id, err := catalog.GetImport(ctx, tx, run.Image)
		if err != nil || id != run.ID {
			img = nil
			return err
		}
		img, err = catalog.GetImage(ctx, tx, run.Image)
		return err
	})
	return img, err
}

// claimed reads the image that a job fills, where it is still this attempt's
// to fill.
func (f *filling) claimed(ctx context.Context, tx *catalog.Tx, get getImage) (*catalog.Image, error) {
	if err := f.run.Fence(ctx, tx); err != nil {
		return nil, err
	}
	img, err := get(ctx, tx, f.id)
	if err != nil {
		return nil, err
	}
	id, err := catalog.GetImport(ctx, tx, f.id)
	if err != nil {
		return nil, err
	}
	if img.Deleted() || img.Status != kuva.StatusImporting || id != f.run.ID {
		return nil, errLost()
	}
	return img, nil
}

// bringTo opens the content and feeds the sink from it.
func (s *Service) bringTo(ctx context.Context, f *filling, pl *plan, img *catalog.Image) (err error) {
	var content io.ReadCloser
	var parent int64
	f.run.Say("fetch content", "bytes")
	f.src.Origin, f.src.Digests = kuva.OriginImported, pl.Digests
	switch pl.Method {
	case MethodDirect, methodCopy:
		content, parent, err = s.openStaged(ctx, f, pl.Method, img)
	case MethodWeb, methodLocation, MethodURL:
		content, err = s.openWeb(ctx, f, img, pl.URI)
	case MethodRemote:
		content, img, err = s.openRemote(ctx, f, pl)
	case MethodBucket:
		content, img, err = s.openBucket(ctx, f, pl, img)
	case methodUpload:
		f.upload = pl.Upload
		content, img, err = s.openUpload(ctx, f, pl, img)
	default:
		err = errors.New("unknown method " + pl.Method)
	}
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	if pl.Method == MethodBucket {
		if content, err = readable(content); err != nil {
			return err
		}
	}
	if parent == 0 {
		err = s.view(ctx, func(tx *catalog.Tx) (err error) {
			parent, err = parentOf(ctx, tx, img)
			return err
		})
		if err != nil {
			return err
		}
	}
	if f.disk != nil {
		return s.fill(ctx, f, img, parent)
	}
	plain, end, img, err := s.unpack(ctx, f, pl, &progress{content, f.run, 0, f.src.Size}, img)
	if err != nil {
		return err
	}
	defer end()
	f.src.Content = plain
	return s.fill(ctx, f, img, parent)
}

// openStaged reads what lies in the depot already. It takes the way of all
// content all the same: its chunks are found, so that nothing is stored twice.
func (s *Service) openStaged(ctx context.Context, f *filling, method string, img *catalog.Image) (io.ReadCloser, int64, error) {
	var st catalog.Staged
	err := s.view(ctx, func(tx *catalog.Tx) error {
		var ok bool
		var err error
		if st, ok, err = catalog.GetStaged(ctx, tx, f.id); err == nil && !ok {
			err = errLost()
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	obj, err := s.depot.OpenObject(ctx, st.Object)
	if err != nil {
		return nil, 0, coded(ctx, err)
	}
	f.src.Size = obj.Size()
	f.run.Say("take what is staged", "bytes")
	if obj.Kind() == depot.KindDisk { // the copy shows what the source does
		f.disk = &diskFill{native: img.DiskFormat, pour: appendAll(obj)}
	}
	if method == methodCopy {
		f.src.Origin = kuva.OriginCopied
		f.run.Say("copy content", "bytes")
	}
	return &contentReader{Reader: obj.Reader(ctx, 0, obj.Size()), ctx: ctx}, st.Object, nil
}

// commitImport is the end of an import's transaction.
func (f *filling) commitImport(ctx context.Context, tx *catalog.Tx) error {
	if err := f.s.dropStaged(ctx, tx, f.id); err != nil {
		return err
	}
	if err := catalog.SetImport(ctx, tx, f.id, ""); err != nil {
		return err
	}
	if f.upload != "" {
		if err := f.s.endUpload(ctx, tx, f.upload, nil); err != nil {
			return err
		}
	}
	return f.s.audit(ctx, tx, f.p, "image.upload", f.id, audit.OK, detail{"job": f.run.ID})
}

// importFailed decides whether another attempt may help. If not, the image is
// queued again and says why.
func (s *Service) importFailed(ctx context.Context, f *filling, err error) error {
	err = coded(ctx, err)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, job.ErrLost), errors.Is(cause, job.ErrStopping), errors.Is(err, job.ErrLost):
		return err // it goes on elsewhere, or later
	case errors.Is(cause, job.ErrCancelled):
		err = kuva.E(kuva.CodeCancelled, "image.import_cancelled").Because(err)
	case mayPass(err) && f.run.Failures+1 < importAttempts, sourceChanged(err) && f.upload == "" && f.run.Failures == 0:
		return job.Retry(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	end := s.update(ctx, func(tx *catalog.Tx) error {
		if err := f.run.Fence(ctx, tx); err != nil {
			return err
		}
		return s.endImport(ctx, tx, f.p, f.id, f.run.ID, err, f.received)
	})
	if end != nil { // the sweeper does it when the job has ended
		s.log.Warn("end failed import", "image", f.id, "error", end)
	} else if f.upload != "" {
		if drop := s.dropParts(ctx, f.upload); drop != nil { // the sweeper of uploads does it
			s.log.Warn("drop parts", "upload", f.upload, "error", drop)
		}
	}
	return err
}

// mayPass reports whether what went wrong may be otherwise in a while.
func mayPass(err error) bool {
	switch kuva.CodeOf(err) {
	case kuva.CodeUnavailable, kuva.CodeStorageFull, kuva.CodeReadOnly:
		return true
	}
	return false
}

// endImport puts an image back to queued whose import did not succeed, and
// drops what was staged for it, as the reference does.
func (s *Service) endImport(ctx context.Context, tx *catalog.Tx, p kuva.Principal, image, jobID string, why error, received int64) error {
	was, err := catalog.LockImage(ctx, tx, image)
	if err != nil {
		return err
	}
	id, err := catalog.GetImport(ctx, tx, image)
	if err != nil || id != jobID {
		return err
	}
	if err := catalog.SetImport(ctx, tx, image, ""); err != nil {
		return err
	}
	if err := s.dropStaged(ctx, tx, image); err != nil {
		return err
	}
	if err := catalog.SetLocation(ctx, tx, image, ""); err != nil {
		return err
	}
	if err := s.failUpload(ctx, tx, image, jobID, why, received); err != nil {
		return err
	}
	if was.Deleted() || was.Status != kuva.StatusImporting {
		return nil
	}
	return s.backToQueued(ctx, tx, p, was, why, received)
}

// endImports ends those whose job ended without a word: cancelled before it
// began, or with its node too often.
func (s *Service) endImports(ctx context.Context) error {
	const batch = 100
	var ids []string
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		ids, err = catalog.EndedImports(ctx, tx, batch)
		return err
	})
	if err != nil {
		return err
	}
	for _, image := range ids {
		err := s.db.Update(ctx, func(tx *catalog.Tx) error {
			id, err := catalog.GetImport(ctx, tx, image)
			if err != nil || id == "" {
				return err
			}
			j, err := s.jobs.Get(ctx, tx, id)
			if err != nil && kuva.CodeOf(err) != kuva.CodeNotFound {
				return err
			}
			if err == nil && !j.State.Final() {
				return nil
			}
			why := kuva.E(kuva.CodeInternal, "job.lost_often")
			if j.State == job.Cancelled {
				why = kuva.E(kuva.CodeCancelled, "image.import_cancelled")
			}
			return s.endImport(ctx, tx, kuva.Principal{ProjectID: j.Project, RequestID: j.RequestID}, image, id, why, -1)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
