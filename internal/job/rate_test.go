package job

import (
	"testing"
	"time"
)

// TestRate: what is told follows what happens, and begins anew with a stage.
func TestRate(t *testing.T) {
	var r rate
	at := time.Unix(1000, 0)
	step := func(dt time.Duration, done, want int64) {
		t.Helper()
		at = at.Add(dt)
		r.take(done, at)
		if r.tell != want {
			t.Errorf("%d units after %v: %d a second, want %d", done, dt, r.tell, want)
		}
	}
	step(0, 500, 0) // what was there already is no work
	step(100*time.Millisecond, 600, 0)
	step(900*time.Millisecond, 1500, 1000)
	step(time.Second, 3500, 1500)
	step(2*time.Second, 3500, 750) // it stands still
	if r.stale(at.Add(4 * time.Second)) {
		t.Error("stale too early")
	}
	if !r.stale(at.Add(5 * time.Second)) {
		t.Error("never stale")
	}
	step(5*time.Second, 3500, 375)
	step(time.Second, 10, 0) // another stage
	step(2*time.Second, 210, 100)
}
