package check

import "strings"

// initrdIDE: a kernel that starts only from a virtio disk. Emulated machines
// and the first boot on some clouds have an IDE or SATA disk.
var initrdIDE = &Check{
	ID: "advice-initrd-ide", Severity: Advice, Family: "linux",
	Rows: []string{"X-4"},
	Run: func(s *Subject) error {
		var seen []Evidence
		for _, k := range s.Facts.Kernels {
			if !k.Default && len(s.Facts.Kernels) > 1 || k.Initrd == "" {
				continue
			}
			var lacks []string
			works := false
			for _, d := range k.Virtio {
				if d.Name == "ata_piix" || d.Name == "ahci" {
					works = works || d.Builtin || d.Initrd || d.InitrdUnknown
					lacks = append(lacks, d.Name)
				}
			}
			if len(lacks) > 0 && !works {
				seen = append(seen, Evidence{Path: k.Initrd, Value: k.Version + ": " + strings.Join(lacks, ", ")})
			}
		}
		if len(seen) > 0 {
			s.Find(seen...).As(guideOf(s.Facts.OS))
		}
		return nil
	},
}
