package client

import (
	"context"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// pace lets so many bytes through in a second. It is used by any number of
// goroutines.
type pace struct {
	rate int64 // bytes a second, 0 is any number
	mu   sync.Mutex
	free time.Time // when the bytes let through so far have had their time
}

func newPace(rate int64) *pace { return &pace{rate: rate} }

// wait returns when n bytes may go.
func (p *pace) wait(ctx context.Context, n int) error {
	if p.rate <= 0 {
		return nil
	}
	p.mu.Lock()
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	pause := p.free.Sub(now)
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	p.mu.Unlock()
	if pause <= 0 {
		return nil
	}
	return sleep(ctx, pause)
}

// room is a number of bytes that several share. One that wants more than all of
// it waits until it is alone.
type room struct {
	mu   sync.Mutex
	free int64
	all  int64
	more chan struct{} // closed, and made anew, when some became free
}

func newRoom(n int64) *room { return &room{free: n, all: n, more: make(chan struct{})} }

func (r *room) take(ctx context.Context, n int64) error {
	n = min(n, r.all)
	for {
		r.mu.Lock()
		if r.free >= n {
			r.free -= n
			r.mu.Unlock()
			return nil
		}
		more := r.more
		r.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *room) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free += min(n, r.all)
	close(r.more)
	r.more = make(chan struct{})
}

// readJSON reads a small answer.
func readJSON(r io.Reader, v any) error {
	return json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(v)
}
