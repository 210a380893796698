package images

import (
	"context"
	"errors"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/policy"
)

// Hold pins the content of an image that p may download and take elsewhere, as
// part of tx: from then on HeldView gives its files, whatever becomes of the
// image. CodeConflict where there is no content to take.
func (s *Service) Hold(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id, holder string) (*kuva.Image, error) {
	img, err := s.holdable(ctx, tx, catalog.LockImage, p, id)
	if err != nil {
		return nil, err
	}
	err = s.depot.Pin(ctx, tx, img.Object, holder)
	if errors.Is(err, depot.ErrNotFound) {
		err = kuva.E(kuva.CodeGone, "image.gone")
	}
	return &img.Image, err
}

// MayHold refuses as Hold would now.
func (s *Service) MayHold(ctx context.Context, p kuva.Principal, id string) error {
	return s.view(ctx, func(tx *catalog.Tx) error {
		_, err := s.holdable(ctx, tx, catalog.GetImage, p, id)
		return err
	})
}

func (s *Service) holdable(ctx context.Context, tx *catalog.Tx, get getImage, p kuva.Principal, id string) (*catalog.Image, error) {
	img, member, err := s.see(ctx, tx, get, p, id)
	if err != nil {
		return nil, err
	}
	switch {
	case !s.cfg.Policy.Allows(p, policy.StartExport, target(img, member)):
		if !p.CanWrite() {
			return nil, kuva.E(kuva.CodeForbidden, "image.reader")
		}
		return nil, refused(policy.StartExport)
	case restricted(img) && !p.Admin:
		return nil, kuva.E(kuva.CodeForbidden, "image.restricted")
	}
	if err := s.mayRead(p, img, member); err != nil {
		return nil, err
	}
	if img.Object == 0 || !img.Status.HasContent() {
		return nil, kuva.E(kuva.CodeConflict, "image.not_normal", "status", img.Status)
	}
	return img, nil
}

// Release gives up what Hold pinned, as part of tx.
func (s *Service) Release(ctx context.Context, tx *catalog.Tx, object int64, holder string) error {
	return s.depot.Unpin(ctx, tx, object, holder)
}

// HeldView is OpenView of an image as it was when Hold pinned its content.
func (s *Service) HeldView(ctx context.Context, img *kuva.Image, format string, o ViewOptions) (*View, error) {
	c := &Content{Image: img, count: func() { s.countRead(img.ID) }, surveys: &s.surveys}
	if err := s.openContent(ctx, c, img.Object); err != nil {
		return nil, coded(ctx, err)
	}
	return c.as(ctx, format, o)
}

// Coded gives errors of the floors below their code, as all use cases here do.
func Coded(ctx context.Context, err error) error { return coded(ctx, err) }
