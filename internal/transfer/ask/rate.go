package ask

import (
	"sync"
	"time"

	"kuva"
)

// projects is how many projects are remembered at a time.
const projects = 1 << 14

// rate counts the chunks that projects ask for. The zero value is ready.
type rate struct {
	mu   sync.Mutex
	full map[string]time.Time // when a project's bucket is full again
}

// take lets a project ask for n chunks now, or says how long to wait. An ask of
// more than burst is let through by a full bucket.
func (r *rate) take(project string, n, perSecond, burst int64, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full == nil {
		r.full = map[string]time.Time{}
	}
	if len(r.full) >= projects {
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
	each := time.Second / time.Duration(perSecond)
	after := at.Add(time.Duration(n) * each)
	if wait := after.Sub(now) - time.Duration(burst)*each; wait > 0 && at.After(now) {
		return kuva.E(kuva.CodeThrottled, "upload.ask_rate", "limit", perSecond).Because(waiting(wait))
	}
	r.full[project] = after
	return nil
}

// waiting says in how long another attempt makes sense; doors turn it into
// Retry-After.
type waiting time.Duration

func (w waiting) Error() string             { return "retry after " + time.Duration(w).String() }
func (w waiting) RetryAfter() time.Duration { return time.Duration(w) }
