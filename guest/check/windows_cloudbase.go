package check

// windowsCloudbase: what cloud-init is to Linux.
var windowsCloudbase = &Check{
	ID: "access-windows-cloudbase", Severity: Access, Family: "windows",
	Rows: []string{"S2-14", "S0-19", "S1-9", "S2-20"},
	Run: func(s *Subject) error {
		if w := s.Facts.Windows; w != nil && w.Cloudbase == nil {
			s.Find()
		}
		return nil
	},
}
