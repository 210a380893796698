package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"kuva/disk"
	"kuva/disk/formats"
)

// wanted is the kind of file to write.
type wanted struct {
	format   *disk.Format
	settings disk.Settings
	compress bool
}

// endings are those of files whose format is not their ending.
var endings = map[string]string{"img": "raw", "bin": "raw", "qcow": "qcow2"}

// want reads -O, or the target's name where it is empty, and -o.
func want(format, target string, options []string, compress bool) (wanted, error) {
	w := wanted{settings: disk.Settings{}, compress: compress}
	if format == "" {
		ending := strings.ToLower(strings.TrimPrefix(filepath.Ext(target), "."))
		if e := endings[ending]; e != "" {
			ending = e
		}
		if format = ending; formats.ByName(format) == nil {
			return w, usagef("which format %q is to have is not known: say -O FORMAT, one of %s", target, outNames())
		}
	}
	w.format = formats.ByName(format)
	if w.format == nil || w.format.Layout == nil && w.format.Stream == nil {
		return w, usagef("there is no format %q to write: choose one of %s", format, outNames())
	}
	if compress && w.format.Stream == nil {
		return w, usagef("there are no compressed %s files: leave -c out", w.format.Name)
	}
	for _, list := range options {
		for pair := range strings.SplitSeq(list, ",") {
			key, value, ok := strings.Cut(pair, "=")
			if !ok || key == "" {
				return w, usagef("option %q: write it as KEY=VALUE\n%s", pair, optionHelp(w.format))
			}
			if !slices.ContainsFunc(w.format.Settings, func(s disk.Setting) bool { return s.Key == key }) {
				return w, usagef("%s has no option %q\n%s", w.format.Name, key, optionHelp(w.format))
			}
			w.settings[key] = value
		}
	}
	return w, nil
}

// outNames lists the formats that are written.
func outNames() string {
	var names []string
	for _, f := range slices.Concat(formats.All, formats.Packages) {
		if f.Layout != nil || f.Stream != nil {
			names = append(names, f.Name)
		}
	}
	return strings.Join(names, ", ")
}

// optionHelp says what -o takes.
func optionHelp(f *disk.Format) string {
	if len(f.Settings) == 0 {
		return f.Name + " has no options."
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The options of %s:", f.Name)
	for _, s := range f.Settings {
		fmt.Fprintf(&b, "\n  %s  %s", s.Key, s.Help)
	}
	return b.String()
}
