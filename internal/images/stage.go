package images

import (
	"context"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// Staged content lies in the depot like any other, sealed and without a copy
// in the plain: an object of no image, pinned, and charged to the project by
// the image's reservation, until an import makes it the image's content or the
// image is deleted.

// stageHolder is who pins what is staged for an image.
func stageHolder(image string) string { return "stage " + image }

// Stage takes content for a queued image and keeps it until an import; the
// image is uploading from the first byte on. What is staged is durable when
// nil returns. Whatever goes wrong, the image is queued again.
func (s *Service) Stage(ctx context.Context, p kuva.Principal, id string, src Source) error {
	f := &filling{s: s, p: p, id: id, src: &src, as: kuva.StatusUploading}
	img, parent, err := f.mayFill(ctx)
	if err != nil {
		return err
	}
	return s.fill(ctx, f, img, parent)
}

// commitStaged keeps the object beside the image.
func (f *filling) commitStaged(ctx context.Context, tx *catalog.Tx, was *catalog.Image, c committed) error {
	project, ok, err := catalog.GetReservation(ctx, tx, f.id, f.lease)
	if err == nil && !ok {
		err = errLost()
	}
	if err != nil {
		return err
	}
	now := was.Copy()
	now.Lease, now.LastFailure = 0, nil
	if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
		return err
	}
	if err := f.s.keepStaged(ctx, tx, f.id, c.Ref, c.Size); err != nil {
		return err
	}
	if _, err := catalog.LockUse(ctx, tx, project); err != nil {
		return err
	}
	if err := catalog.GrowReservation(ctx, tx, f.id, project, c.Size-f.held); err != nil {
		return err
	}
	return f.s.audit(ctx, tx, f.p, "image.stage", f.id, audit.OK, nil)
}

func (s *Service) keepStaged(ctx context.Context, tx *catalog.Tx, image string, object, size int64) error {
	if err := s.depot.Pin(ctx, tx, object, stageHolder(image)); err != nil {
		return err
	}
	return catalog.PutStaged(ctx, tx, image, catalog.Staged{Object: object, Size: size, CreatedAt: s.now()})
}

func (s *Service) dropStaged(ctx context.Context, tx *catalog.Tx, image string) error {
	object, err := catalog.DropStaged(ctx, tx, image)
	if err != nil || object == 0 {
		return err
	}
	return s.depot.Unpin(ctx, tx, object, stageHolder(image))
}

// dropAside drops what is kept beside an image that is deleted.
func (s *Service) dropAside(ctx context.Context, tx *catalog.Tx, image string) error {
	if err := s.dropStaged(ctx, tx, image); err != nil {
		return err
	}
	if err := s.endWaiting(ctx, tx, image); err != nil {
		return err
	}
	if err := catalog.SetImport(ctx, tx, image, ""); err != nil {
		return err
	}
	if err := catalog.SetLocation(ctx, tx, image, ""); err != nil {
		return err
	}
	if err := catalog.DropOffer(ctx, tx, image); err != nil {
		return err
	}
	for {
		object, err := catalog.DropOutgrown(ctx, tx, image)
		if err != nil || object == 0 {
			return err
		}
		if err := s.depot.Unpin(ctx, tx, object, outgrownHolder); err != nil {
			return err
		}
	}
}
