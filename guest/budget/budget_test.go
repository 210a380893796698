package budget_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/guest/budget"
)

func what(t *testing.T, err error) string {
	t.Helper()
	var l *budget.Limit
	if err != nil && !errors.As(err, &l) {
		t.Fatalf("%v is no *Limit", err)
	}
	if l == nil {
		return ""
	}
	return l.What
}

func TestLimits(t *testing.T) {
	b := budget.New(t.Context(), budget.Limits{Read: 100, Steps: 10, Memory: 50, Depth: 3})
	for _, tt := range []struct {
		name, want string
		err        error
	}{
		{"steps up to the limit", "", b.Step(10)},
		{"one step more", budget.Steps, b.Step(1)},
		{"bytes", "", b.Read(60)},
		{"bytes over", budget.Bytes, b.Read(41)},
		{"what was refused counts", budget.Bytes, b.Read(1)},
		{"memory", "", b.Alloc(50)},
		{"memory over", budget.Memory, b.Alloc(1)},
		{"memory huge", budget.Memory, b.Alloc(math.MaxInt64)},
		{"negative memory", budget.Memory, b.Alloc(-1)},
		{"depth", "", b.Depth(3)},
		{"depth over", budget.Depth, b.Depth(4)},
	} {
		if got := what(t, tt.err); got != tt.want {
			t.Errorf("%s: limit of %q, want %q", tt.name, got, tt.want)
		}
	}
	b.Free(50)
	if err := b.Alloc(50); err != nil {
		t.Errorf("after Free: %v", err)
	}
}

// A reader that swallows refusals ends all the same: huge requests use the
// budget up.
func TestHugeRequestsUseUp(t *testing.T) {
	b := budget.New(t.Context(), budget.Limits{Steps: 1000})
	for range 4 {
		if err := b.Step(math.MaxInt64); err == nil {
			t.Fatal("a huge step was granted")
		}
	}
	if err := b.Step(1); err == nil {
		t.Error("a step was granted after four refusals")
	}
}

func TestNil(t *testing.T) {
	var b *budget.Budget
	for _, err := range []error{b.Step(1 << 20), b.Read(1 << 30), b.Alloc(1 << 20), b.Depth(2000), b.Err()} {
		if err != nil {
			t.Error(err)
		}
	}
	b.Free(1)
	if err := b.Alloc(1 << 40); what(t, err) != budget.Memory {
		t.Errorf("1 TiB of memory: %v", err)
	}
}

func TestTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	err := budget.New(ctx, budget.Limits{}).Step(1)
	if what(t, err) != budget.Time || !errors.Is(err, context.DeadlineExceeded) || !budget.IsLimit(err) {
		t.Errorf("at the deadline: %v", err)
	}
	ctx, cancel2 := context.WithCancel(t.Context())
	cancel2()
	if err := budget.New(ctx, budget.Limits{}).Read(1); !errors.Is(err, context.Canceled) || !budget.IsLimit(err) {
		t.Errorf("cancelled: %v", err)
	}
	if budget.IsLimit(disk.Malform("x", "y")) || !budget.IsLimit(fmt.Errorf("z: %w", &budget.Limit{})) {
		t.Error("IsLimit")
	}
}

func TestReadFull(t *testing.T) {
	b := budget.New(t.Context(), budget.Limits{Read: 10})
	r := strings.NewReader("0123456789")
	p := make([]byte, 4)
	if err := b.ReadFull(r, p, 6); err != nil || string(p) != "6789" {
		t.Errorf("%q, %v", p, err)
	}
	if err := b.ReadFull(r, p, 7); err == nil || budget.IsLimit(err) {
		t.Errorf("over the end: %v", err)
	}
	if err := b.ReadFull(r, p, 0); what(t, err) != budget.Bytes {
		t.Errorf("the eleventh byte: %v", err)
	}
	if read, steps, _ := b.Spent(); read != 10 || steps < 2 {
		t.Errorf("spent %d bytes, %d steps", read, steps)
	}
}
