package check

import "strings"

// serialConsole: without one a cloud's console log stays empty.
var serialConsole = &Check{
	ID: "advice-serial-console", Severity: Advice, Family: "linux",
	Rows: []string{"X-2", "S2-46"},
	Run: func(s *Subject) error {
		for _, e := range s.Facts.Boot.Entries {
			if !e.Default {
				continue
			}
			for _, o := range strings.Fields(e.Options) {
				if strings.HasPrefix(o, "console=ttyS") || strings.HasPrefix(o, "console=ttyAMA") || strings.HasPrefix(o, "console=hvc") {
					return nil
				}
			}
			s.Find(Evidence{Path: e.File, Line: e.Line}).As(guideOf(s.Facts.OS))
		}
		return nil
	},
}
