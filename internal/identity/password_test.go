package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog/catalogtest"
)

// referenceHash is from the tests of the reference implementation
// (P-H-C/phc-winner-argon2:src/test.c): "password" with 64 MiB and 2 passes.
const referenceHash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

func TestReferenceVector(t *testing.T) {
	h := newHasher(cheap, 1)
	for password, want := range map[string]bool{"password": true, "passwore": false} {
		ok, stale, err := h.matches(t.Context(), referenceHash, password)
		if err != nil || ok != want || !stale {
			t.Errorf("%s: got %v, %v, %v", password, ok, stale, err)
		}
	}
}

func TestHashes(t *testing.T) {
	h := newHasher(cheap, 1)
	a, err := h.hash(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := h.hash(t.Context(), "x"); a == b {
		t.Error("no salt")
	}
	if ok, stale, err := h.matches(t.Context(), a, "x"); !ok || stale || err != nil {
		t.Errorf("got %v, %v, %v", ok, stale, err)
	}
	if ok, _, err := h.matches(t.Context(), "", ""); ok || err != nil {
		t.Errorf("no password: got %v, %v", ok, err)
	}
	if ok, _, err := h.matches(t.Context(), "plain", "plain"); ok || err == nil {
		t.Errorf("not a hash: got %v, %v", ok, err)
	}
}

// No more than the set number of hashes run at one time; a full waiting room
// sends people away, and who gives up leaves.
func TestHashesAtOnce(t *testing.T) {
	h := newHasher(Params{Memory: 1 << 10, Time: 1, Threads: 1}, 2)
	var most atomic.Int64
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			default:
				if n := int64(len(h.running)); n > most.Load() {
					most.Store(n)
				}
			}
		}
	}()
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			if _, _, err := h.matches(t.Context(), "", "x"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	close(stop)
	if most.Load() > 2 {
		t.Errorf("%d at once", most.Load())
	}

	for range 2 {
		h.running <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	for range maxWaiting {
		wg.Go(func() { _, _ = h.hash(ctx, "x") })
	}
	for len(h.waiting) < maxWaiting {
		time.Sleep(time.Millisecond)
	}
	_, err := h.hash(t.Context(), "x")
	wantCode(t, err, kuva.CodeThrottled)
	cancel()
	wg.Wait()
	if len(h.waiting) != 0 {
		t.Errorf("%d still wait", len(h.waiting))
	}
}

// An unknown user takes as long as a known one. The medians of interleaved
// pairs are compared loosely; without the dummy hash they differ by a factor
// of far more than two.
func TestUnknownUserTakesAsLong(t *testing.T) {
	f := newFixture(t, catalogtest.SQLite(t), Config{Throttle: Throttle{AccountBurst: 1000, AddressBurst: 1000}})
	slow := Params{Memory: 4 << 10, Time: 2, Threads: 1}
	s := New(f.db, Config{Params: slow, Throttle: Throttle{AccountBurst: 1000, AddressBurst: 1000}})
	if _, err := s.LogInPassword(t.Context(), LogIn{User: Ref{Name: "admin"}, Password: canary}); err != nil {
		t.Fatal(err) // renews the hash with the slow costs
	}
	var took [2][]time.Duration
	for range 41 {
		for i, name := range []string{"admin", "nobody"} {
			began := time.Now()
			_, err := s.LogInPassword(t.Context(), LogIn{User: Ref{Name: name}, Password: "wrong"})
			took[i] = append(took[i], time.Since(began))
			wantCode(t, err, kuva.CodeUnauthenticated)
		}
	}
	slices.Sort(took[0])
	slices.Sort(took[1])
	known, unknown := took[0][20], took[1][20]
	if unknown*3 < known*2 || known*3 < unknown*2 {
		t.Errorf("medians: known %v, unknown %v", known, unknown)
	}
}

// A log-in stores the hash anew when the costs have changed, and the tokens
// that there are stay.
func TestRehash(t *testing.T) {
	onBoth(t, Config{}, func(t *testing.T, f *fixture) {
		dearer := Params{Memory: 128, Time: 2, Threads: 1}
		node := New(f.db, Config{Params: dearer, Now: f.clock.now, Mono: f.clock.elapsed})
		stored := func() phc {
			_, s, err := f.firstUser(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			h, err := parsePHC(s)
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		if stored().Params != cheap {
			t.Fatal("not cheap")
		}
		tok, err := node.LogInPassword(t.Context(), LogIn{User: Ref{Name: "admin"}, Password: canary})
		if err != nil {
			t.Fatal(err)
		}
		if stored().Params != dearer {
			t.Error("not renewed")
		}
		f.valid(t, tok.Secret.Reveal())
		f.valid(t, f.token)
	})
}

func TestChangePassword(t *testing.T) {
	onBoth(t, Config{MinPassword: 8}, func(t *testing.T, f *fixture) {
		_, u := f.alice(t, RoleReader)
		p := kuva.Principal{}
		wantCode(t, f.ChangePassword(t.Context(), u.ID, "wrong", "longer than eight", p), kuva.CodeUnauthenticated)
		wantCode(t, f.ChangePassword(t.Context(), newID(), "wrong", "longer than eight", p), kuva.CodeUnauthenticated)
		wantCode(t, f.ChangePassword(t.Context(), "", "wrong", "longer than eight", p), kuva.CodeUnauthenticated)
		wantCode(t, f.ChangePassword(t.Context(), u.ID, canary+"1", "short", p), kuva.CodeInvalid)
		wantCode(t, f.ChangePassword(t.Context(), u.ID, canary+"1", "", p), kuva.CodeInvalid)
		if err := f.ChangePassword(t.Context(), u.ID, canary+"1", canary+"2", p); err != nil {
			t.Fatal(err)
		}
		f.login(t, "alice", canary+"2")
		_, err := f.attempt("alice", canary+"1")
		wantCode(t, err, kuva.CodeUnauthenticated)
	})
}

func TestSecret(t *testing.T) {
	s := struct{ P Secret }{canary}
	b, _ := json.Marshal(s)
	for _, got := range []string{fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.P, s.P), string(b)} {
		if containsCanary(got) {
			t.Errorf("shown: %s", got)
		}
	}
	if s.P.Reveal() != canary {
		t.Error("not revealed")
	}
}

func FuzzPHC(f *testing.F) {
	f.Add(referenceHash)
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$$")
	f.Add("$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parsePHC(s)
		if err != nil {
			return
		}
		if h.Memory > maxMemory || h.Time > maxTime || h.Threads > maxThreads || h.Memory < 8*uint32(h.Threads) || h.Time == 0 || h.Threads == 0 ||
			len(h.key) < 16 || len(h.key) > 64 || len(h.salt) > 64 {
			t.Errorf("out of bounds: %+v", h.Params)
		}
		if h.String() != s {
			t.Errorf("%q comes back as %q", s, h.String())
		}
	})
}
