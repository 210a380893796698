package images

import (
	"context"
	"errors"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/message"
)

// Recover puts images whose upload died with its process back to queued and
// returns the space that they held. Whether an upload is dead is the depot's
// to say, by its lease; no clock of ours decides.
func (s *Service) Recover(ctx context.Context) error {
	const batch = 500
	for after := ""; ; {
		var ids []string
		err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
			ids, err = catalog.ImagesWithLease(ctx, tx, after, batch)
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.recoverOne(ctx, id); err != nil {
				return err
			}
		}
		if len(ids) < batch {
			return nil
		}
		after = ids[len(ids)-1]
	}
}

func (s *Service) recoverOne(ctx context.Context, id string) error {
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		was, err := catalog.LockImage(ctx, tx, id)
		if err != nil || was.Lease == 0 || was.Status == kuva.StatusImporting { // a job's: it goes on elsewhere
			return err
		}
		alive, err := s.depot.LeaseAlive(ctx, tx, was.Lease)
		if err != nil || alive {
			return err
		}
		why := kuva.E(kuva.CodeUnavailable, "image.interrupted")
		return s.backToQueued(ctx, tx, kuva.Principal{}, was, why, -1)
	})
}

// backToQueued ends an upload that did not succeed: the image can be filled
// again, its space is given back, and it says why. The record's version stays
// as it is, because nothing of what a card holds has changed. received below
// 0 is unknown.
func (s *Service) backToQueued(ctx context.Context, tx *catalog.Tx, p kuva.Principal, was *catalog.Image, why error, received int64) error {
	now := was.Copy()
	now.Status, now.Lease = kuva.StatusQueued, 0
	now.LastFailure = failure(why, s.now(), received)
	action := "image.upload"
	if was.Status == kuva.StatusImporting {
		now.LastFailure.Import, action = true, "image.import"
	}
	if err := catalog.UpdateImage(ctx, tx, was, now); err != nil {
		return err
	}
	if _, err := catalog.DropReservation(ctx, tx, was.ID); err != nil {
		return err
	}
	return s.audit(ctx, tx, p, action, was.ID, string(now.LastFailure.Code), nil)
}

// sentence is what people are told of an error; what has no code stays ours.
func sentence(err error) string {
	var e *kuva.Error
	if errors.As(err, &e) {
		return e.Text.In(message.English)
	}
	return message.New("internal").In(message.English)
}

func failure(why error, at time.Time, received int64) *kuva.Failure {
	return &kuva.Failure{Code: kuva.CodeOf(why), Sentence: sentence(why), At: at, Received: max(received, 0)}
}
