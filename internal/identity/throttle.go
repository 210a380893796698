package identity

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"kuva"
)

// Throttle bounds failed log-ins. Every key (an account, an address) has a
// bucket of failures that refills with time; a success costs nothing. An
// address that has logged in to an account has a bucket of its own for it, so
// that strangers who guess do not lock the owner out.
type Throttle struct {
	AccountBurst  int           // failures in a row for one account; 0 means 10
	AccountRefill time.Duration // until one more is allowed; 0 means 6 s
	AddressBurst  int           // the same for one address (IPv6: one /64); 0 means 60
	AddressRefill time.Duration // 0 means 1 s
}

func (t Throttle) withDefaults() Throttle {
	if t.AccountBurst <= 0 {
		t.AccountBurst = 10
	}
	if t.AccountRefill <= 0 {
		t.AccountRefill = 6 * time.Second
	}
	if t.AddressBurst <= 0 {
		t.AddressBurst = 60
	}
	if t.AddressRefill <= 0 {
		t.AddressRefill = time.Second
	}
	return t
}

// maxBuckets bounds each of the two maps. Flooding one of them with names
// costs the flooder's address its own bucket first.
const maxBuckets = 1 << 14

// maxQueued bounds how many attempts wait for others of the same key.
const maxQueued = 512

// retryError says in how long another attempt makes sense; rest turns it into
// Retry-After.
type retryError time.Duration

func (r retryError) Error() string             { return "retry after " + time.Duration(r).String() }
func (r retryError) RetryAfter() time.Duration { return time.Duration(r) }

// outcome is how an attempt ended.
type outcome int

const (
	outcomeNone outcome = iota // nothing was compared: it counts as nothing
	outcomeWrong
	outcomeRight
)

// bucket counts what one key may still get wrong. level is as of at.
type bucket struct {
	level    float64
	at       time.Duration // monotonic
	inflight int
}

// buckets is one of the two maps.
type buckets struct {
	burst  int
	refill time.Duration
	byKey  map[string]*bucket
}

// throttle lets as many attempts of a key run at one time as it has failures
// left, and lets others wait for their outcome: a hundred guesses sent at once
// get no further than a hundred in a row, and sixteen right log-ins at once
// all succeed.
type throttle struct {
	mu       sync.Mutex
	mono     func() time.Duration
	accounts buckets
	address  buckets
	known    map[string]struct{} // account and address of log-ins that succeeded
	queued   int
	changed  chan struct{} // closed and replaced when an attempt ends
}

func newThrottle(t Throttle, mono func() time.Duration) *throttle {
	t = t.withDefaults()
	return &throttle{
		mono:     mono,
		accounts: buckets{burst: t.AccountBurst, refill: t.AccountRefill, byKey: map[string]*bucket{}},
		address:  buckets{burst: t.AddressBurst, refill: t.AddressRefill, byKey: map[string]*bucket{}},
		known:    map[string]struct{}{},
		changed:  make(chan struct{}),
	}
}

// begin asks to make one attempt. done must be called once with its outcome.
func (t *throttle) begin(ctx context.Context, account, address string) (done func(outcome), err error) {
	address = network(address)
	pair := account + " from " + address
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		now, key := t.mono(), account
		if _, ok := t.known[pair]; ok {
			key = pair
		}
		a, b := t.accounts.get(key, now), t.address.get(address, now)
		wait := max(t.accounts.wait(a), t.address.wait(b))
		if wait > 0 || t.queued >= maxQueued {
			wait = max(wait, time.Second)
			return nil, kuva.E(kuva.CodeThrottled, "identity.throttled", "seconds", int((wait+time.Second-1)/time.Second)).Because(retryError(wait))
		}
		if a.free() && b.free() {
			a.inflight++
			b.inflight++
			return func(o outcome) { t.end(a, b, pair, o) }, nil
		}
		changed := t.changed
		t.queued++
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		t.mu.Lock()
		t.queued--
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

func (t *throttle) end(a, b *bucket, pair string, o outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.known[pair]; o == outcomeRight && !there {
		for k := range t.known {
			if len(t.known) < maxBuckets {
				break
			}
			delete(t.known, k)
		}
		t.known[pair] = struct{}{}
	}
	for _, k := range []*bucket{a, b} {
		k.inflight--
		if o == outcomeWrong {
			k.level--
		}
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// get returns the bucket of a key, filled up to now.
func (m *buckets) get(key string, now time.Duration) *bucket {
	b, ok := m.byKey[key]
	if !ok {
		if len(m.byKey) >= maxBuckets {
			m.forget(now)
		}
		b = &bucket{level: float64(m.burst), at: now}
		m.byKey[key] = b
	}
	m.fill(b, now)
	return b
}

func (m *buckets) fill(b *bucket, now time.Duration) {
	b.level = min(float64(m.burst), b.level+float64(now-b.at)/float64(m.refill))
	b.at = now
}

// forget makes room: full buckets say nothing and go; where there are none,
// the fullest of some goes.
func (m *buckets) forget(now time.Duration) {
	var fullest string
	var level float64
	seen := 0
	for k, b := range m.byKey { // Go starts at a random place
		if b.inflight > 0 {
			continue
		}
		m.fill(b, now)
		if b.level >= float64(m.burst) {
			delete(m.byKey, k)
			if len(m.byKey) < maxBuckets*3/4 {
				return
			}
			continue
		}
		if fullest == "" || b.level > level {
			fullest, level = k, b.level
		}
		if seen++; seen >= 64 && len(m.byKey) < maxBuckets {
			return
		}
		if seen >= 1024 {
			break
		}
	}
	if len(m.byKey) >= maxBuckets {
		delete(m.byKey, fullest)
	}
}

// wait is how long until the bucket allows an attempt, 0 if it does now or
// may when an attempt under way succeeds.
func (m *buckets) wait(b *bucket) time.Duration {
	if b.level >= 1 || b.inflight > 0 {
		return 0
	}
	return time.Duration((1 - b.level) * float64(m.refill))
}

func (b *bucket) free() bool { return b.level-float64(b.inflight) >= 1 }

// network is what counts as one address: an IPv4 address, or the /64 that one
// IPv6 customer has.
func network(address string) string {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.String()
		}
	}
	return ip.String()
}
