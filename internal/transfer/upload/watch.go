package upload

import (
	"context"
	"errors"
	"time"

	"kuva/internal/catalog"
)

// watchMost is how many uploads are followed at a time, those that changed last.
const watchMost = 1000

// Watch calls ready once, and from then on notice for every upload that begins,
// gets bytes or ends, by whatever node, until ctx ends; changes that follow each
// other quickly come as one. A database that does not answer is asked again.
// Both are called by one goroutine and should be quick.
func (s *Service) Watch(ctx context.Context, every time.Duration, ready func(), notice func(u *catalog.Upload)) {
	type mark struct {
		received int64
		state    catalog.UploadState
	}
	t := time.NewTicker(every)
	defer t.Stop()
	var seen map[string]mark // nil before the first look
	for {
		var open, ended []*catalog.Upload
		err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
			if open, err = catalog.OpenUploads(ctx, tx, watchMost); err != nil {
				return err
			}
			there := make(map[string]bool, len(open))
			for _, u := range open {
				there[u.ID] = true
			}
			ended = nil
			for id := range seen {
				if there[id] {
					continue
				}
				u, err := catalog.GetUpload(ctx, tx, id)
				if errors.Is(err, catalog.ErrNoUpload) {
					continue
				}
				if err != nil {
					return err
				}
				ended = append(ended, u)
			}
			return nil
		})
		if err == nil {
			now := make(map[string]mark, len(open))
			for _, u := range open {
				now[u.ID] = mark{u.Received, u.State}
			}
			if seen == nil {
				ready()
			} else {
				for _, u := range open {
					if seen[u.ID] != now[u.ID] {
						notice(u)
					}
				}
				for _, u := range ended {
					notice(u)
				}
			}
			seen = now
		} else if ctx.Err() == nil {
			s.log.Warn("watch uploads", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
