package images

import (
	"context"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Deactivate stops downloads by everybody but admins; to repeat it is fine.
// CodeInvalid for an image that is neither active nor deactivated.
func (s *Service) Deactivate(ctx context.Context, p kuva.Principal, id string) error {
	return s.setActive(ctx, p, id, "image.deactivate", policy.Deactivate, kuva.StatusActive, kuva.StatusDeactivated)
}

// Reactivate ends Deactivate.
func (s *Service) Reactivate(ctx context.Context, p kuva.Principal, id string) error {
	return s.setActive(ctx, p, id, "image.reactivate", policy.Reactivate, kuva.StatusDeactivated, kuva.StatusActive)
}

func (s *Service) setActive(ctx context.Context, p kuva.Principal, id, action string, rule policy.Rule, from, to kuva.Status) error {
	_, changed, err := s.change(ctx, p, id, action, func(tx *catalog.Tx, now *catalog.Image, _ *kuva.Member) (detail, error) {
		if err := s.allow(p, rule, now); err != nil {
			return nil, err
		}
		switch now.Status {
		case to:
			return nil, errUnchanged
		case from:
			now.Status, now.UpdatedAt = to, s.now()
			// Links do not come back with a reactivation: who has them was not
			// to have the content.
			return nil, catalog.DropLinksOf(ctx, tx, now.ID)
		}
		return nil, kuva.E(kuva.CodeInvalid, "image.not_active", "status", now.Status)
	})
	if err != nil || !changed {
		return err
	}
	return s.putCard(ctx, id)
}
