package check

import (
	"regexp"
	"strings"
)

// xorg: a display driver that is written down for the old graphics card.
var xorg = &Check{
	ID: "advice-xorg", Severity: Advice, Family: "linux",
	Rows: []string{"X-5"},
	Run: func(s *Subject) error {
		var seen []Evidence
		files := []string{"/etc/X11/xorg.conf", "/etc/X11/XF86Config"}
		more, err := s.filesIn(func(n string) bool { return strings.HasSuffix(n, ".conf") }, "etc/X11/xorg.conf.d")
		if err != nil {
			return err
		}
		for _, e := range more {
			files = append(files, e.Path)
		}
		for _, file := range files {
			b, err := s.Read(file)
			if err != nil {
				return err
			}
			for _, l := range Lines(b) {
				if m := xorgDriver.FindStringSubmatch(l.Text); m != nil && !generalDriver[strings.ToLower(m[1])] {
					seen = append(seen, Evidence{Path: file, Line: l.Number, Value: m[1]})
				}
			}
		}
		if len(seen) > 0 {
			s.Find(seen...).With("file", seen[0].Path)
		}
		return nil
	},
}

var xorgDriver = regexp.MustCompile(`(?i)^\s*Driver\s+"([^"]+)"`)

// generalDriver are drivers that any machine has, and those of input devices.
var generalDriver = map[string]bool{
	"modesetting": true, "fbdev": true, "vesa": true, "qxl": true, "virtio": true, "cirrus": true, "kbd": true, "keyboard": true, "mouse": true,
	"evdev": true, "libinput": true, "synaptics": true, "wacom": true,
}
