package check

import "strings"

// hardwareTools: drivers, managers and monitors of physical machines.
var hardwareTools = &Check{
	ID: "advice-hardware-tools", Severity: Advice,
	Rows: []string{"S0-27", "S0-28", "S1-13"},
	Run: func(s *Subject) error {
		if s.Facts.OS == nil {
			return nil
		}
		var seen []Evidence
		for _, p := range s.Facts.Packages {
			n := strings.ToLower(p.Name)
			for _, tool := range []string{
				"ipmitool", "openipmi", "freeipmi", "smartmontools", "mcelog", "rasdaemon", "lm-sensors", "lm_sensors", "fancontrol", "hdparm", "megacli",
				"storcli", "hpssacli", "ssacli", "hp-health", "hp-snmp-agents", "hponcfg", "amsd", "srvadmin", "dell-system-update", "openmanage", "dell openmanage",
				"intel-microcode", "amd64-microcode", "microcode_ctl", "firmware-linux", "linux-firmware", "nvidia-driver", "nvidia graphics driver", "bluez", "wpasupplicant", "wpa_supplicant", "iwl",
				"acpi-support", "laptop-mode-tools", "tlp", "thermald", "cpufrequtils", "hp proliant", "intel(r) network", "intel® network", "realtek",
			} {
				if strings.HasPrefix(n, tool) {
					seen = append(seen, Evidence{Value: p.Name + " " + p.Version})
					break
				}
			}
		}
		if len(seen) == 0 {
			return nil
		}
		f := s.Find(seen...).With("name", strings.Fields(seen[0].Value)[0])
		if s.Facts.OS.Family == "windows" {
			f.As("windows")
		} else {
			f.As(guideOf(s.Facts.OS))
		}
		return nil
	},
}
