package check

import "strings"

// hostname: the name of the machine that the image was made of. cloud-init
// gives a new one where it runs.
var hostname = &Check{
	ID: "advice-hostname", Severity: Advice, Family: "linux",
	Rows: []string{"S0-20"},
	Run: func(s *Subject) error {
		o := s.Facts.OS
		name, _, _ := strings.Cut(strings.ToLower(o.Hostname), ".")
		switch name {
		case "", "localhost", "(none)", "localhost-live", "linux", "host", "image", "template", "cloud", "fedora", "archlinux", strings.ToLower(o.Distro):
			return nil
		}
		s.Find(Evidence{Path: "/etc/hostname", Line: 1, Value: o.Hostname})
		return nil
	},
}
