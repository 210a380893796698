package check

import (
	"regexp"
	"strings"
)

// machineID: clones with one machine-id get one DHCP lease and one journal.
// An empty file, or the word that systemd writes for "first boot", is right.
var machineID = &Check{
	ID: "clone-machine-id", Severity: Clone, Family: "linux",
	Rows: []string{"S0-20", "S1-10"},
	Run: func(s *Subject) error {
		var seen []Evidence
		for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
			if i, err := s.Stat(path); err != nil {
				return err
			} else if i == nil || !i.Mode().IsRegular() {
				continue // a link to the other one
			}
			b, err := s.Read(path)
			if err != nil {
				return err
			}
			if id := strings.TrimSpace(string(b)); isMachineID.MatchString(id) {
				seen = append(seen, Evidence{Path: path, Line: 1, Value: id})
			}
		}
		if len(seen) > 0 {
			f := s.Find(seen...)
			if s.Facts.OS.Init != "" && s.Facts.OS.Init != "systemd" {
				f.As("dbus")
			}
		}
		return nil
	},
}

var isMachineID = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)
