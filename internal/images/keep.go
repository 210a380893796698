package images

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"kuva/internal/catalog"
	"kuva/internal/depot"
	"kuva/internal/job"
)

// sweepEvery is how often the background work is done. A card follows its change within
// sweepEvery and the time that writing takes.
const sweepEvery = 2 * time.Second

// Start takes back what uploads of a crashed process held, and begins the
// background work. jobs is the queue that was made with Handlers; it may be
// started before or after. Close ends the work.
func (s *Service) Start(ctx context.Context, jobs *job.Queue) error {
	s.jobs = jobs
	if err := s.Recover(ctx); err != nil {
		return fmt.Errorf("recover uploads: %w", err)
	}
	if err := s.hashMissing(ctx); err != nil && !errors.Is(err, depot.ErrReadOnly) {
		return fmt.Errorf("find content without digests: %w", err)
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.done.Go(func() { s.keep(ctx) })
	return nil
}

// Close ends the background work and writes what is batched. Uploads under way
// should have ended.
func (s *Service) Close(ctx context.Context) error {
	if s.stop != nil {
		s.stop()
	}
	s.done.Wait()
	return s.flush(ctx)
}

func (s *Service) keep(ctx context.Context) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		s.tend(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *Service) tend(ctx context.Context) {
	for _, work := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"note cards and reads", s.flush},
		{"end failed uploads", s.finish},
		{"recover uploads", s.Recover},
		{"end imports", s.endImports},
		{"write cards", s.sweepCards},
	} {
		if err := work.do(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, depot.ErrReadOnly) {
			s.log.Warn(work.name, "error", err)
		}
	}
}

// readCount is how often the bytes of an image were read since the last flush.
type readCount struct {
	n    int64
	last time.Time
}

func (s *Service) countRead(id string) {
	at := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.reads[id]
	if c == nil {
		c = &readCount{}
		s.reads[id] = c
	}
	c.n++
	c.last = at
}

// flush notes in the rows which cards are durable and how often images were
// read: one transaction for many, so that neither costs an fsync a call. A
// crash loses a few counts; lost notes of cards only make the sweeper write
// them again.
func (s *Service) flush(ctx context.Context) error {
	s.mu.Lock()
	cards, reads := s.cards, s.reads
	if len(cards)+len(reads) == 0 {
		s.mu.Unlock()
		return nil
	}
	s.cards, s.reads = map[string]int64{}, map[string]*readCount{}
	s.mu.Unlock()

	// In the order of ids, so that two nodes never lock each other out.
	ids := slices.Sorted(maps.Keys(cards))
	for id := range reads {
		if _, both := cards[id]; !both {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		for _, id := range ids {
			if v := cards[id]; v != 0 {
				if err := catalog.SetCardVersion(ctx, tx, id, v); err != nil {
					return err
				}
			}
			if c := reads[id]; c != nil {
				if err := catalog.AddReads(ctx, tx, id, c.n, c.last); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		return nil
	}
	s.mu.Lock() // not lost: the next flush takes them along
	defer s.mu.Unlock()
	for id, v := range cards {
		s.cards[id] = max(s.cards[id], v)
	}
	for id, c := range reads {
		if have := s.reads[id]; have != nil {
			have.n += c.n
		} else {
			s.reads[id] = c
		}
	}
	return err
}
