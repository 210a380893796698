package check

// cloudInit: without cloud-init nothing puts keys, names and networks into a
// new machine: it is reached only by the password inside the image.
var cloudInit = &Check{
	ID: "access-cloud-init", Severity: Access, Family: "linux",
	Rows: []string{"S0-17", "S0-19", "S0-23", "S1-9", "S2-23", "S2-24", "S2-25", "S2-26", "S4-22"},
	Run: func(s *Subject) error {
		if s.Facts.CloudInit == nil && !s.otherAgent() {
			s.Find().As(guideOf(s.Facts.OS))
		}
		return nil
	},
}

// otherAgent: programs that do what cloud-init does.
func (s *Subject) otherAgent() bool {
	for _, p := range []string{
		"usr/bin/ignition", "usr/lib/dracut/modules.d/30ignition/ignition", "usr/bin/coreos-cloudinit",
		"usr/bin/afterburn", "usr/bin/tiny-cloud", "usr/sbin/tiny-cloud", "usr/lib/tiny-cloud/init", "sbin/tiny-cloud",
	} {
		if _, err := s.FS.Stat(p); err == nil {
			return true
		}
	}
	return false
}
