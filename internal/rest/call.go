package rest

import (
	"context"
	"net"
	"net/http"

	"kuva"
)

// Call is what the frame knows of one request. It is written by the
// goroutine that serves the request and by no other.
type Call struct {
	// RequestID begins with "req-" and is at most 68 bytes long.
	RequestID string
	// Pattern is the matched route, "" where none matched. Metrics and logs
	// use it instead of the path, which holds ids.
	Pattern string
	// Principal is the caller. It is the zero value before Authenticate.
	Principal kuva.Principal

	token   string
	checker Authenticator
	err     error // that the answer was made from, for the log
}

type callKey struct{}

// CallOf returns the call that ctx belongs to, an empty one where ctx comes
// from outside Door.Wrap.
func CallOf(ctx context.Context) *Call {
	if c, ok := ctx.Value(callKey{}).(*Call); ok {
		return c
	}
	return &Call{}
}

// PrincipalOf returns the caller that Authenticate found. It is the zero
// Principal, which may do nothing, on routes without Authenticate.
func PrincipalOf(ctx context.Context) kuva.Principal { return CallOf(ctx).Principal }

// Token returns the checked token of the call, "" where there is none. It is
// a secret: it goes into no log, error or metric.
func (c *Call) Token() string { return c.token }

// Address gives the caller's address without the port. Headers such as
// X-Forwarded-For are never believed: whoever connects could send them.
func Address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// PublicURL is the address that clients reach the service at, without a slash
// at the end. configured wins; without one it is made from the request.
func PublicURL(configured string, r *http.Request) string {
	if configured != "" {
		return configured
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}
