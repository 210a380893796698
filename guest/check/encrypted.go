package check

// encrypted: what only a key opens. A cloud has none at boot, and nothing in
// it can be looked at.
var encrypted = &Check{
	ID: "boot-encrypted", Severity: Boot, DataDisks: true,
	Rows: []string{"S3-31", "S2-36", "S2-37"},
	Run: func(s *Subject) error {
		var seen []Evidence
		guide := ""
		for _, p := range s.Facts.Partitions {
			if p.Holds == "crypto_LUKS" || p.Holds == "BitLocker" {
				seen = append(seen, Evidence{Value: "partition " + itoa(p.Number) + ": " + p.Holds})
				guide = p.Holds
			}
		}
		for _, f := range s.Facts.Filesystems {
			if (f.Type == "crypto_LUKS" || f.Type == "BitLocker") && (f.Device == "" || len(s.Facts.Partitions) == 0) {
				seen = append(seen, Evidence{Value: "disk: " + f.Type})
				guide = f.Type
			}
		}
		if len(seen) == 0 {
			return nil
		}
		f := s.Find(seen...)
		if guide == "BitLocker" {
			f.As("windows")
		}
		return nil
	},
}
