package links

import (
	"context"
	"time"
)

// pace hides from a caller why a link is refused: such an answer waits for the
// end of the step in which it was found.
const pace = 10 * time.Millisecond

// coarse is what the runtime's timers may be late by. They count in whole
// milliseconds from when they are set, which would tell when that was.
const coarse = 1500 * time.Microsecond

// atPace waits for the end of the step that began so many whole steps after
// began.
func atPace(ctx context.Context, began time.Time) {
	end := began.Add((time.Since(began)/pace + 1) * pace)
	if left := time.Until(end); left > coarse {
		select {
		case <-time.After(left - coarse):
		case <-ctx.Done():
			return
		}
	}
	sleepExactly(time.Until(end))
}
