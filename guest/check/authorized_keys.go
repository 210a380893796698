package check

import "strings"

// authorizedKeys: keys of people who made the image can log in to every clone.
var authorizedKeys = &Check{
	ID: "clone-authorized-keys", Severity: Clone, Family: "linux",
	Rows: []string{"S4-24", "S0-21", "S4-32"},
	Run: func(s *Subject) error {
		var seen []Evidence
		for _, u := range s.Facts.Users {
			if u.Keys == 0 {
				continue
			}
			for _, name := range []string{"authorized_keys", "authorized_keys2"} {
				file := strings.TrimRight(u.Home, "/") + "/.ssh/" + name
				b, err := s.Read(file)
				if err != nil {
					return err
				}
				for _, l := range Lines(b) {
					t := strings.TrimSpace(l.Text)
					if t == "" || t[0] == '#' {
						continue
					}
					f := strings.Fields(t)
					seen = append(seen, Evidence{Path: file, Line: l.Number, Value: u.Name + ": " + f[len(f)-1]})
				}
			}
		}
		if len(seen) > 0 {
			s.Find(seen...).With("file", seen[0].Path)
		}
		return nil
	},
}
