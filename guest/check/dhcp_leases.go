package check

import "strings"

// dhcpLeases: a client that finds its old lease asks for that address again.
var dhcpLeases = &Check{
	ID: "clone-dhcp-leases", Severity: Clone, Family: "linux",
	Rows: []string{"S0-20", "S4-30"},
	Run: func(s *Subject) error {
		lease := func(name string) bool { return strings.Contains(name, "lease") || strings.Contains(name, "duid") }
		seen, err := s.filesIn(lease, "var/lib/dhcp", "var/lib/dhclient", "var/lib/dhcp3", "var/lib/NetworkManager", "var/lib/dhcpcd", "var/lib/wicked")
		if len(seen) > 0 {
			s.Find(seen...)
		}
		return err
	},
}
