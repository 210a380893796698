package job

import "time"

// rateEvery is the least time that a rate is measured over, and rateSlow the
// time without news after which it is measured again, so that work that stands
// still is seen to.
const (
	rateEvery = time.Second
	rateSlow  = 5 * time.Second
)

// rate measures how quickly work gets on. Half of what it tells is of the
// newest second, a quarter of the one before, and so on.
type rate struct {
	at   time.Time // of the mark, zero before the first
	done int64     // at the mark
	tell int64     // units a second, 0 while unknown
	any  bool      // something was measured
}

// take notes how far the work is now.
func (r *rate) take(done int64, now time.Time) {
	dt := now.Sub(r.at)
	switch {
	case r.at.IsZero(), done < r.done: // another stage, or again
		*r = rate{at: now, done: done}
	case dt >= rateEvery:
		measured := int64(float64(done-r.done) / dt.Seconds())
		if r.any {
			measured = (measured + r.tell) / 2
		}
		*r = rate{at: now, done: done, tell: measured, any: true}
	}
}

// stale reports whether nothing was noted for long.
func (r *rate) stale(now time.Time) bool { return !r.at.IsZero() && now.Sub(r.at) >= rateSlow }
