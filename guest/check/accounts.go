package check

import (
	"fmt"
	"strings"
)

// accounts: people who can log in, beyond root and the one account that
// cloud-init sets up.
var accounts = &Check{
	ID: "advice-accounts", Severity: Advice, Family: "linux",
	Rows: []string{"S0-21", "S1-10", "S4-25"},
	Run: func(s *Subject) error {
		others := 0
		for _, u := range s.Facts.Users {
			if u.UID != 0 && !u.Default {
				others++
			}
		}
		if others == 1 && s.Facts.CloudInit == nil {
			return nil // the one account by which people log in
		}
		var seen []Evidence
		for _, u := range s.Facts.Users {
			if u.Name == "root" || u.Default {
				continue
			}
			about := []string{u.Name, fmt.Sprintf("uid %d", u.UID)}
			if u.Password == "set" || u.Password == "empty" {
				about = append(about, "password "+u.Password)
			}
			if u.Keys > 0 {
				about = append(about, fmt.Sprintf("%d ssh keys", u.Keys))
			}
			if u.Sudo {
				about = append(about, "sudo")
			}
			if u.HomeSize >= 0 {
				about = append(about, fmt.Sprintf("%s: %d bytes", u.Home, u.HomeSize))
			}
			if !u.LastLogin.IsZero() {
				about = append(about, "last login "+u.LastLogin.Format("2006-01-02"))
			}
			line, err := s.accountLine("/etc/passwd", u.Name+":")
			if err != nil {
				return err
			}
			seen = append(seen, Evidence{Path: "/etc/passwd", Line: line, Value: strings.Join(about, ", ")})
			sudo, err := s.sudoLines(u.Name)
			if err != nil {
				return err
			}
			seen = append(seen, sudo...)
		}
		if len(seen) > 0 {
			s.Find(seen...).With("count", len(seen), "name", s.firstSpare())
		}
		return nil
	},
}

func (s *Subject) firstSpare() string {
	for _, u := range s.Facts.Users {
		if u.UID != 0 && !u.Default {
			return u.Name
		}
	}
	return "USER"
}

// accountLine gives the number of the line that begins with a text, 0 if none
// does.
func (s *Subject) accountLine(path, prefix string) (int, error) {
	e, err := s.firstLine(path, prefix)
	if err != nil || e == nil {
		return 0, err
	}
	return e.Line, nil
}

// sudoLines are the lines that let an account become root.
func (s *Subject) sudoLines(name string) ([]Evidence, error) {
	files, err := s.filesIn(func(n string) bool { return !strings.ContainsAny(n, ".~") }, "etc/sudoers.d") // as sudo reads it
	if err != nil {
		return nil, err
	}
	var seen []Evidence
	for _, f := range append([]Evidence{{Path: "/etc/sudoers"}}, files...) {
		b, err := s.Read(f.Path)
		if err != nil {
			return seen, err
		}
		for _, l := range Lines(b) {
			if words := strings.Fields(l.Text); len(words) > 1 && words[0] == name {
				seen = append(seen, Evidence{Path: f.Path, Line: l.Number, Value: l.Text})
			}
		}
	}
	return seen, nil
}
