package check

import (
	"slices"

	"kuva/guest/fact"
)

// windowsIDE: the drivers of an emulated disk are there and do not start at
// boot, so that only virtio works.
var windowsIDE = &Check{
	ID: "advice-windows-ide", Severity: Advice, Family: "windows",
	Rows: []string{"X-9", "S2-45"},
	Run: func(s *Subject) error {
		w := s.Facts.Windows
		if w == nil {
			return nil
		}
		starts := func(name string) bool {
			return slices.ContainsFunc(w.Drivers, func(d fact.WindowsDriver) bool { return d.Name == name && d.Start == 0 })
		}
		if starts("intelide") && starts("atapi") || starts("storahci") || starts("msahci") {
			return nil
		}
		s.Find(driverEvidence(w, "intelide"), driverEvidence(w, "atapi"))
		return nil
	},
}
