package check

import (
	"strings"

	"kuva/guest/fact"
)

// foreignTools: services of other hypervisors, which look for a host that is
// not there.
var foreignTools = &Check{
	ID: "advice-foreign-tools", Severity: Advice,
	Rows: []string{"S0-26", "S1-13", "X-1", "X-6"},
	Run: func(s *Subject) error {
		if s.Facts.OS == nil {
			return nil
		}
		var seen []Evidence
		for _, p := range s.Facts.Packages {
			if isForeign(s.Facts.OS, p.Name) {
				seen = append(seen, Evidence{Value: p.Name + " " + p.Version})
			}
		}
		if s.Facts.OS.Family == "linux" {
			for _, dir := range []string{"/etc/vmware-tools", "/opt/VBoxGuestAdditions", "/usr/lib/vmware-tools", "/opt/xensource"} {
				if s.isDir(dir) {
					seen = append(seen, Evidence{Path: dir})
				}
			}
		}
		if len(seen) == 0 {
			return nil
		}
		f := s.Find(seen...).With("name", strings.Fields(seen[0].String())[0])
		if s.Facts.OS.Family == "windows" {
			f.As("windows")
		} else {
			f.As(guideOf(s.Facts.OS))
		}
		return nil
	},
}

func isForeign(o *fact.OS, name string) bool {
	n := strings.ToLower(name)
	if o.Family == "windows" {
		for _, p := range []string{"vmware tools", "virtualbox guest additions", "xenserver", "citrix hypervisor", "xcp-ng windows", "parallels tools", "hyper-v integration", "aws pv drivers", "nutanix guest tools"} {
			if strings.Contains(n, p) {
				return true
			}
		}
		return false
	}
	for _, p := range []string{
		"open-vm-tools", "vmware-tools", "virtualbox-guest", "xe-guest-utilities", "xen-guest-agent", "xen-tools", "hyperv-daemons", "hypervkvpd",
		"hyperv-tools", "linux-cloud-tools-common", "parallels-tools", "prltools", "amazon-ssm-agent", "google-guest-agent", "walinuxagent", "oracle-cloud-agent",
	} {
		if strings.HasPrefix(n, p) {
			return true
		}
	}
	return false
}
