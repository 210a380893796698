package rest

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

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
	control *http.ResponseController
	patient time.Duration // with a small body
}

// BodyWithin is how long a small body, such as JSON, may take to arrive. The
// bytes of images have no such limit: the doors end transfers that stand still.
const BodyWithin = 30 * time.Second

// hurry bounds the time for reading a small body, so that a sender who drips
// holds no goroutine for long. Call the result with the reading's error: where
// it failed the limit stays, because net/http reads what is left of a body
// before it answers.
func hurry(r *http.Request) (done func(err error)) {
	c := CallOf(r.Context())
	if c.control == nil || c.control.SetReadDeadline(time.Now().Add(c.patient)) != nil {
		return func(error) {} // not a network connection
	}
	return func(err error) {
		if err == nil || err == io.EOF {
			_ = c.control.SetReadDeadline(time.Time{})
		}
	}
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
