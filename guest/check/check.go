// Package check holds the checks of the doctor: each looks at the facts and
// files of one guest and gives findings with evidence. One file a check, one
// line each in All. The words for people are in text/ID.json, in all
// languages: title, consequence, and how to mend it.
package check

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kuva/guest/budget"
	"kuva/guest/fact"
	"kuva/guest/tree"
)

// Severity says what a finding means.
type Severity string

// The severities, the worst first.
const (
	Boot   Severity = "boot"   // the machine will not start
	Access Severity = "access" // nobody can log in, or there is no network
	Clone  Severity = "clone"  // two machines from this image get in each other's way
	Secret Severity = "secret" // whoever gets the image gets a secret
	Advice Severity = "advice" // works, and could be better
)

// Severities in order, the worst first.
var Severities = []Severity{Boot, Access, Clone, Secret, Advice}

// Finding is what a check found.
type Finding struct {
	// ID is stable: kind of trouble, then subject, such as clone-machine-id.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Args fill the texts in; values are plain and short.
	Args map[string]string `json:"args,omitempty"`
	// Guide names the variant of the text on how to mend it, "" the first.
	Guide string `json:"guide,omitempty"`
	// Unsure: the check could not see all that it needed.
	Unsure   bool       `json:"unsure,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
	// More counts evidence beyond MaxEvidence that was left off.
	More int `json:"more,omitempty"`
}

// Evidence is where something was seen. Secrets are never in a Value.
type Evidence struct {
	Path  string `json:"path,omitempty"` // in the guest, with a slash in front; a registry key on Windows
	Line  int    `json:"line,omitempty"` // from 1; 0 where lines mean nothing
	Value string `json:"value,omitempty"`
}

// String gives "path:line value".
func (e Evidence) String() string {
	text := e.Path
	if e.Line > 0 {
		text += ":" + strconv.Itoa(e.Line)
	}
	if e.Value != "" {
		text += " " + e.Value
	}
	return strings.TrimLeft(text, " ")
}

// MaxEvidence is how many places one finding names.
const MaxEvidence = 50

// Check is one rule.
type Check struct {
	ID       string
	Severity Severity
	// Rows are the requirement rows that it answers.
	Rows []string
	// Family: linux, windows, or "" for any system. Data disks are given only
	// to checks with DataDisks.
	Family    string
	DataDisks bool
	Run       func(s *Subject) error
}

// Subject is one guest under inspection.
type Subject struct {
	Facts *fact.Facts
	// FS are the guest's files, with what fstab mounts; nil without a root.
	FS     *tree.FS
	Budget *budget.Budget
	// Reserved are the ranges that a site keeps for itself (S3-10).
	Reserved []netip.Prefix

	check *Check
	found []Finding
}

// Options of Run.
type Options struct {
	// Skip leaves checks out, by id.
	Skip []string
}

// Run runs all checks that fit the guest. A check that meets damage leaves
// what it found and an Unsure mark; only the end of the budget ends the run,
// with what was found so far.
func Run(s *Subject, o Options) ([]Finding, error) {
	for _, c := range All {
		if slices.Contains(o.Skip, c.ID) || !c.fits(s.Facts) {
			continue
		}
		s.check = c
		from := len(s.found)
		err := c.Run(s)
		if budget.IsLimit(err) {
			return s.sorted(), fmt.Errorf("%s: %w", c.ID, err)
		}
		if err != nil {
			for i := from; i < len(s.found); i++ {
				s.found[i].Unsure = true
			}
		}
	}
	return s.sorted(), nil
}

func (c *Check) fits(f *fact.Facts) bool {
	if f.OS == nil {
		return c.DataDisks || c.Family == "" && !f.Disk.DataDisk
	}
	return c.Family == "" || c.Family == f.OS.Family
}

// sorted gives the findings, the worst first, then in the order of All.
func (s *Subject) sorted() []Finding {
	slices.SortStableFunc(s.found, func(a, b Finding) int {
		return slices.Index(Severities, a.Severity) - slices.Index(Severities, b.Severity)
	})
	return s.found
}

// Find adds a finding of the running check. What it returns may be filled in
// until the next call.
func (s *Subject) Find(evidence ...Evidence) *Finding {
	s.found = append(s.found, Finding{ID: s.check.ID, Severity: s.check.Severity})
	f := &s.found[len(s.found)-1]
	for _, e := range evidence {
		f.See(e)
	}
	return f
}

// See adds evidence.
func (f *Finding) See(e Evidence) *Finding {
	if len(f.Evidence) >= MaxEvidence {
		f.More++
		return f
	}
	e.Path, e.Value = Cut(e.Path), Cut(e.Value)
	f.Evidence = append(f.Evidence, e)
	return f
}

// With sets arguments of the texts: name, value, name, value.
func (f *Finding) With(pairs ...any) *Finding {
	if f.Args == nil {
		f.Args = map[string]string{}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Args[fmt.Sprint(pairs[i])] = Cut(fmt.Sprint(pairs[i+1]))
	}
	return f
}

// As sets the variant of the text on mending.
func (f *Finding) As(guide string) *Finding {
	f.Guide = guide
	return f
}

// Cut makes a text from a guest fit for a report: valid UTF-8, no control
// characters, at most 200 bytes.
func Cut(text string) string {
	const most = 200
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, text)
	if len(text) <= most {
		return text
	}
	n := most - len("…")
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

// maxFile bounds the files that checks read whole.
const maxFile = 4 << 20

// Read gives a file's content, nil where it is not there, is no file or is
// larger than 4 MiB. Only damage and the end of the budget are errors.
func (s *Subject) Read(path string) ([]byte, error) {
	path = strings.TrimPrefix(path, "/")
	if i, err := s.FS.Stat(path); err == nil && (!i.Mode().IsRegular() || i.Size() > maxFile) {
		return nil, nil // the end of ReadFileMax's limit is not that of the budget
	}
	b, err := s.FS.ReadFileMax(path, maxFile)
	if err == nil {
		return b, nil
	}
	if Absent(err) {
		return nil, nil
	}
	return nil, err
}

// Absent tells errors that mean "is not there" from damage.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid)
}

// Stat gives a file's info, nil where it is not there.
func (s *Subject) Stat(path string) (fs.FileInfo, error) {
	i, err := s.FS.Lstat(strings.TrimPrefix(path, "/"))
	if err != nil && Absent(err) {
		return nil, nil
	}
	return i, err
}

// Line is a line of a text file, without its end.
type Line struct {
	Number int // from 1
	Text   string
}

// Lines cuts a text.
func Lines(b []byte) []Line {
	var out []Line
	n := 0
	for l := range strings.Lines(string(b)) {
		n++
		out = append(out, Line{n, strings.TrimRight(l, "\r\n")})
	}
	return out
}

// before is the text in front of the first sep, or all of it.
func before(s, sep string) string {
	s, _, _ = strings.Cut(s, sep)
	return s
}
