package check

// cloudInitDisabled: it is installed and does not run.
var cloudInitDisabled = &Check{
	ID: "access-cloud-init-disabled", Severity: Access, Family: "linux",
	Rows: []string{"S0-17", "S2-25"},
	Run: func(s *Subject) error {
		c := s.Facts.CloudInit
		switch {
		case c == nil:
		case c.Disabled != "":
			s.Find(Evidence{Path: c.Disabled})
		case s.Facts.OS.Init == "systemd" && len(s.Facts.Services) > 0 && !s.generated() && !cloudInitStarts(s):
			s.Find(Evidence{Path: "/etc/systemd/system"}).As("enable")
		}
		return nil
	},
}

// generated: newer packages bring a generator that starts cloud-init where a
// datasource is found, whatever is enabled.
func (s *Subject) generated() bool {
	for _, p := range []string{"lib/systemd/system-generators/cloud-init-generator", "usr/lib/systemd/system-generators/cloud-init-generator"} {
		if _, err := s.FS.Stat(p); err == nil {
			return true
		}
	}
	return false
}

func cloudInitStarts(s *Subject) bool {
	for _, u := range s.Facts.Services {
		switch u.Name {
		case "cloud-init.service", "cloud-init-main.service", "cloud-init-network.service", "cloud-init.target", "cloud-config.service":
			if u.Enabled {
				return true
			}
		}
	}
	return false
}
