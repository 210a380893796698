package check

import "strings"

// fstabMissing: lines that wait for a disk which is not part of the image.
var fstabMissing = &Check{
	ID: "boot-fstab-missing", Severity: Boot, Family: "linux",
	Rows: []string{"S2-33", "S3-30", "S3-28"},
	Run: func(s *Subject) error {
		var seen []Evidence
		for _, m := range s.Facts.Mounts {
			if m.Found || removable(m.Target, m.Options) || !strings.HasPrefix(m.Spec, "/dev/") && !tagged(m.Spec) {
				continue
			}
			if unstable(m.Spec) && firstDisk(m.Spec) || strings.HasPrefix(m.Spec, "/dev/urandom") || strings.HasPrefix(m.Spec, "/dev/random") ||
				strings.HasPrefix(m.Spec, "/dev/cdrom") || strings.HasPrefix(m.Spec, "/dev/sr") || strings.HasPrefix(m.Spec, "/dev/fd") {
				continue // its own finding, or no disk at all
			}
			seen = append(seen, Evidence{Path: m.File, Line: m.Line, Value: m.Spec + " on " + m.Target})
		}
		if len(seen) > 0 {
			s.Find(seen...)
		}
		return nil
	},
}

func tagged(spec string) bool {
	for _, t := range []string{"UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="} {
		if strings.HasPrefix(spec, t) {
			return true
		}
	}
	return false
}

// firstDisk: names of the disk that the image itself becomes.
func firstDisk(device string) bool {
	for _, d := range []string{"sda", "hda", "vda", "xvda", "nvme0n1", "mmcblk0"} {
		if strings.HasPrefix(device, "/dev/"+d) {
			return true
		}
	}
	return false
}
