package check

import (
	"fmt"

	"kuva/guest/osinfo"
)

// needlessData: what a new machine has no use for, by the bytes that it takes.
var needlessData = &Check{
	ID: "advice-needless-data", Severity: Advice,
	Rows: []string{"S2-22", "S0-21", "S1-10"},
	Run: func(s *Subject) error {
		if s.Facts.OS == nil {
			return nil
		}
		places := []string{
			"var/log", "var/cache", "var/tmp", "tmp", "var/mail", "var/spool/mail", "var/crash", "var/lib/apt/lists", "root/.cache", "var/lib/systemd/coredump",
		}
		if s.Facts.OS.Family == "windows" {
			places = []string{"Windows/Temp", "Windows/SoftwareDistribution/Download", "Windows/Logs", "Windows/Minidump", "$Recycle.Bin", "Windows.old", "PerfLogs"}
		}
		var seen []Evidence
		var sum int64
		for _, p := range places {
			if real, err := s.FS.RealPath(p); err != nil || real != p {
				continue // not there, or counted under its own name
			}
			n, err := osinfo.Size(s.FS, s.Budget, p)
			if err != nil {
				return err
			}
			if n >= 1<<20 {
				seen = append(seen, Evidence{Path: "/" + p, Value: fmt.Sprintf("%d bytes", n)})
				sum += n
			}
		}
		if sum < 10<<20 {
			return nil
		}
		f := s.Find(seen...).With("size", fmt.Sprintf("%d MiB", sum>>20))
		if s.Facts.OS.Family == "windows" {
			f.As("windows")
		} else {
			f.As(guideOf(s.Facts.OS))
		}
		return nil
	},
}
