package images

import (
	"context"
	"errors"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// WatchEvery is a good time between two looks of Watch.
const WatchEvery = time.Second

// How far Watch looks back: an entry of the audit table may become visible
// after so many with greater ids.
const lookBack = 200

// Watch calls ready once, and from then on notice for every change of any
// image, by whatever node, until ctx ends. Changes that follow each other quickly
// come as one, with the last state; a deleted image comes with StatusDeleted.
// It reads the tail of the audit table, where each change but the beginning of
// an upload leaves a line, and the uploads under way. A database that does not
// answer is asked again. Both are called by one goroutine and should be quick.
func (s *Service) Watch(ctx context.Context, every time.Duration, ready func(), notice func(img kuva.Image)) {
	w := watcher{seen: map[int64]bool{}, notice: notice}
	t := time.NewTicker(every)
	defer t.Stop()
	for begun := false; ; {
		err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
			if !begun {
				return w.begin(ctx, tx)
			}
			return w.look(ctx, tx)
		})
		if err == nil {
			w.tell()
			if !begun {
				begun = true
				ready()
			}
		} else if ctx.Err() == nil {
			s.log.Warn("watch images", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

type watcher struct {
	notice func(kuva.Image)
	newest int64           // greatest audit id seen
	seen   map[int64]bool  // ids of the last lookBack before it
	filled map[string]bool // images with an upload under way

	// Of the look that is going on; taken over when it has succeeded.
	next struct {
		newest  int64
		seen    []int64
		filled  map[string]bool
		changed []kuva.Image
	}
}

func (w *watcher) begin(ctx context.Context, tx *catalog.Tx) error {
	w.next.seen, w.next.changed = nil, nil
	newest, err := audit.Newest(ctx, tx)
	if err != nil {
		return err
	}
	marks, err := audit.Since(ctx, tx, newest-lookBack, audit.MaxList)
	if err != nil {
		return err
	}
	for _, m := range marks {
		w.next.seen = append(w.next.seen, m.ID)
	}
	w.next.newest = newest
	w.next.filled, err = uploading(ctx, tx)
	return err
}

func (w *watcher) look(ctx context.Context, tx *catalog.Tx) error {
	w.next.seen, w.next.changed, w.next.newest = nil, nil, w.newest
	marks, err := audit.Since(ctx, tx, w.newest-lookBack, audit.MaxList)
	if err != nil {
		return err
	}
	if w.next.filled, err = uploading(ctx, tx); err != nil {
		return err
	}
	var ids []string
	once := map[string]bool{}
	add := func(id string) {
		if !once[id] {
			once[id] = true
			ids = append(ids, id)
		}
	}
	for _, m := range marks {
		if !w.seen[m.ID] {
			w.next.seen = append(w.next.seen, m.ID)
			w.next.newest = max(w.next.newest, m.ID)
			add(m.Object)
		}
	}
	for id := range w.next.filled {
		if !w.filled[id] {
			add(id)
		}
	}
	for id := range w.filled {
		if !w.next.filled[id] {
			add(id)
		}
	}
	for _, id := range ids {
		img, err := catalog.GetImage(ctx, tx, id)
		if errors.Is(err, catalog.ErrNoImage) {
			continue // the entry is about a user, a quota, ...
		}
		if err != nil {
			return err
		}
		w.next.changed = append(w.next.changed, img.Image)
	}
	return nil
}

// tell takes over what a look found.
func (w *watcher) tell() {
	w.newest, w.filled = w.next.newest, w.next.filled
	for _, id := range w.next.seen {
		w.seen[id] = true
	}
	for id := range w.seen {
		if id <= w.newest-lookBack {
			delete(w.seen, id)
		}
	}
	for _, img := range w.next.changed {
		w.notice(img)
	}
	w.next.changed = nil
}

// uploading lists the images that are being filled, at most 1,000.
func uploading(ctx context.Context, tx *catalog.Tx) (map[string]bool, error) {
	ids, err := catalog.ImagesWithLease(ctx, tx, "", 1000)
	if err != nil {
		return nil, err
	}
	out := make(map[string]bool, len(ids))
	for _, id := range ids {
		out[id] = true
	}
	return out, nil
}
