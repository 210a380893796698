package images

import (
	"context"
	"errors"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Activity returns what was done to an image, newest first: at most limit
// entries (1 to 1000) that are older than the entry with the id before, 0 for
// the newest. Its owner and admins may know, also when it is deleted.
func (s *Service) Activity(ctx context.Context, p kuva.Principal, id string, before int64, limit int) ([]audit.Entry, error) {
	var out []audit.Entry
	err := s.view(ctx, func(tx *catalog.Tx) error {
		if id == "" || len(id) > MaxName || !plainText(id) {
			return notFound(id)
		}
		img, err := catalog.GetImage(ctx, tx, id)
		if errors.Is(err, catalog.ErrNoImage) {
			return notFound(id)
		}
		if err != nil {
			return err
		}
		if !s.allows(p, policy.GetActivity, img, nil) {
			if _, _, err := s.see(ctx, tx, catalog.GetImage, p, id); err != nil {
				return err
			}
			return notOwner(p, policy.GetActivity, img)
		}
		out, err = audit.ListByObject(ctx, tx, id, before, limit)
		return err
	})
	return out, err
}
