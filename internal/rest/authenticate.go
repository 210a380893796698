package rest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"kuva"
)

// HeaderToken names the header that carries the caller's token. Nothing else
// does: no cookie, no query parameter, no identity header of a middleware.
const HeaderToken = "X-Auth-Token"

// Authenticator checks tokens. Both methods may be called by many goroutines.
type Authenticator interface {
	// Check returns the principal of a valid token, without RequestID and
	// Address. Everything that is wrong with a token is the same
	// CodeUnauthenticated error.
	Check(ctx context.Context, token string) (kuva.Principal, error)
	// Revoked returns CodeUnauthenticated for a token that was taken back,
	// and nil for one that is valid or merely expired.
	Revoked(ctx context.Context, token string) error
}

// headerLogIn tells clients without a valid token where to get one.
const headerLogIn = "WWW-Authenticate"

// Authenticate lets calls with a valid token through to next, which finds the
// caller by PrincipalOf; others get 401. A token that is limited by access
// rules is valid for what they allow.
func (d *Door) Authenticate(a Authenticator, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := authenticate(a, r)
		if err != nil {
			if other, ok := a.(interface{ LogInURL() string }); ok && kuva.CodeOf(err) == kuva.CodeUnauthenticated {
				w.Header().Set(headerLogIn, `Keystone uri="`+other.LogInURL()+`"`) // another service makes the tokens
			}
			d.Fail(w, r, err)
			return
		}
		call := CallOf(r.Context())
		p.RequestID, p.Address = call.RequestID, Address(r)
		call.Principal, call.token, call.checker = p, r.Header.Get(HeaderToken), a
		next.ServeHTTP(w, r)
	})
}

func authenticate(a Authenticator, r *http.Request) (kuva.Principal, error) {
	token := r.Header.Get(HeaderToken)
	if token == "" {
		return kuva.Principal{}, kuva.E(kuva.CodeUnauthenticated, "identity.unauthenticated")
	}
	p, err := a.Check(r.Context(), token)
	if err != nil {
		return kuva.Principal{}, err
	}
	if service, path := serviceOf(r.URL.Path); !p.Allows(service, r.Method, path) {
		// As the reference's services answer: the token is not one for this.
		return kuva.Principal{}, kuva.E(kuva.CodeUnauthenticated, "identity.access_rules")
	}
	return p, nil
}

// serviceOf says to which service of the catalogue a path belongs, and the path
// below that service's address, as access rules name them. The service's own
// API is the image service's, too: /kuva/v1/jobs.
func serviceOf(path string) (service, rest string) {
	if below, ok := strings.CutPrefix(path, "/identity/"); ok {
		return "identity", "/" + below
	}
	if below, ok := strings.CutPrefix(path, "/image/"); ok {
		return "image", "/" + below
	}
	return "image", path
}

// guardEvery is how often a body that is being read asks whether its token
// still stands.
const guardEvery = 5 * time.Second

// GuardedBody is the body of an upload that goes on after its token expired,
// but not after it was revoked: reading fails with CodeUnauthenticated within
// 5 s of that, and at the latest where the body ends, so that nothing sent by
// a revoked token is committed.
func GuardedBody(r *http.Request) io.ReadCloser {
	call := CallOf(r.Context())
	if call.checker == nil {
		return r.Body
	}
	return StillBody(r.Body, func() error { return call.checker.Revoked(r.Context(), call.token) })
}

// StillBody is a body that is read as long as still has no objection: it is
// asked every 5 s, and where the body ends, and its error ends the reading.
func StillBody(body io.ReadCloser, still func() error) io.ReadCloser {
	return &guardedBody{ReadCloser: body, still: still, asked: time.Now()}
}

type guardedBody struct {
	io.ReadCloser
	still func() error
	asked time.Time // compared by the monotonic clock
}

func (g *guardedBody) Read(p []byte) (int, error) {
	n, err := g.ReadCloser.Read(p)
	if err == io.EOF || time.Since(g.asked) > guardEvery {
		g.asked = time.Now()
		if err := g.still(); err != nil {
			return 0, err
		}
	}
	return n, err
}
