package check

import (
	"slices"
	"strings"
)

// cloudInitDatasource: a list that leaves out the sources of an OpenStack
// cloud, as images of other clouds have.
var cloudInitDatasource = &Check{
	ID: "access-cloud-init-datasource", Severity: Access, Family: "linux",
	Rows: []string{"S0-23", "S2-25", "S0-18"},
	Run: func(s *Subject) error {
		c := s.Facts.CloudInit
		if c == nil || len(c.Datasources) == 0 {
			return nil
		}
		for _, d := range []string{"OpenStack", "ConfigDrive", "NoCloud", "Ec2"} {
			if slices.ContainsFunc(c.Datasources, func(have string) bool { return strings.EqualFold(have, d) }) {
				return nil
			}
		}
		f := s.Find()
		for _, file := range c.Files {
			if slices.Contains(file.Keys, "datasource_list") {
				f.See(Evidence{Path: file.Path, Value: "datasource_list: " + strings.Join(c.Datasources, ", ")})
			}
		}
		return nil
	},
}
