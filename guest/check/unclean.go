package check

import (
	"slices"

	"kuva/guest/tree"
)

// unclean: file systems that were in use when the image was made.
var unclean = &Check{
	ID: "advice-unclean", Severity: Advice,
	Rows: []string{"S4-4"},
	Run: func(s *Subject) error {
		var seen []Evidence
		for _, f := range s.Facts.Filesystems {
			if slices.Contains(f.Notes, tree.JournalReplayed) || slices.Contains(f.Notes, tree.JournalDirty) {
				where := f.Mount
				if where == "" {
					where = f.Device
				}
				seen = append(seen, Evidence{Value: f.Type + " " + where})
			}
		}
		if w := s.Facts.Windows; w != nil && w.Hibernated {
			seen = append(seen, Evidence{Path: "/hiberfil.sys"})
		}
		if len(seen) == 0 {
			return nil
		}
		f := s.Find(seen...)
		if s.Facts.OS != nil && s.Facts.OS.Family == "windows" {
			f.As("windows")
		}
		return nil
	},
}
