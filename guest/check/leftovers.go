package check

import (
	"io/fs"
	"strconv"
	"strings"
)

func itoa(n int) string { return strconv.Itoa(n) }

// filesIn gives the regular files with something in them, of folders whose
// names match; the folders need not be there.
func (s *Subject) filesIn(match func(name string) bool, dirs ...string) ([]Evidence, error) {
	var seen []Evidence
	for _, dir := range dirs {
		entries, err := s.FS.ReadDir(dir)
		if err != nil {
			if Absent(err) {
				continue
			}
			return seen, err
		}
		for _, d := range entries {
			if !d.Type().IsRegular() || !match(d.Name()) {
				continue
			}
			if i, err := d.Info(); err != nil {
				return seen, err
			} else if i.Size() > 0 {
				seen = append(seen, Evidence{Path: "/" + dir + "/" + d.Name()})
			}
		}
	}
	return seen, nil
}

// lineOf gives the number of the first line from one on that holds a text in
// any case, or that number itself if none does.
func (s *Subject) lineOf(path string, from int, text string) (int, error) {
	b, err := s.Read(path)
	if err != nil {
		return from, err
	}
	for _, l := range Lines(b) {
		if l.Number >= from && strings.Contains(strings.ToLower(l.Text), strings.ToLower(text)) {
			return l.Number, nil
		}
	}
	return from, nil
}

// firstLine gives the first line of a file with a prefix, as evidence.
func (s *Subject) firstLine(path, prefix string) (*Evidence, error) {
	b, err := s.Read(path)
	if err != nil {
		return nil, err
	}
	for _, l := range Lines(b) {
		if t := strings.TrimSpace(l.Text); strings.HasPrefix(t, prefix) {
			return &Evidence{Path: path, Line: l.Number, Value: t}, nil
		}
	}
	return nil, nil
}

// isFile tells whether a path is a regular file with something in it.
func (s *Subject) isFile(path string) bool {
	i, err := s.FS.Stat(strings.TrimPrefix(path, "/"))
	return err == nil && i.Mode().IsRegular() && i.Size() > 0
}

// isDir tells whether a path is a folder with something in it.
func (s *Subject) isDir(path string) bool {
	l, err := fs.ReadDir(s.FS, strings.TrimPrefix(path, "/"))
	return err == nil && len(l) > 0
}
