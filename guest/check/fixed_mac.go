package check

import (
	"regexp"
	"strings"
)

// fixedMAC: network configuration that is tied to the address of the network
// card that the machine had. A clone has another one.
var fixedMAC = &Check{
	ID: "access-fixed-mac", Severity: Access, Family: "linux",
	Rows: []string{"S3-34", "S4-29", "S4-30", "S2-30", "S2-31", "S2-32"},
	Run: func(s *Subject) error {
		var seen []Evidence
		guide := ""
		for _, i := range s.Facts.Network.Interfaces {
			if macAddress.MatchString(i.MAC) {
				line, err := s.lineOf(i.File, i.Line, i.MAC)
				if err != nil {
					return err
				}
				seen = append(seen, Evidence{Path: i.File, Line: line, Value: i.Name + ": " + i.MAC})
				guide = i.Renderer
			}
		}
		rules, err := s.udevRules()
		if err != nil {
			return err
		}
		if seen = append(seen, rules...); len(seen) == 0 {
			return nil
		}
		if len(rules) > 0 {
			guide = "udev"
		}
		s.Find(seen...).As(guide)
		return nil
	},
}

var macAddress = regexp.MustCompile(`(?i)\b[0-9a-f]{2}([:-][0-9a-f]{2}){5}\b`)

// udevRules finds rules that name network cards by their address, whatever the
// file is called: 70-persistent-net.rules and 30-net_persistent-names.rules
// are two of several names.
func (s *Subject) udevRules() ([]Evidence, error) {
	const dir = "etc/udev/rules.d"
	entries, err := s.FS.ReadDir(dir)
	if err != nil && !Absent(err) {
		return nil, err
	}
	var seen []Evidence
	for _, d := range entries {
		if !strings.HasSuffix(d.Name(), ".rules") {
			continue
		}
		b, err := s.Read(dir + "/" + d.Name())
		if err != nil {
			return seen, err
		}
		for _, l := range Lines(b) {
			t := strings.TrimSpace(l.Text)
			if !strings.HasPrefix(t, "#") && strings.Contains(t, "address") && macAddress.MatchString(t) {
				seen = append(seen, Evidence{Path: "/" + dir + "/" + d.Name(), Line: l.Number, Value: macAddress.FindString(t)})
			}
		}
	}
	return seen, nil
}
