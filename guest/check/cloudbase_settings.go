package check

import "strings"

// cloudbaseSettings: the options that the guides recommend.
var cloudbaseSettings = &Check{
	ID: "advice-cloudbase-settings", Severity: Advice, Family: "windows",
	Rows: []string{"S2-15", "S2-16", "S2-17", "S2-18", "S2-19"},
	Run: func(s *Subject) error {
		w := s.Facts.Windows
		if w == nil || w.Cloudbase == nil {
			return nil
		}
		var seen []Evidence
		for _, o := range []struct {
			name string
			good func(v string) bool
		}{
			{"username", func(v string) bool { return v != "" }},
			{"inject_user_password", func(v string) bool { return v == "" || strings.EqualFold(v, "true") }},
			{"groups", func(v string) bool { return strings.Contains(strings.ToLower(v), "admin") }},
			{"logging_serial_port_settings", func(v string) bool { return strings.HasPrefix(strings.ToUpper(v), "COM1") }},
		} {
			if v := w.Cloudbase[o.name]; !o.good(v) {
				seen = append(seen, Evidence{Path: w.Cloudbase["file"], Value: o.name + "=" + v})
			}
		}
		if len(seen) > 0 {
			s.Find(seen...)
		}
		return nil
	},
}
