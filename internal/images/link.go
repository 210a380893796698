package images

import (
	"context"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Find returns, in the caller's transaction, an image that p may see;
// CodeNotFound for every other. It is for use cases beside this package.
func (s *Service) Find(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id string) (*catalog.Image, error) {
	img, _, err := s.see(ctx, tx, catalog.GetImage, p, id)
	return img, err
}

// MayLink returns, in the caller's transaction, an image that p may make a link
// to: one for reading where p may download it, and what it was made from does
// not forbid to give it away; one for writing where p may fill it. CodeConflict
// for an image in another state than the link is good for.
func (s *Service) MayLink(ctx context.Context, tx *catalog.Tx, p kuva.Principal, id string, read, write bool) (*catalog.Image, error) {
	img, member, err := s.see(ctx, tx, catalog.LockImage, p, id)
	if err != nil {
		return nil, err
	}
	if !s.allows(p, policy.MakeLink, img, member) {
		if !p.CanWrite() {
			return nil, kuva.E(kuva.CodeForbidden, "image.reader")
		}
		return nil, refused(policy.MakeLink)
	}
	if read {
		if restricted(img) {
			return nil, kuva.E(kuva.CodeForbidden, "image.restricted")
		}
		if err := s.mayRead(p, img, member); err != nil {
			return nil, err
		}
	}
	if write {
		if err := s.allow(p, policy.UploadImage, img); err != nil {
			return nil, err
		}
		return img, s.fillable(p, img, kuva.StatusSaving)
	}
	if img.Status != kuva.StatusActive {
		return nil, kuva.E(kuva.CodeConflict, "image.link_state", "status", img.Status)
	}
	return img, nil
}

// CheckView refuses a format or setting that there is no view with, for an
// image whose content is not there yet.
func CheckView(format string, o ViewOptions) error {
	if format == "" {
		return nil
	}
	_, err := formatFor(format, &o)
	return err
}
