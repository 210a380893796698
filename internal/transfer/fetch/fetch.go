// Package fetch opens content by its URL for users of the service. What it
// must never become is their hand inside the operator's network: every address
// is looked at after the name was resolved and again when the socket connects,
// at every redirect anew, and what went wrong is told to the operator's log
// alone.
//
//	url.go      how an address may be written; lists of the site
//	address.go  where a socket may connect to
//	dial.go     resolve once, check every address, dial those and no others
//	open.go     redirects, and what an answer must be
//	range.go    stretches of content, bound to one version of it
//	body.go     limits of time, rate and size; resuming
//
// Nothing is taken from the environment: no proxy, no netrc, no cookies.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"kuva"
)

// Resolver finds the addresses of a name; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Config says what a site lets its users fetch. The zero value is the
// default: https and http, ports 80 and 443, any name whose every address is
// a public one.
type Config struct {
	// Schemes are https, http or both; nil is both.
	Schemes []string
	// Ports are those that may be asked; nil is 80 and 443.
	Ports []uint16
	// AllowHosts, if there are any, are the only names that may be asked:
	// example.org is that name, .example.org all names below it; with :PORT
	// behind it that port alone, whether or not Ports has it. DenyHosts hold
	// only without AllowHosts, as in the reference service.
	AllowHosts []string
	DenyHosts  []string
	// AllowNetworks are let through although they are not public, such as the
	// site's own mirror; DenyNetworks are refused although they are.
	AllowNetworks []netip.Prefix
	DenyNetworks  []netip.Prefix
	// Proxy, if not nil, is asked for everything, and is then the only address
	// that is dialled: what it may reach is its own to decide. Addresses that
	// are written as numbers are checked all the same.
	Proxy *url.URL
	// Roots are the authorities that certificates are checked against; nil is
	// the system's. There is no way to leave them unchecked.
	Roots *x509.CertPool
	// Downgrade lets a redirect lead from https to http.
	Downgrade bool

	Resolver Resolver // nil is the system's, without its C library
	Log      *slog.Logger

	// The limits below are for tests; 0 is what is in brackets.

	Connect   time.Duration // for name, connection and TLS, each [10 s]
	Header    time.Duration // from request to header [15 s]
	Idle      time.Duration // without a byte [30 s]
	Window    time.Duration // over which the rate is measured [60 s]
	MinRate   int64         // bytes a second that must come, over Window [64 KiB]
	Total     time.Duration // for everything [24 h]
	Failure   time.Duration // after which a failure to open is told, always the same [30 s]
	Redirects int           // hops [5]
	Resumes   int           // in a row without a byte between [5]
}

// Fetcher opens URLs. Its methods may be called at the same time.
type Fetcher struct {
	cfg    Config
	client *http.Client
}

// New makes a Fetcher; it touches only memory.
func New(cfg Config) *Fetcher {
	if len(cfg.Schemes) == 0 {
		cfg.Schemes = []string{"https", "http"}
	}
	if len(cfg.Ports) == 0 {
		cfg.Ports = []uint16{80, 443}
	}
	if cfg.Resolver == nil {
		cfg.Resolver = &net.Resolver{PreferGo: true}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		to *time.Duration
		is time.Duration
	}{
		{&cfg.Connect, 10 * time.Second},
		{&cfg.Header, 15 * time.Second},
		{&cfg.Idle, 30 * time.Second},
		{&cfg.Window, time.Minute},
		{&cfg.Total, 24 * time.Hour},
		{&cfg.Failure, 30 * time.Second},
	} {
		if *d.to == 0 {
			*d.to = d.is
		}
	}
	if cfg.MinRate == 0 {
		cfg.MinRate = 64 << 10
	}
	if cfg.Redirects == 0 {
		cfg.Redirects = 5
	}
	if cfg.Resumes == 0 {
		cfg.Resumes = 5
	}
	f := &Fetcher{cfg: cfg}
	transport := &http.Transport{
		DialContext:            f.dial,
		TLSClientConfig:        &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    cfg.Connect,
		ResponseHeaderTimeout:  cfg.Header,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
	}
	if cfg.Proxy != nil {
		transport.Proxy = http.ProxyURL(cfg.Proxy)
	}
	f.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return f
}

// Options are what one Open asks for.
type Options struct {
	// Header goes with requests to the origin (scheme, host, port) of the URL
	// itself, and with no request that a redirect sends elsewhere.
	Header http.Header
	// MaxSize is the most bytes that may come, below 0 any number. One byte
	// more ends the reading with CodeTooLarge.
	MaxSize int64
}

// Info is what is known of content before its first byte.
type Info struct {
	Version
	// Ranges says that stretches of it can be read by Range.
	Ranges bool
}

// failed is the one error for everything that goes wrong out there.
func failed(why error) error { return kuva.E(kuva.CodeInvalid, "fetch.failed").Because(why) }

// broken is the one error for content that ended before it was whole. Its
// cause is text alone: nobody is to take it for an end of file of its own.
func broken(why error) error {
	return kuva.E(kuva.CodeUnavailable, "fetch.broken").Because(errors.New(why.Error()))
}
