package images

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kuva"
)

// TestCreateRate: row S-189. A project makes as many images as it may have at
// once, then ten a second; others do not wait for it.
func TestCreateRate(t *testing.T) {
	var r createRate
	now := time.Now()
	for i := range createBurst {
		if err := r.take("a", now); err != nil {
			t.Fatalf("image %d: %v", i, err)
		}
	}
	err := r.take("a", now)
	var wait interface{ RetryAfter() time.Duration }
	if kuva.CodeOf(err) != kuva.CodeThrottled || !errors.As(err, &wait) || wait.RetryAfter() != createEvery {
		t.Fatalf("one more: %v", err)
	}
	if err := r.take("b", now); err != nil {
		t.Errorf("another project: %v", err)
	}
	made := 0
	for range 200 {
		now = now.Add(createEvery / 10)
		if r.take("a", now) == nil {
			made++
		}
	}
	if made != 20 {
		t.Errorf("%d made in two seconds", made)
	}
	now = now.Add(time.Hour)
	for i := range createBurst {
		if err := r.take("a", now); err != nil {
			t.Fatalf("an hour later, image %d: %v", i, err)
		}
	}
	for i := range 2 * rateBuckets { // what is full again is forgotten
		now = now.Add(createEvery * 2)
		if err := r.take(fmt.Sprint(i), now); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.full) > rateBuckets {
		t.Errorf("%d projects are remembered", len(r.full))
	}
}
