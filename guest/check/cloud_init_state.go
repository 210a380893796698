package check

import "strings"

// cloudInitState: what an earlier deployment left. cloud-init compares the
// instance with it, and some versions then leave out host keys and users.
var cloudInitState = &Check{
	ID: "clone-cloud-init-state", Severity: Clone, Family: "linux",
	Rows: []string{"S0-18"},
	Run: func(s *Subject) error {
		c := s.Facts.CloudInit
		if c == nil {
			return nil
		}
		var seen []Evidence
		for _, p := range c.State {
			if strings.HasPrefix(p, "/var/lib/cloud/") {
				e := Evidence{Path: p}
				if strings.HasSuffix(p, "instance-id") {
					e.Line, e.Value = 1, c.InstanceID
				}
				seen = append(seen, e)
			}
		}
		if len(seen) > 0 {
			s.Find(seen...)
		}
		return nil
	},
}
