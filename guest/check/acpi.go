package check

import "kuva/guest/osinfo"

// acpi: who listens to the power button, by which a cloud shuts a machine down.
// systemd does by itself.
var acpi = &Check{
	ID: "advice-acpi", Severity: Advice, Family: "linux",
	Rows: []string{"S4-34"},
	Run: func(s *Subject) error {
		o := s.Facts.OS
		if o.Init == "systemd" || osinfo.Enabled(s.Facts, "acpid", "elogind", "qemu-guest-agent", "qemu-ga") {
			return nil
		}
		if osinfo.Installed(s.Facts, "acpid") != nil && o.Init != "openrc" {
			return nil // its package starts it
		}
		s.Find().As(guideOf(o))
		return nil
	},
}
