package check

import (
	"regexp"
	"slices"
	"strings"
)

// fstabDevice: lines of fstab and crypttab that name a device as this machine
// happens to call it. On KVM the same disk is /dev/vda.
var fstabDevice = &Check{
	ID: "boot-fstab-device", Severity: Boot, Family: "linux",
	Rows: []string{"X-3", "S2-47"},
	Run: func(s *Subject) error {
		var seen []Evidence
		for _, m := range s.Facts.Mounts {
			if unstable(m.Spec) && !removable(m.Target, m.Options) {
				seen = append(seen, Evidence{Path: m.File, Line: m.Line, Value: m.Spec + " on " + m.Target})
			}
		}
		if len(seen) > 0 {
			s.Find(seen...)
		}
		return nil
	},
}

// deviceName are names that change with the bus or the order of disks. Those
// of KVM's own disks are stable where there is one disk, and named all the
// same: a second disk may come first.
var deviceName = regexp.MustCompile(`^/dev/(sd[a-z]+|hd[a-z]|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+p?|mmcblk\d+p?)\d*$`)

func unstable(device string) bool { return deviceName.MatchString(device) }

// removable: what a boot does not wait for.
func removable(target, options string) bool {
	o := strings.Split(options, ",")
	return slices.Contains(o, "noauto") || slices.Contains(o, "nofail") ||
		strings.HasPrefix(target, "/media/") || strings.HasPrefix(target, "/mnt/cdrom")
}
