package check

// crontab: personal timetables, which all clones would run.
var crontab = &Check{
	ID: "advice-crontab", Severity: Advice, Family: "linux",
	Rows: []string{"S0-21"},
	Run: func(s *Subject) error {
		seen, err := s.filesIn(func(string) bool { return true }, "var/spool/cron/crontabs", "var/spool/cron", "etc/crontabs")
		if s.Facts.OS.Distro == "alpine" { // comes with one for root
			return err
		}
		if len(seen) > 0 {
			s.Find(seen...).With("file", seen[0].Path)
		}
		return err
	},
}
