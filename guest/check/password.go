package check

// password: accounts with a password that whoever has the image can guess at,
// and that all clones share.
var password = &Check{
	ID: "secret-password", Severity: Secret, Family: "linux",
	Rows: []string{"S2-24", "S4-33", "S0-21"},
	Run: func(s *Subject) error {
		b, err := s.Read("/etc/shadow")
		if err != nil {
			return err
		}
		states := map[string]string{}
		for _, u := range s.Facts.Users {
			states[u.Name] = u.Password
		}
		var seen []Evidence
		empty := false
		for _, l := range Lines(b) {
			name := before(l.Text, ":")
			switch states[name] {
			case "set":
				seen = append(seen, Evidence{Path: "/etc/shadow", Line: l.Number, Value: name})
			case "empty":
				seen = append(seen, Evidence{Path: "/etc/shadow", Line: l.Number, Value: name + " (empty)"})
				empty = true
			}
		}
		if len(seen) > 0 {
			f := s.Find(seen...).With("name", before(seen[0].Value, " "))
			if empty {
				f.As("empty")
			}
		}
		return nil
	},
}
