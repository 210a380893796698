package check

import (
	"slices"

	"kuva/guest/fact"
)

// windowsVirtio: Windows without a virtio disk driver that starts at boot (0).
var windowsVirtio = &Check{
	ID: "boot-windows-virtio", Severity: Boot, Family: "windows",
	Rows: []string{"S0-14", "S0-15", "S2-21"},
	Run: func(s *Subject) error {
		w := s.Facts.Windows
		if w == nil {
			return nil
		}
		works := func(name string, latest int) bool {
			return slices.ContainsFunc(w.Drivers, func(d fact.WindowsDriver) bool {
				return d.Name == name && d.Start >= 0 && d.Start <= latest && d.Found
			})
		}
		var seen []Evidence
		if !works("viostor", 0) && !works("vioscsi", 0) {
			seen = append(seen, driverEvidence(w, "viostor"))
		}
		if !works("netkvm", 3) {
			seen = append(seen, driverEvidence(w, "netkvm"))
		}
		if len(seen) > 0 {
			s.Find(seen...)
		}
		return nil
	},
}

// driverEvidence says how a driver stands.
func driverEvidence(w *fact.Windows, name string) Evidence {
	for _, d := range w.Drivers {
		if d.Name == name {
			e := Evidence{Path: `HKLM\SYSTEM\CurrentControlSet\Services\` + name, Value: "Start=" + itoa(d.Start)}
			if !d.Found {
				e.Value += ", " + d.Image + " is missing"
			}
			return e
		}
	}
	return Evidence{Value: name + ": not installed"}
}
