package check

import "strings"

// windowsInput: filters over keyboard and mouse that belong to another
// hypervisor, or the lack of Windows' own: nobody can type at the console.
var windowsInput = &Check{
	ID: "advice-windows-input", Severity: Advice, Family: "windows",
	Rows: []string{"X-10"},
	Run: func(s *Subject) error {
		w := s.Facts.Windows
		if w == nil {
			return nil
		}
		var seen []Evidence
		for _, c := range []struct{ class, own string }{{"keyboard", "kbdclass"}, {"mouse", "mouclass"}} {
			filters, known := w.Filters[c.class]
			if !known {
				continue
			}
			if len(filters) != 1 || !strings.EqualFold(filters[0], c.own) {
				seen = append(seen, Evidence{Path: `HKLM\SYSTEM\CurrentControlSet\Control\Class`, Value: c.class + ": UpperFilters=" + strings.Join(filters, ", ")})
			}
		}
		if len(seen) > 0 {
			s.Find(seen...)
		}
		return nil
	},
}
