package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kuva/internal/images"
	"kuva/internal/transfer"
	"kuva/internal/transfer/fetch"
)

// ImportConfig says what the service fetches for its users. Without it they
// may name any public address on ports 80 and 443.
type ImportConfig struct {
	// WebDownload lets users fetch from URLs [true].
	WebDownload *bool `yaml:"web_download"`
	// Schemes are http, https or both [both], Ports those that may be asked
	// [80, 443].
	Schemes []string `yaml:"schemes"`
	Ports   []uint16 `yaml:"ports"`
	// AllowHosts are the only ones that may be asked, DenyHosts those that may
	// not where no AllowHosts are given. .example.org is all names below it,
	// example.org:8080 that port alone, which Ports need not have.
	AllowHosts []string `yaml:"allow_hosts"`
	DenyHosts  []string `yaml:"deny_hosts"`
	// AllowNetworks may be reached although they are not public, such as
	// 10.1.2.0/24; DenyNetworks may not although they are.
	AllowNetworks []string `yaml:"allow_networks"`
	DenyNetworks  []string `yaml:"deny_networks"`
	// Proxy is asked for everything. The proxy variables of the environment
	// mean nothing.
	Proxy string `yaml:"proxy"`
	// CACert is a PEM file of authorities that are trusted as well.
	CACert string `yaml:"ca_cert"`
	// AllowDowngrade lets redirects lead from https to http [false].
	AllowDowngrade bool `yaml:"allow_downgrade"`
	// Decompress takes one layer of gzip, xz, bzip2 or zstd off, and the disk out
	// of a tar, OVA or zip [false].
	Decompress bool `yaml:"decompress"`
	// Locations lets users fill images by a location [false].
	Locations bool `yaml:"locations"`
	// Regions are the Image APIs that images may be fetched from, by region.
	Regions map[string]string `yaml:"regions"`
}

// imports makes the configuration of the use cases.
func (c *ImportConfig) imports(log *slog.Logger) (out images.ImportConfig, err error) {
	out.Unpack, out.Locations = c.Decompress, c.Locations
	web := fetch.Config{
		Schemes: c.Schemes, Ports: c.Ports, AllowHosts: c.AllowHosts, DenyHosts: c.DenyHosts, Downgrade: c.AllowDowngrade, Log: log,
	}
	for _, scheme := range c.Schemes {
		if !slices.Contains([]string{"http", "https"}, scheme) {
			return out, fmt.Errorf("schemes: %q: choose http, https or both", scheme)
		}
	}
	for _, pattern := range slices.Concat(c.AllowHosts, c.DenyHosts) {
		name, port := fetch.SplitPattern(pattern)
		if _, err := strconv.ParseUint(port, 10, 16); name == "" || strings.ContainsAny(name, "/*@ ") || port != "" && err != nil {
			return out, fmt.Errorf("allow_hosts, deny_hosts: %q: write HOST, .DOMAIN or HOST:PORT", pattern)
		}
	}
	if web.AllowNetworks, err = networks("allow_networks", c.AllowNetworks); err != nil {
		return out, err
	}
	if web.DenyNetworks, err = networks("deny_networks", c.DenyNetworks); err != nil {
		return out, err
	}
	if c.Proxy != "" {
		u, err := url.Parse(c.Proxy)
		if err != nil || !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) || u.Hostname() == "" {
			return out, errors.New("proxy: write it as http://HOST:PORT")
		}
		web.Proxy = u
	}
	if c.CACert != "" {
		if web.Roots, err = roots(c.CACert); err != nil {
			return out, err
		}
	}
	if c.WebDownload == nil || *c.WebDownload {
		out.Web = transfer.Opener{Fetcher: fetch.New(web)}
	} else if c.Locations {
		return out, errors.New("locations need web_download")
	}
	out.Regions = map[string]images.Region{}
	for name, endpoint := range c.Regions {
		if out.Regions[name], err = transfer.Region(endpoint, web); err != nil {
			return out, fmt.Errorf("regions: %s: %w", name, err)
		}
	}
	return out, nil
}

func networks(name string, texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: write networks as 10.1.2.0/24", name, text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
