package ordered

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func count(n int, last error) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if last != nil {
			yield(0, last)
		}
	}
}

func TestOrder(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, workers := range []int{1, 2, 7} {
		var busy, most atomic.Int64
		next := 0
		err := Map(t.Context(), workers, count(500, nil), func(_ context.Context, i int) (int, error) {
			n := busy.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
			busy.Add(-1)
			return i * i, nil
		}, func(r int) error {
			if r != next*next {
				t.Fatalf("%d workers: result %d came at place %d", workers, r, next)
			}
			next++
			return nil
		})
		if err != nil || next != 500 {
			t.Fatalf("%d workers: %d results, %v", workers, next, err)
		}
		if m := most.Load(); m > int64(workers) {
			t.Fatalf("%d workers: %d at a time", workers, m)
		}
	}
}

// TestErrors ends a run from every side; nothing may be left or hang.
func TestErrors(t *testing.T) {
	defer goleak.VerifyNone(t)
	boom := errors.New("boom")
	id := func(_ context.Context, i int) (int, error) { return i, nil }
	drop := func(int) error { return nil }
	if err := Map(t.Context(), 3, count(50, boom), id, drop); !errors.Is(err, boom) {
		t.Errorf("jobs: %v", err)
	}
	if err := Map(t.Context(), 3, count(50, nil), func(_ context.Context, i int) (int, error) {
		if i == 20 {
			return 0, boom
		}
		return i, nil
	}, drop); !errors.Is(err, boom) {
		t.Errorf("work: %v", err)
	}
	if err := Map(t.Context(), 3, count(50, nil), id, func(i int) error {
		if i == 20 {
			return boom
		}
		return nil
	}); !errors.Is(err, boom) {
		t.Errorf("emit: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := Map(ctx, 3, count(50, nil), id, func(i int) error {
		if i == 20 {
			cancel()
		}
		return nil
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("context: %v", err)
	}
}
