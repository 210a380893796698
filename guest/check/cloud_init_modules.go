package check

import (
	"slices"
	"strings"
)

// cloudInitModules: the modules that make host keys and put the user's keys in
// place. Without them nobody gets in, or all clones are one host.
var cloudInitModules = &Check{
	ID: "access-cloud-init-modules", Severity: Access, Family: "linux",
	Rows: []string{"S4-23", "S4-24", "S4-28"},
	Run: func(s *Subject) error {
		c := s.Facts.CloudInit
		if c == nil || len(c.Modules) == 0 {
			return nil // its built-in list has them all
		}
		var missing []string
		for _, m := range []string{"ssh", "users-groups"} {
			if !slices.ContainsFunc(c.Modules, func(have string) bool { return strings.ReplaceAll(have, "_", "-") == m }) {
				missing = append(missing, m)
			}
		}
		if len(missing) > 0 {
			s.Find(Evidence{Path: "/etc/cloud/cloud.cfg", Value: strings.Join(missing, ", ")}).With("modules", strings.Join(missing, ", "))
		}
		return nil
	},
}
