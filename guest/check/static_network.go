package check

import (
	"net/netip"
	"strings"

	"kuva/guest/fact"
)

// staticNetwork: interfaces with an address of their own. Every clone would
// take the same one, in a network that may not have it.
var staticNetwork = &Check{
	ID: "access-static-network", Severity: Access,
	Rows: []string{"S2-11", "S2-12", "S2-13", "S2-27", "S2-28", "S2-29", "S3-33", "S0-24", "S0-25", "S1-12", "S3-10", "X-11"},
	Run: func(s *Subject) error {
		var worst *Finding
		for _, i := range interfaces(s.Facts) {
			if i.Method != fact.MethodStatic || local(i.Addresses) {
				continue
			}
			if worst == nil {
				worst = s.Find()
			}
			value := i.Name + ": " + strings.Join(i.Addresses, ", ")
			if i.Gateway != "" {
				value += ", gateway " + i.Gateway
			}
			if len(i.Routes) > 0 {
				value += ", routes " + strings.Join(i.Routes, ", ")
			}
			if len(i.DNS) > 0 {
				value += ", DNS " + strings.Join(i.DNS, ", ")
			}
			if r := s.reserved(i.Addresses); r != "" {
				value += " (reserved by this site: " + r + ")"
			}
			worst.See(Evidence{Path: i.File, Line: i.Line, Value: value})
			worst.As(i.Renderer)
		}
		return nil
	},
}

func interfaces(f *fact.Facts) []fact.Interface {
	if f.Windows != nil {
		return append(f.Network.Interfaces, f.Windows.Adapters...)
	}
	return f.Network.Interfaces
}

// local: loopback and link-local addresses, which every machine may have.
func local(addresses []string) bool {
	for _, a := range addresses {
		ip, ok := address(a)
		if !ok || !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			return false
		}
	}
	return len(addresses) > 0
}

func address(text string) (netip.Addr, bool) {
	host, _, _ := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(strings.TrimSpace(host))
	return ip, err == nil
}

// reserved names the range of the site that an address lies in.
func (s *Subject) reserved(addresses []string) string {
	for _, a := range addresses {
		if ip, ok := address(a); ok {
			for _, r := range s.Reserved {
				if r.Contains(ip) {
					return r.String()
				}
			}
		}
	}
	return ""
}
