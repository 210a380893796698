package check

import (
	"io/fs"
	"strings"
)

// iscsi: attachments to storage, which clones would use at the same time under
// one name.
var iscsi = &Check{
	ID: "clone-iscsi", Severity: Clone, Family: "linux",
	Rows: []string{"S3-11"},
	Run: func(s *Subject) error {
		var seen []Evidence
		for _, dir := range []string{"etc/iscsi/nodes", "var/lib/iscsi/nodes"} {
			targets, err := fs.ReadDir(s.FS, dir)
			if err != nil && !Absent(err) {
				return err
			}
			for _, t := range targets {
				seen = append(seen, Evidence{Path: "/" + dir + "/" + t.Name()})
			}
		}
		e, err := s.firstLine("/etc/iscsi/initiatorname.iscsi", "InitiatorName=")
		if err != nil {
			return err
		}
		if e != nil && !strings.HasSuffix(e.Value, "InitiatorName=") {
			seen = append(seen, *e)
		}
		if len(seen) > 0 {
			s.Find(seen...)
		}
		return nil
	},
}
