package server

import (
	"runtime"
	"runtime/debug"
)

// Version tells the commit that the binary was built from.
func Version() string {
	commit, dirty := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = " with changes"
			}
		}
	}
	return "kuva " + commit + dirty + " (" + runtime.Version() + ")"
}
