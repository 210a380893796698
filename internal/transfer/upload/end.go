package upload

import (
	"context"
	"errors"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/images"
	"kuva/internal/policy"
)

// End ends an open upload: the image that it made is deleted, one that was
// there is queued again, and what came is given to the collector. One that has
// ended already is forgotten. CodeConflict while its image is being made:
// delete the image, or cancel the job.
func (s *Service) End(ctx context.Context, p kuva.Principal, id string) error {
	// As deleting does, it works on a full disk.
	err := s.images.InReserve(func() error {
		why := kuva.E(kuva.CodeCancelled, "upload.ended")
		return s.end(ctx, p, id, why, 0, func(u *catalog.Upload) error {
			switch {
			case !s.cfg.Policy.Allows(p, policy.GetUpload, on(u)):
				return notFound(shown(id))
			case !s.cfg.Policy.Allows(p, policy.EndUpload, on(u)):
				return kuva.E(kuva.CodeForbidden, "image.reader")
			case u.State == catalog.UploadFinishing:
				return waits(u)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	// What follows is done again by the sweep where it fails.
	if err := s.forget(ctx, id); err != nil {
		s.log.Warn("drop parts of upload", "upload", id, "error", err)
	}
	return nil
}

// end ends an upload that may ends, in one transaction; its row is kept for so
// long. Of one that has ended, the row need not be kept.
func (s *Service) end(ctx context.Context, p kuva.Principal, id string, why error, keep time.Duration, may func(u *catalog.Upload) error) error {
	var u *catalog.Upload
	err := s.db.Update(ctx, func(tx *catalog.Tx) (err error) {
		if u, err = getUpload(ctx, tx, catalog.GetUpload, id); err != nil {
			return err
		}
		if u.Image != "" {
			if _, err := catalog.LockImage(ctx, tx, u.Image); err != nil {
				return err
			}
		}
		if u, err = getUpload(ctx, tx, catalog.LockUpload, id); err != nil {
			return err
		}
		if err := may(u); err != nil {
			return err
		}
		at := s.now()
		if u.State != catalog.UploadOpen {
			u.ExpiresAt = at
			return catalog.UpdateUpload(ctx, tx, u)
		}
		if _, err := catalog.EndUpload(ctx, tx, id, images.Failure(why, at, u.Received), at.Add(keep)); err != nil {
			return err
		}
		if u.Image == "" {
			_, err = catalog.DropReservation(ctx, tx, id)
			return err
		}
		return s.images.LetGo(ctx, tx, p, u.Image, u.Made, why, u.Received)
	})
	if err != nil {
		return err
	}
	s.interrupt(id, errGone(), nil)
	if u.State == catalog.UploadOpen && u.Image != "" && u.Made {
		return s.images.PutCard(ctx, u.Image)
	}
	return nil
}

// getUpload reads an upload by its id, whoever asks.
func getUpload(ctx context.Context, tx *catalog.Tx, get func(context.Context, *catalog.Tx, string) (*catalog.Upload, error), id string) (*catalog.Upload, error) {
	if len(id) != idLen || !plain(id) {
		return nil, notFound(shown(id))
	}
	u, err := get(ctx, tx, id)
	if errors.Is(err, catalog.ErrNoUpload) {
		err = notFound(shown(id))
	}
	return u, err
}

// forget drops the parts of an upload that has ended, and its row where that
// need not be shown any more.
func (s *Service) forget(ctx context.Context, id string) error {
	if err := s.images.DropParts(ctx, id); err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		u, err := catalog.LockUpload(ctx, tx, id)
		if errors.Is(err, catalog.ErrNoUpload) {
			return nil
		}
		if err != nil || u.State != catalog.UploadDone && u.State != catalog.UploadFailed || u.ExpiresAt.After(s.now()) {
			return err
		}
		return catalog.DeleteUpload(ctx, tx, id)
	})
}

// Sweep ends the open uploads whose time has come, and forgets what has been
// kept long enough. Any process may do it at any time.
func (s *Service) Sweep(ctx context.Context) error {
	const batch = 100
	for {
		var due []*catalog.Upload
		err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
			due, err = catalog.ExpiredUploads(ctx, tx, s.now(), batch)
			return err
		})
		if err != nil {
			return err
		}
		for _, u := range due {
			if err := s.expire(ctx, u); err != nil {
				return err
			}
		}
		if len(due) < batch {
			break
		}
	}
	for {
		var ids []string
		err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
			ids, err = catalog.EndedUploads(ctx, tx, batch)
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.forget(ctx, id); err != nil {
				return err
			}
		}
		if len(ids) < batch {
			return nil
		}
	}
}

func (s *Service) expire(ctx context.Context, u *catalog.Upload) error {
	if u.State == catalog.UploadOpen {
		why := kuva.E(kuva.CodeGone, "upload.expired")
		by := kuva.Principal{ProjectID: u.Project} // the service itself
		err := s.end(ctx, by, u.ID, why, images.UploadKept, func(u *catalog.Upload) error {
			if u.State != catalog.UploadOpen || u.ExpiresAt.After(s.now()) {
				return errStays
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStays) && kuva.CodeOf(err) != kuva.CodeNotFound {
			return err
		}
	}
	return s.forget(ctx, u.ID)
}

var errStays = errors.New("upload goes on")
