package fetch

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kuva"
)

// maxURL bounds an address, in bytes.
const maxURL = 8 << 10

// Check refuses an address that would not be asked, by what is written there
// and the lists of the site alone: nothing is resolved and nobody is asked.
// The error is CodeInvalid and says no more than that.
func (f *Fetcher) Check(address string) error {
	if _, err := f.cfg.parse(address); err != nil {
		return kuva.E(kuva.CodeInvalid, "fetch.refused", "schemes", strings.Join(f.cfg.Schemes, ", ")).Because(err)
	}
	return nil
}

// parse reads an address strictly: what two readers could understand
// differently is refused.
func (c *Config) parse(address string) (*url.URL, error) {
	if len(address) > maxURL {
		return nil, errors.New("longer than 8 KiB")
	}
	for _, r := range address {
		if r <= ' ' || r >= 0x7f || r == '\\' {
			return nil, fmt.Errorf("holds the character %U; names outside ASCII are written as xn--", r)
		}
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("malformed") // the error of url would repeat all of it
	}
	return u, c.check(u)
}

// check holds a parsed address, one of a redirect for example, to the rules.
func (c *Config) check(u *url.URL) error {
	switch {
	case !slices.Contains(c.Schemes, u.Scheme):
		return fmt.Errorf("scheme %.20q is not allowed", u.Scheme)
	case u.Opaque != "" || u.Host == "":
		return errors.New("no host")
	case u.User != nil:
		return errors.New("user or password in the address")
	}
	port, err := portOf(u)
	if err != nil {
		return err
	}
	return c.checkHost(u.Host, u.Hostname(), port)
}

func portOf(u *url.URL) (uint16, error) {
	text := u.Port()
	if text == "" {
		if strings.HasSuffix(u.Host, ":") {
			return 0, errors.New("a colon without a port")
		}
		if u.Scheme == "https" {
			return 443, nil
		}
		return 80, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || text[0] == '0' {
		return 0, errors.New("the port is no number")
	}
	return uint16(n), nil
}

// checkHost judges the host as it is written. Whatever it resolves to is
// judged when it is dialled.
func (c *Config) checkHost(written, host string, port uint16) error {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	if strings.HasPrefix(written, "[") || strings.Contains(host, ":") {
		a, err := netip.ParseAddr(host)
		if err != nil || !strings.HasPrefix(written, "[") {
			return errors.New("malformed IPv6 address")
		}
		name = a.Unmap().String()
		if err := c.checkAddress(a); err != nil {
			return err
		}
	} else if a, err := netip.ParseAddr(name); err == nil {
		if err := c.checkAddress(a); err != nil {
			return err
		}
	} else if err := checkName(name); err != nil {
		return err
	}
	return c.checkLists(name, port)
}

// checkName lets names through as DNS has them. A last label of digits is no
// name but some spelling of an IPv4 address (2130706433, 0x7f.1, 127.1), which
// resolvers understand differently.
func checkName(name string) error {
	if name == "" || len(name) > 253 {
		return errors.New("empty or long host name")
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("malformed host name")
		}
		for _, r := range []byte(label) {
			if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return errors.New("malformed host name")
			}
		}
	}
	last := labels[len(labels)-1]
	digits := strings.TrimLeft(last, "0123456789") == ""
	hex := strings.HasPrefix(last, "0x") && strings.TrimLeft(last[2:], "0123456789abcdef") == ""
	if digits || hex {
		return errors.New("an address in an unusual spelling")
	}
	return nil
}

func (c *Config) checkLists(name string, port uint16) error {
	plain, withPort := listed(c.AllowHosts, name, port)
	usual := slices.Contains(c.Ports, port)
	if len(c.AllowHosts) > 0 {
		switch {
		case withPort, plain && usual:
			return nil
		case plain:
			return fmt.Errorf("port %d is not allowed", port)
		}
		return errors.New("host is not on the list of those allowed")
	}
	if !usual {
		return fmt.Errorf("port %d is not allowed", port)
	}
	if plain, withPort := listed(c.DenyHosts, name, port); plain || withPort {
		return errors.New("host is on the list of those denied")
	}
	return nil
}

// listed looks for a name in patterns: a name, or with a dot in front all names
// below it; with :PORT behind it, that port alone. It tells both kinds apart.
func listed(patterns []string, name string, port uint16) (plain, withPort bool) {
	for _, p := range patterns {
		p, at := SplitPattern(p)
		if p != name && (!strings.HasPrefix(p, ".") || !strings.HasSuffix(name, p)) {
			continue
		}
		switch at {
		case "":
			plain = true
		case strconv.Itoa(int(port)):
			withPort = true
		}
	}
	return plain, withPort
}

// SplitPattern divides an entry of a list of hosts into the name, in the form
// that names are compared in, and the port behind it, "" where there is none.
func SplitPattern(p string) (name, port string) {
	if rest, ok := strings.CutPrefix(p, "["); ok { // IPv6 with a port
		name, port, _ = strings.Cut(rest, "]")
		return strings.ToLower(name), strings.TrimPrefix(port, ":")
	}
	if strings.Count(p, ":") == 1 {
		p, port, _ = strings.Cut(p, ":")
	}
	return strings.ToLower(strings.TrimSuffix(p, ".")), port
}

// sameOrigin compares scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	pa, errA := portOf(a)
	pb, errB := portOf(b)
	return errA == nil && errB == nil && pa == pb && a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname())
}

// hostPort is where a URL without a port leads to as well, for the proxy.
func hostPort(u *url.URL) string {
	if p := u.Port(); p != "" {
		return net.JoinHostPort(u.Hostname(), p)
	}
	switch u.Scheme {
	case "https":
		return net.JoinHostPort(u.Hostname(), "443")
	case "socks5", "socks5h":
		return net.JoinHostPort(u.Hostname(), "1080")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}
