package images

import (
	"sync"
	"time"

	"kuva"
)

// A project may make so many images at once, and then one more each time the
// interval has passed. The first is as many as it may have by default: who is
// stopped makes and deletes records to fill the database. Operators may make
// as many as they like. Each node counts for itself.
const (
	createBurst = 1000
	createEvery = 100 * time.Millisecond
	rateBuckets = 1 << 14 // projects remembered at a time
)

// createRate counts the images that projects make. The zero value is ready.
type createRate struct {
	mu   sync.Mutex
	full map[string]time.Time // when a project's bucket is full again
}

// take lets a project make one image more now, or says how long to wait.
func (r *createRate) take(project string, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full == nil {
		r.full = map[string]time.Time{}
	}
	if len(r.full) >= rateBuckets {
		for p, at := range r.full {
			if !at.After(now) {
				delete(r.full, p)
			}
		}
	}
	at := r.full[project]
	if at.Before(now) {
		at = now
	}
	at = at.Add(createEvery)
	if wait := at.Sub(now) - createBurst*createEvery; wait > 0 {
		return kuva.E(kuva.CodeThrottled, "image.create_rate", "limit", int64(time.Second/createEvery)).Because(waiting(wait))
	}
	r.full[project] = at
	return nil
}

// waiting says in how long another attempt makes sense; doors turn it into
// Retry-After.
type waiting time.Duration

func (w waiting) Error() string             { return "retry after " + time.Duration(w).String() }
func (w waiting) RetryAfter() time.Duration { return time.Duration(w) }
