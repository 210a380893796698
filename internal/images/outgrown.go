package images

import (
	"context"
	"time"

	"kuva/internal/catalog"
	"kuva/internal/job"
)

// jobOutgrown lets go of objects that images left behind.
const jobOutgrown = "image.outgrown"

const (
	outgrownHolder = "outgrown"
	// outgrownFor is how long a download may still go on from where an image's
	// content was before it moved to another realm.
	outgrownFor   = 24 * time.Hour
	outgrownEvery = time.Hour
)

// outgrow keeps the object that an image is about to leave behind. A clock
// that jumps costs at most those who read it just then.
func (s *Service) outgrow(ctx context.Context, tx *catalog.Tx, was *catalog.Image) error {
	if err := s.depot.Pin(ctx, tx, was.Object, outgrownHolder); err != nil {
		return err
	}
	return catalog.PutOutgrown(ctx, tx, was.Object, was.ID, s.now())
}

// dropOutgrown is the job.
func (s *Service) dropOutgrown(ctx context.Context, run *job.Run) error {
	return s.letGo(ctx, run.Fence)
}

func (s *Service) letGo(ctx context.Context, fence func(context.Context, *catalog.Tx) error) error {
	for {
		var object int64
		err := s.update(ctx, func(tx *catalog.Tx) (err error) {
			if err := fence(ctx, tx); err != nil {
				return err
			}
			object, err = catalog.DropOutgrownBefore(ctx, tx, s.now().Add(-outgrownFor))
			if err != nil || object == 0 {
				return err
			}
			return s.depot.Unpin(ctx, tx, object, outgrownHolder)
		})
		if err != nil || object == 0 {
			return err
		}
	}
}
