package check

import "strings"

// sshHostKeys: private host keys that all clones would share. cloud-init (or
// the distribution's service) makes new ones where there are none.
var sshHostKeys = &Check{
	ID: "clone-ssh-host-keys", Severity: Clone, Family: "linux",
	Rows: []string{"S4-26", "S4-27", "S4-28", "S0-20"},
	Run: func(s *Subject) error {
		var seen []Evidence
		for _, dir := range []string{"etc/ssh", "etc/dropbear"} {
			entries, err := s.FS.ReadDir(dir)
			if err != nil && !Absent(err) {
				return err
			}
			for _, d := range entries {
				name := d.Name()
				if !d.Type().IsRegular() || strings.HasSuffix(name, ".pub") ||
					!strings.HasPrefix(name, "ssh_host_") && !strings.HasPrefix(name, "dropbear_") {
					continue
				}
				if i, err := d.Info(); err != nil {
					return err
				} else if i.Size() > 0 {
					seen = append(seen, Evidence{Path: "/" + dir + "/" + name})
				}
			}
		}
		if len(seen) > 0 {
			s.Find(seen...).With("count", len(seen))
		}
		return nil
	},
}
