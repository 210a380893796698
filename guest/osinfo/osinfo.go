// Package osinfo reads facts about an operating system from its files:
// nothing is mounted, nothing is run, and a file that is damaged or odd costs
// the fact, not the inspection.
//
//	Gather ─▶ release, kernels, boot menu, fstab        (linux)
//	       ─▶ packages: dpkg, rpm, apk, pacman
//	       ─▶ accounts, services, network, cloud-init
//	       ─▶ registry                                   (windows)
//
// A step is one file and one line in steps.
package osinfo

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"kuva/guest/budget"
	"kuva/guest/fact"
	"kuva/guest/tree"
)

// Guest is a system whose facts are gathered.
type Guest struct {
	// FS are its files. Gather mounts nothing; the caller does, by Mounts.
	FS     *tree.FS
	Budget *budget.Budget
	Facts  *fact.Facts
	// Notes are what could not be read, and why.
	Notes []Note

	unpacked int64 // bytes of initrds so far
}

// Note is a fact that is missing, and why.
type Note struct {
	Step   string `json:"step"`
	Path   string `json:"path,omitempty"`
	Detail string `json:"detail"`
}

type step struct {
	name   string
	family string // "" for any
	run    func(g *Guest) error
}

// steps in order: later ones use what earlier ones found.
var steps = []step{
	{"release", "", release},
	{"fstab", "linux", fstab},
	{"boot menu", "linux", bootMenu},
	{"kernels", "linux", kernels},
	{"packages", "linux", packages},
	{"accounts", "linux", accounts},
	{"services", "linux", services},
	{"network", "linux", network},
	{"cloud-init", "linux", cloudInit},
	{"windows", "windows", windows},
}

// Known tells whether the files are those of an operating system.
func Known(f *tree.FS) bool { return isLinux(f) || isWindows(f) }

// Gather fills in g.Facts. It ends early only with the budget; what is damaged
// is noted.
func Gather(g *Guest) error {
	for _, s := range steps {
		if s.family != "" && (g.Facts.OS == nil || g.Facts.OS.Family != s.family) {
			continue
		}
		if err := s.run(g); err != nil {
			if budget.IsLimit(err) {
				return err
			}
			g.note(s.name, err)
		}
	}
	return nil
}

func (g *Guest) note(step string, err error) {
	n := Note{Step: step, Detail: err.Error()}
	var p *fs.PathError
	if errors.As(err, &p) {
		n.Path, n.Detail = "/"+p.Path, p.Err.Error()
	}
	n.Path, n.Detail = cut(n.Path), cut(n.Detail)
	if len(g.Notes) < 100 {
		g.Notes = append(g.Notes, n)
	}
}

// maxText bounds the text files that are read whole.
const maxText = 8 << 20

// read gives a file's content, nil where it is not there. One that is too
// large, no file or damaged is noted and counts as not there, so that a step
// goes on with its other files: only the end of the budget is an error.
func (g *Guest) read(path string) ([]byte, error) { return g.readMax(path, maxText) }

func (g *Guest) readMax(path string, limit int64) ([]byte, error) {
	b, err := g.readWhole(path, limit)
	if err != nil && !budget.IsLimit(err) {
		g.note("read", err)
		return nil, nil
	}
	return b, err
}

func (g *Guest) readWhole(path string, limit int64) ([]byte, error) {
	i, err := g.FS.Stat(path)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if i.Size() > limit {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%d bytes are too many", i.Size())}
	}
	b, err := g.FS.ReadFile(path)
	if absent(err) {
		return nil, nil
	}
	return b, err
}

// list gives the names in a folder, none where it is not there.
func (g *Guest) list(dir string) ([]fs.DirEntry, error) {
	l, err := g.FS.ReadDir(dir)
	if absent(err) {
		return nil, nil
	}
	return l, err
}

func (g *Guest) exists(path string) bool {
	_, err := g.FS.Stat(path)
	return err == nil
}

// there is exists for a link itself, wherever it points.
func (g *Guest) there(path string) bool {
	_, err := g.FS.Lstat(path)
	return err == nil
}

func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid)
}

// cut bounds a text from the guest.
func cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > fact.MaxText {
		s = strings.ToValidUTF8(s[:fact.MaxText], "")
	}
	return s
}

// line is one line of a text file.
type line struct {
	n    int // from 1
	text string
}

// lines cuts a text, without comments that begin a line and without blank
// lines.
func lines(b []byte) []line {
	var out []line
	n := 0
	for l := range strings.Lines(string(b)) {
		n++
		if t := strings.TrimSpace(l); t != "" && t[0] != '#' {
			out = append(out, line{n, t})
		}
	}
	return out
}

// unquote takes the quotes of shell-like files away.
func unquote(s string) string {
	s = strings.TrimSpace(s)
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		s = s[1 : len(s)-1]
	}
	return s
}

// settings reads NAME=VALUE lines.
func settings(b []byte) map[string]string {
	out := map[string]string{}
	for _, l := range lines(b) {
		if name, value, ok := strings.Cut(strings.TrimPrefix(l.text, "export "), "="); ok {
			out[strings.TrimSpace(name)] = cut(unquote(value))
		}
	}
	return out
}
