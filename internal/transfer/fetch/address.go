package fetch

import (
	"errors"
	"fmt"
	"net/netip"
)

// errForbidden is why an address was not dialled.
var errForbidden = errors.New("address is not public")

// The networks of IPv4 that are not the public internet, by the registry of
// special-purpose addresses (IANA, RFC 6890), with multicast and what is
// reserved.
var special4 = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
	"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)

// Of IPv6 only 2000::/3 is given out to the public. That leaves out loopback,
// mapped and compatible IPv4, NAT64, unique local, link-local, site-local and
// multicast; inside of it these are special: protocol assignments with Teredo
// and ORCHID, documentation, 6to4, AS112.
var (
	public6  = netip.MustParsePrefix("2000::/3")
	special6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Public reports whether an address belongs to the public internet. An IPv4
// address inside an IPv6 one is judged as that IPv4 address where the kernel
// would connect to it (::ffff:0:0/96), and is never public where a gateway
// would (NAT64, 6to4, Teredo).
func Public(a netip.Addr) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	if a = a.Unmap(); a.Is4() {
		return !within(special4, a)
	}
	return public6.Contains(a) && !within(special6, a)
}

// checkAddress says whether a socket may connect there.
func (c *Config) checkAddress(a netip.Addr) error {
	if a.Zone() == "" {
		a = a.Unmap()
		switch {
		case within(c.DenyNetworks, a):
		case within(c.AllowNetworks, a), Public(a):
			return nil
		}
	}
	return fmt.Errorf("%w: %s", errForbidden, a)
}
