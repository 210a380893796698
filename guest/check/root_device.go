package check

import "strings"

// rootDevice: kernel command lines that name the root by a device name.
var rootDevice = &Check{
	ID: "boot-root-device", Severity: Boot, Family: "linux",
	Rows: []string{"X-2", "S2-46", "S2-47"},
	Run: func(s *Subject) error {
		var seen []Evidence
		isDefault := false
		for _, e := range s.Facts.Boot.Entries {
			for _, o := range strings.Fields(e.Options) {
				if root, ok := strings.CutPrefix(o, "root="); ok && unstable(root) {
					seen = append(seen, Evidence{Path: e.File, Line: e.Line, Value: o})
					isDefault = isDefault || e.Default
				}
			}
		}
		if len(seen) == 0 {
			return nil
		}
		f := s.Find(seen...)
		if !isDefault { // an old entry that nobody starts
			f.Severity = Advice
		}
		switch s.Facts.Boot.Loader {
		case "grub":
			f.As("grub")
		case "syslinux":
			f.As("syslinux")
		default:
			if redHat(s.Facts.OS) {
				f.As("rhel")
			}
		}
		return nil
	},
}
