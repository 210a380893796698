package check

import (
	"strings"
)

// acpiHotplug: kernels in which attaching a volume needs a module that nobody
// loads. It is built in from CentOS 6 and Ubuntu 14.04 on.
var acpiHotplug = &Check{
	ID: "advice-acpi-hotplug", Severity: Advice, Family: "linux",
	Rows: []string{"S4-35", "S4-36"},
	Run: func(s *Subject) error {
		o := s.Facts.OS
		old := debianLike(o) && (o.Distro == "ubuntu" && o.Major() > 0 && o.Major() < 14 || o.Distro == "debian" && o.Major() > 0 && o.Major() < 8) ||
			redHat(o) && o.Distro != "fedora" && o.Major() > 0 && o.Major() < 6
		if !old {
			return nil
		}
		for _, file := range []string{"/etc/modules", "/etc/sysconfig/modules/acpiphp.modules", "/etc/rc.modules"} {
			b, err := s.Read(file)
			if err != nil {
				return err
			}
			if strings.Contains(string(b), "acpiphp") {
				return nil
			}
		}
		s.Find(Evidence{Path: "/etc/modules"}).As(guideOf(o))
		return nil
	},
}
