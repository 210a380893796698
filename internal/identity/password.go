package identity

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"time"

	"golang.org/x/crypto/argon2"

	"kuva"
)

const (
	// MaxPassword is the longest password taken, in bytes. It bounds the work
	// before the hash proper.
	MaxPassword = 1024
	// maxWaiting is how many log-ins may wait for their turn to hash.
	maxWaiting = 256
)

// hasher makes and compares password hashes, a bounded number at one time.
type hasher struct {
	params  Params
	running chan struct{} // a place for each hash under way
	waiting chan struct{}
	dummy   phc // compared where there is no user
}

func newHasher(p Params, atOnce int) *hasher {
	h := &hasher{params: p, running: make(chan struct{}, atOnce), waiting: make(chan struct{}, maxWaiting)}
	h.dummy = phc{Params: p, salt: randomBytes(saltLen), key: randomBytes(keyLen)}
	return h
}

// enter waits for a place. Whoever finds the waiting room full is sent away.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, kuva.E(kuva.CodeThrottled, "identity.busy").Because(retryError(time.Second))
	}
	defer func() { <-h.waiting }()
	select {
	case h.running <- struct{}{}:
		return func() { <-h.running }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func derive(password string, h phc) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.Time, h.Memory, h.Threads, uint32(len(h.key)))
}

// hash makes the stored form of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	out := phc{Params: h.params, salt: randomBytes(saltLen), key: make([]byte, keyLen)}
	out.key = derive(password, out)
	return out.String(), nil
}

// matches compares a password with a stored hash. stored "" (no such user, or
// one without a password) takes the same time and never matches. stale says
// that the hash was made with other costs than today's.
func (h *hasher) matches(ctx context.Context, stored, password string) (ok, stale bool, err error) {
	want, known := h.dummy, false
	if stored != "" {
		if want, err = parsePHC(stored); err != nil {
			return false, false, err
		}
		known = true
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	equal := subtle.ConstantTimeCompare(derive(password, want), want.key) == 1
	return equal && known, want.Params != h.params, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}
