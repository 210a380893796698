// Package external checks tokens that another service made, so that kuva takes
// its place in a cloud that has its own users:
//
//	token ─ SHA-256 ─► cache ─ miss, or older than Fresh ─► Source (Keystone)
//	                     └─ Source does not answer: believed until Stale, then 503, never open
//
// A Source is the seam for other providers: whoever can look a token up can be
// one, a verifier of OIDC tokens too.
package external

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"kuva"
)

// Source looks tokens up where they were made. It is used by many goroutines.
type Source interface {
	// Lookup says whom a token stands for. expired asks also for tokens that
	// expired a little while ago. The error for a token that is not valid is
	// CodeUnauthenticated; every other means that nobody can tell now.
	Lookup(ctx context.Context, token string, expired bool) (Answer, error)
}

// Answer is whom a token stands for, and until when.
type Answer struct {
	Principal kuva.Principal // without RequestID and Address
	Expires   time.Time
}

// The defaults and bounds of Config.
const (
	DefaultFresh = time.Minute
	// MaxStale is the longest that a token is believed after it was last
	// looked up with success.
	MaxStale = 5 * time.Minute

	negative   = 5 * time.Second // how long a refusal is remembered
	pause      = 2 * time.Second // how long a source that failed is not waited for where a token is known
	maxEntries = 1 << 16         // tokens in the cache: some 40 MiB when full
	maxToken   = 8 << 10         // bytes
	maxLookups = 64              // at one time
	patience   = 10 * time.Second
)

// Config says how tokens are checked. Source is needed.
type Config struct {
	Source Source
	// Fresh is how long a token is believed without asking again; 0 means
	// DefaultFresh, more than MaxStale is cut to that. A token that was taken
	// back is refused after this time at the latest.
	Fresh time.Duration
	// LogInURL is where clients get tokens, for those who come without.
	LogInURL string
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
	// Mono is time since some moment of this process by a clock that does not
	// jump; nil means the runtime's.
	Mono func() time.Duration
	// Log takes failures of the source; nil drops them.
	Log *slog.Logger
}

// Checker checks tokens. It is used by many goroutines.
type Checker struct {
	cfg     Config
	loads   singleflight.Group
	lookups chan struct{}
	mu      sync.Mutex
	known   map[key]entry
	silent  time.Duration // monotonic: until here the source is not waited for
}

type key struct {
	digest  [sha256.Size]byte
	expired bool
}

// entry is an answer of the source; a refusal has valid false.
type entry struct {
	Answer
	valid bool
	at    time.Duration // monotonic, when the look-up began
}

// New makes a checker. It does no I/O.
func New(cfg Config) *Checker {
	if cfg.Fresh <= 0 {
		cfg.Fresh = DefaultFresh
	}
	cfg.Fresh = min(cfg.Fresh, MaxStale)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Mono == nil {
		began := time.Now()
		cfg.Mono = func() time.Duration { return time.Since(began) }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Checker{cfg: cfg, lookups: make(chan struct{}, maxLookups), known: map[key]entry{}}
}

func refused() error { return kuva.E(kuva.CodeUnauthenticated, "identity.unauthenticated") }

// LogInURL is where clients get tokens.
func (c *Checker) LogInURL() string { return c.cfg.LogInURL }

// Check returns the principal of a valid token: as long as the source says so,
// or said so within Fresh; and where the source does not answer, within
// MaxStale. After that it is CodeUnavailable. Whatever is wrong with a token
// is the same CodeUnauthenticated.
func (c *Checker) Check(ctx context.Context, token string) (kuva.Principal, error) {
	e, err := c.check(ctx, token, false)
	if err != nil {
		return kuva.Principal{}, err
	}
	if !c.cfg.Now().Before(e.Expires) {
		return kuva.Principal{}, refused()
	}
	return e.Principal, nil
}

// Revoked returns CodeUnauthenticated for a token that was taken back, and nil
// for one that is valid or merely expired. It is as fresh as Check.
func (c *Checker) Revoked(ctx context.Context, token string) error {
	_, err := c.check(ctx, token, true)
	return err
}

func (c *Checker) check(ctx context.Context, token string, expired bool) (entry, error) {
	if !plausible(token) {
		return entry{}, refused()
	}
	k := key{sha256.Sum256([]byte(token)), expired}
	e, there, silent := c.get(k)
	age := c.cfg.Mono() - e.at
	if there && (e.valid && age < c.cfg.Fresh || !e.valid && age < negative || e.valid && silent && age < MaxStale) {
		return e.result()
	}
	now, err := c.load(ctx, k, token)
	if err == nil {
		return now.result()
	}
	if there && e.valid && age < MaxStale && ctx.Err() == nil {
		return e.result()
	}
	return entry{}, err
}

func (e entry) result() (entry, error) {
	if !e.valid {
		return entry{}, refused()
	}
	return e, nil
}

// load asks the source, once for all who wait for the same token.
func (c *Checker) load(ctx context.Context, k key, token string) (entry, error) {
	name := string(k.digest[:])
	if k.expired {
		name += "x"
	}
	result := c.loads.DoChan(name, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		select {
		case c.lookups <- struct{}{}:
			defer func() { <-c.lookups }()
		case <-ctx.Done():
			return entry{}, kuva.E(kuva.CodeUnavailable, "identity.source_silent").Because(ctx.Err())
		}
		e := entry{at: c.cfg.Mono()}
		answer, err := c.cfg.Source.Lookup(ctx, token, k.expired)
		switch {
		case err == nil:
			e.Answer, e.valid = answer, true
		case kuva.CodeOf(err) != kuva.CodeUnauthenticated:
			c.cfg.Log.Warn("token could not be looked up", "error", err)
			c.mu.Lock()
			c.silent = c.cfg.Mono() + pause
			c.mu.Unlock()
			return entry{}, kuva.E(kuva.CodeUnavailable, "identity.source_silent").Because(err)
		}
		c.put(k, e)
		return e, nil
	})
	select {
	case r := <-result:
		return r.Val.(entry), r.Err
	case <-ctx.Done():
		return entry{}, ctx.Err()
	}
}

func (c *Checker) get(k key) (e entry, there, silent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, there = c.known[k]
	return e, there, c.cfg.Mono() < c.silent
}

// put remembers an answer; a full cache forgets what is too old to be
// believed among some entries looked at, else one at random.
func (c *Checker) put(k key, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.known[k]; !there && len(c.known) >= maxEntries {
		seen := 0
		var victim key
		for old, x := range c.known { // Go starts at a random place
			if victim = old; c.cfg.Mono()-x.at >= MaxStale || !x.valid {
				delete(c.known, old)
			}
			if seen++; seen >= 32 {
				break
			}
		}
		if len(c.known) >= maxEntries {
			delete(c.known, victim)
		}
	}
	c.known[k] = e
}

// plausible keeps what cannot be a token from a header of the look-up.
func plausible(token string) bool {
	if token == "" || len(token) > maxToken {
		return false
	}
	for _, b := range []byte(token) {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}
