package check

// windowsSysprep: an image that was not generalised carries one machine's
// identity.
var windowsSysprep = &Check{
	ID: "clone-windows-sysprep", Severity: Clone, Family: "windows",
	Rows: []string{"S0-22", "S1-11", "S0-20"},
	Run: func(s *Subject) error {
		w := s.Facts.Windows
		if w == nil {
			return nil
		}
		switch w.Sysprep {
		case "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE", "IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT":
			return nil
		}
		s.Find(Evidence{Path: `HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State`, Value: "ImageState=" + w.Sysprep})
		return nil
	},
}
