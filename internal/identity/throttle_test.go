package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog/catalogtest"
)

func containsCanary(s string) bool { return strings.Contains(s, "c4n4ry") }

// After ten failures even the right password waits, for known and unknown
// users alike, however the user is named; other accounts go on.
func TestThrottleAccount(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		_, u := f.alice(t, RoleReader)
		for name, refs := range map[string][]Ref{
			"known":   {{ID: u.ID}, {Name: "alice"}, {Name: "alice", DomainName: "Default"}, {Name: "alice", DomainID: "default"}},
			"unknown": {{Name: "bob"}, {Name: "bob", DomainName: "Default"}, {Name: "bob", DomainID: "default"}},
		} {
			in := LogIn{Password: "wrong", Address: "192.0.2.7"}
			for i := range 10 {
				in.User = refs[i%len(refs)]
				_, err := f.LogInPassword(t.Context(), in)
				wantCode(t, err, kuva.CodeUnauthenticated)
			}
			for _, r := range refs {
				in.User, in.Password = r, canary+"1"
				_, err := f.LogInPassword(t.Context(), in)
				wantCode(t, err, kuva.CodeThrottled)
				var wait interface{ RetryAfter() time.Duration }
				if !errors.As(err, &wait) || wait.RetryAfter() <= 0 || wait.RetryAfter() > 6*time.Second {
					t.Errorf("%s: %v", name, err)
				}
			}
			f.login(t, "admin", canary)
		}
		f.clock.jump(10*365*24*time.Hour, 0) // the wall clock opens nothing
		_, err := f.attempt("alice", canary+"1")
		wantCode(t, err, kuva.CodeThrottled)
		f.clock.jump(-10*365*24*time.Hour, 6*time.Second)
		f.login(t, "alice", canary+"1")
	})
}

// A stranger who guesses does not lock out somebody who has logged in before,
// and that somebody's address may not guess for ever either.
func TestThrottleKnownAddress(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{}) // the administrator logged in from 192.0.2.1
	in := LogIn{User: Ref{Name: "admin"}, Password: "wrong", Address: "198.51.100.1"}
	for range 11 {
		_, _ = f.LogInPassword(t.Context(), in)
	}
	in.Password = canary
	_, err := f.LogInPassword(t.Context(), in)
	wantCode(t, err, kuva.CodeThrottled)
	f.login(t, "admin", canary)
	for range 10 {
		_, err = f.attempt("admin", "wrong")
		wantCode(t, err, kuva.CodeUnauthenticated)
	}
	_, err = f.attempt("admin", canary)
	wantCode(t, err, kuva.CodeThrottled)
}

// An attempt that compared nothing is neither a failure nor a log-in.
func TestThrottleNoOutcome(t *testing.T) {
	th := newThrottle(Throttle{AccountBurst: 2}, func() time.Duration { return 0 })
	for range 5 {
		done, err := th.begin(t.Context(), "a", "192.0.2.1")
		if err != nil {
			t.Fatal(err)
		}
		done(outcomeNone)
	}
	if len(th.known) != 0 {
		t.Error("became known")
	}
}

// One address does not try many accounts; an IPv6 customer is one address.
func TestThrottleAddress(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{})
	in := LogIn{Password: "wrong"}
	for i := range 60 {
		in.User = Ref{Name: fmt.Sprint("user", i)}
		in.Address = fmt.Sprintf("2001:db8::%x", i)
		_, err := f.LogInPassword(t.Context(), in)
		wantCode(t, err, kuva.CodeUnauthenticated)
	}
	in.User, in.Password = Ref{Name: "admin"}, canary
	_, err := f.LogInPassword(t.Context(), in)
	wantCode(t, err, kuva.CodeThrottled)
	in.Address = "2001:db8:0:1::1"
	if _, err := f.LogInPassword(t.Context(), in); err != nil {
		t.Error(err)
	}
}

// Guesses sent at once get no further than guesses in a row, and right
// passwords sent at once all succeed.
func TestThrottleAtOnce(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{})
	var wg sync.WaitGroup
	var tried, throttled, in atomic.Int64
	for range 50 {
		wg.Go(func() {
			switch _, err := f.attempt("nobody", "wrong"); kuva.CodeOf(err) {
			case kuva.CodeUnauthenticated:
				tried.Add(1)
			case kuva.CodeThrottled:
				throttled.Add(1)
			}
		})
		wg.Go(func() {
			if _, err := f.LogInPassword(context.Background(), LogIn{User: Ref{Name: "admin"}, Password: canary, Address: "192.0.2.9"}); err == nil {
				in.Add(1)
			}
		})
	}
	wg.Wait()
	if tried.Load() != 10 || throttled.Load() != 40 || in.Load() != 50 {
		t.Errorf("tried %d, throttled %d, logged in %d", tried.Load(), throttled.Load(), in.Load())
	}
}

// A caller that goes away while it waits leaves.
func TestThrottleCancelled(t *testing.T) {
	th := newThrottle(Throttle{AccountBurst: 1}, func() time.Duration { return 0 })
	done, err := th.begin(t.Context(), "a", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := th.begin(ctx, "a", "192.0.2.1"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	done(outcomeWrong)
	_, err = th.begin(t.Context(), "a", "192.0.2.1")
	wantCode(t, err, kuva.CodeThrottled)
}

// The maps are bounded, and a flood does not make them forget the account
// that is under attack.
func TestThrottleBounds(t *testing.T) {
	th := newThrottle(Throttle{AddressBurst: 1 << 30}, func() time.Duration { return 0 })
	fail := func(key string) error {
		done, err := th.begin(t.Context(), key, "192.0.2.1")
		if err == nil {
			done(outcomeWrong)
		}
		return err
	}
	for range 10 {
		if err := fail("victim"); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxBuckets * 2 {
		if err := fail(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(th.accounts.byKey); n > maxBuckets {
		t.Errorf("%d buckets", n)
	}
	wantCode(t, fail("victim"), kuva.CodeThrottled)
}
