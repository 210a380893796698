package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// dial connects to host:port. A name is resolved once; if one of its
// addresses is forbidden none is dialled, because a name that leads inside in
// one answer of two is not somebody's mistake. What is dialled are the
// addresses that were checked, never the name, and the socket's own address is
// checked once more.
func (f *Fetcher) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Connect)
	defer cancel()
	if p := f.cfg.Proxy; p != nil {
		if address != hostPort(p) {
			return nil, fmt.Errorf("%w: %s is not the proxy", errForbidden, address)
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addresses, err := f.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Control: f.control}
	var errs []error
	for i, a := range addresses {
		// A dead address must not use up the time of those that follow.
		try, done := context.WithTimeout(ctx, f.share(ctx, len(addresses)-i))
		conn, err := dialer.DialContext(try, "tcp", net.JoinHostPort(a.String(), port))
		done()
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// share is an even part of the time that is left.
func (f *Fetcher) share(ctx context.Context, n int) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return f.cfg.Connect
	}
	return time.Until(end) / time.Duration(n)
}

// maxAddresses of one name are looked at; more than that nobody needs.
const maxAddresses = 16

func (f *Fetcher) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	var out []netip.Addr
	if a, err := netip.ParseAddr(strings.TrimSuffix(host, ".")); err == nil {
		out = []netip.Addr{a}
	} else if out, err = f.cfg.Resolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("the name has no address")
	}
	for i, a := range out {
		if err := f.cfg.checkAddress(a); err != nil {
			return nil, err
		}
		out[i] = a.Unmap()
	}
	return out[:min(len(out), maxAddresses)], nil
}

// control sees the address that the kernel is about to connect to.
func (f *Fetcher) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", errForbidden, address)
	}
	return f.cfg.checkAddress(ap.Addr())
}
