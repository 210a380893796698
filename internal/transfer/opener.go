// Package transfer brings content from elsewhere and takes it there: sources
// that feed the one sink of package images.
package transfer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"kuva/internal/images"
	"kuva/internal/transfer/fetch"
)

// Opener lets imports read what a Fetcher may reach.
type Opener struct{ Fetcher *fetch.Fetcher }

// Check implements images.Opener.
func (o Opener) Check(address string) error { return o.Fetcher.Check(address) }

// Open implements images.Opener.
func (o Opener) Open(ctx context.Context, address string, header map[string]string, most int64) (io.ReadCloser, int64, error) {
	r, info, err := o.Fetcher.Open(ctx, address, options(header, most))
	return r, info.Size, err
}

// Range implements images.Ranger.
func (o Opener) Range(ctx context.Context, address string, header map[string]string, v images.Version, off, n int64) (io.ReadCloser, error) {
	return o.Fetcher.Range(ctx, address, options(header, -1), fetch.Version(v), off, n)
}

func options(header map[string]string, most int64) fetch.Options {
	opt := fetch.Options{MaxSize: most, Header: http.Header{}}
	for name, value := range header {
		opt.Header.Set(name, value)
	}
	return opt
}

// Region makes another region's Image API a source. What it reaches is the
// endpoint's host and port and nothing else, wherever that is: the operator
// named it. Tokens that are sent there go nowhere else.
func Region(endpoint string, site fetch.Config) (images.Region, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return images.Region{}, errors.New("write the endpoint of the Image API as https://HOST/PATH, up to and without /v2")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return images.Region{}, errors.New("the port of the endpoint is no number")
	}
	site.Schemes, site.Ports, site.AllowHosts, site.DenyHosts = []string{u.Scheme}, []uint16{uint16(n)}, []string{u.Hostname()}, nil
	site.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	site.DenyNetworks = nil
	o := Opener{fetch.New(site)}
	if err := o.Check(endpoint); err != nil {
		return images.Region{}, err
	}
	return images.Region{Endpoint: endpoint, Opener: o}, nil
}
