package lru

import (
	"errors"
	"testing"
)

func TestCache(t *testing.T) {
	c := New[int64](2)
	loads := 0
	get := func(key int64) {
		t.Helper()
		v, err := c.Get(key, func() (int64, error) { loads++; return key * 10, nil })
		if err != nil || v != key*10 {
			t.Fatalf("Get(%d) = %d, %v", key, v, err)
		}
	}
	for _, step := range []struct{ key, loads int64 }{{1, 1}, {2, 2}, {1, 2}, {3, 3}, {1, 3}, {2, 4}, {3, 5}} {
		get(step.key)
		if int64(loads) != step.loads {
			t.Fatalf("after %d: %d loads, want %d", step.key, loads, step.loads)
		}
	}
	boom := errors.New("boom")
	for range 2 {
		if _, err := c.Get(9, func() (int64, error) { return 0, boom }); !errors.Is(err, boom) {
			t.Fatalf("error lost: %v", err)
		}
	}
	get(9)
}
