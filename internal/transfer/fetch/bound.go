package fetch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// boundHeader is how long the header of an answer may take where the other
// side has work to do before it, such as putting an object together.
const boundHeader = 5 * time.Minute

// Bound is a way to one origin for a protocol on top of HTTP that sends
// credentials, such as S3. It goes through the same checks of addresses as
// Open, keeps connections, follows no redirect, and refuses requests to any
// other scheme, host or port.
type Bound struct {
	f       *Fetcher
	origin  *url.URL
	names   []string // hosts below these belong to the origin too
	carrier *http.Transport
}

// Bind makes a Bound for the scheme, host and port of an address. Hosts below
// those of below are taken for the origin as well, with its scheme and port.
// The error is CodeInvalid, as of Check. CloseIdleConnections ends it.
func (f *Fetcher) Bind(address string, below ...string) (*Bound, error) {
	u, err := f.cfg.parse(address)
	if err != nil {
		return nil, f.Check(address)
	}
	carrier := f.client.Transport.(*http.Transport).Clone()
	carrier.DisableKeepAlives = false
	carrier.MaxIdleConnsPerHost = 8
	carrier.IdleConnTimeout = 30 * time.Second
	carrier.ResponseHeaderTimeout = boundHeader
	// One connection a request: a part that stalls must not stall the others.
	carrier.ForceAttemptHTTP2 = false
	return &Bound{f, u, below, carrier}, nil
}

// RoundTrip implements http.RoundTripper.
func (b *Bound) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := b.check(req.URL); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	return b.carrier.RoundTrip(req)
}

// CloseIdleConnections gives connections back that nobody uses.
func (b *Bound) CloseIdleConnections() { b.carrier.CloseIdleConnections() }

func (b *Bound) check(u *url.URL) error {
	if err := b.f.cfg.check(u); err != nil {
		return err
	}
	if sameOrigin(u, b.origin) {
		return nil
	}
	pu, errU := portOf(u)
	po, errO := portOf(b.origin)
	if errU == nil && errO == nil && pu == po && u.Scheme == b.origin.Scheme {
		host := strings.ToLower(u.Hostname())
		for _, name := range b.names {
			if strings.HasSuffix(host, "."+strings.ToLower(name)) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: another origin than the one that was named", errForbidden)
}

// Fail is what Open answers for whatever goes wrong before the first byte: one
// error, told after the same time since begun, while the log has the cause.
// Without it the first answer of an address would tell what lies inside the
// operator's network.
func (f *Fetcher) Fail(ctx context.Context, begun time.Time, host string, why error) error {
	f.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "fetch failed", slog.String("host", host), slog.String("error", quiet(why).Error()))
	wait := time.NewTimer(f.cfg.Failure - time.Since(begun)%f.cfg.Failure)
	defer wait.Stop()
	select {
	case <-wait.C:
		return failed(errors.New(quiet(why).Error()))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
