package check

// bootCommands: what cloud-init runs at each start, for people to know.
var bootCommands = &Check{
	ID: "advice-boot-commands", Severity: Advice, Family: "linux",
	Rows: []string{"S2-71", "S2-72"},
	Run: func(s *Subject) error {
		c := s.Facts.CloudInit
		if c == nil || len(c.Bootcmd) == 0 {
			return nil
		}
		f := s.Find()
		for _, file := range c.Files {
			for _, k := range file.Keys {
				if k == "bootcmd" {
					f.See(Evidence{Path: file.Path, Value: "bootcmd"})
				}
			}
		}
		for _, command := range c.Bootcmd {
			f.See(Evidence{Value: command})
		}
		return nil
	},
}
