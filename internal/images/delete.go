package images

import (
	"context"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Delete deletes an image in any state; CodeForbidden if it is protected. An
// upload under way ends with CodeGone, at its commit at the latest. The image
// is gone when the transaction commits; nil returns when its delete card is
// durable as well, so that it stays deleted whatever is lost. An error after
// the commit means only that the card comes later.
func (s *Service) Delete(ctx context.Context, p kuva.Principal, id string) error {
	// Deleting works on a full disk, because it is what makes room.
	err := s.depot.InReserve(func() error {
		_, _, err := s.change(ctx, p, id, "image.delete", func(tx *catalog.Tx, now *catalog.Image, _ *kuva.Member) (detail, error) {
			if err := s.allow(p, policy.DeleteImage, now); err != nil {
				return nil, err
			}
			if now.Protected {
				return nil, kuva.E(kuva.CodeForbidden, "image.protected")
			}
			return detail{"name": now.Name, "status": string(now.Status)}, s.erase(ctx, tx, now)
		})
		return err
	})
	if err != nil {
		return err
	}
	s.interrupt(id, kuva.E(kuva.CodeGone, "image.gone"))
	for _, f := range s.deleted {
		f(id)
	}
	return s.putCard(ctx, id)
}

// erase makes the row a tombstone and gives back what the image held. The
// collector finds the object without an image.
func (s *Service) erase(ctx context.Context, tx *catalog.Tx, now *catalog.Image) error {
	freed := catalog.QuotaUse{Images: -1}
	if now.Object != 0 {
		freed.Bytes = -now.Size
	}
	at := s.now()
	now.Status, now.DeletedAt, now.UpdatedAt = kuva.StatusDeleted, at, at
	now.WasObject, now.Object, now.Lease = now.Object, 0, 0
	if _, err := catalog.DropReservation(ctx, tx, now.ID); err != nil {
		return err
	}
	if err := catalog.AddUse(ctx, tx, now.Owner, freed); err != nil {
		return err
	}
	if err := s.dropAside(ctx, tx, now.ID); err != nil {
		return err
	}
	if err := catalog.DropReport(ctx, tx, now.ID); err != nil {
		return err
	}
	if err := catalog.DropLinksOf(ctx, tx, now.ID); err != nil {
		return err
	}
	if s.jobs != nil {
		if _, err := s.jobs.CancelImage(ctx, tx, now.ID); err != nil {
			return err
		}
	}
	return catalog.DeleteMembers(ctx, tx, now.ID)
}
