package check

// noLoader: a system that no firmware can start.
var noLoader = &Check{
	ID: "boot-no-loader", Severity: Boot,
	Rows: []string{"S3-29", "S0-2"},
	Run: func(s *Subject) error {
		b := s.Facts.Boot
		if s.Facts.OS == nil || b.BIOS || b.UEFI {
			return nil
		}
		f := s.Find()
		if s.Facts.OS.Family == "windows" {
			f.As("windows")
		}
		return nil
	},
}
