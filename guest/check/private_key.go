package check

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"kuva/guest/budget"
)

// privateKey: keys that belong to a person or a service, by their content, in
// the places where people leave them.
var privateKey = &Check{
	ID: "secret-private-key", Severity: Secret,
	Rows: []string{"S0-21"},
	Run: func(s *Subject) error {
		var seen []Evidence
		err := s.personal(func(file string, size int64) error {
			if size == 0 || size > 64<<10 || !keyLike(file) {
				return nil
			}
			b, err := s.Read(file)
			if err != nil {
				return err
			}
			if at := keyHeader.FindIndex(b); at != nil {
				seen = append(seen, Evidence{Path: "/" + file, Line: 1 + bytes.Count(b[:at[0]], []byte("\n"))})
			}
			return nil
		})
		if len(seen) > 0 {
			s.Find(seen...).With("file", seen[0].Path)
		}
		return err
	},
}

var keyHeader = regexp.MustCompile(`-----BEGIN (RSA |DSA |EC |OPENSSH |ENCRYPTED |)PRIVATE KEY( BLOCK)?-----|-----BEGIN PGP PRIVATE KEY BLOCK-----|PuTTY-User-Key-File-[23]:|AGE-SECRET-KEY-1`)

// keyLike: names worth a look. Distributions ship no private keys under them.
func keyLike(file string) bool {
	name := path.Base(file)
	for _, suffix := range []string{".pem", ".key", ".ppk", ".p8", ".asc", ".gpg", ".txt"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return strings.HasPrefix(name, "id_") && !strings.HasSuffix(name, ".pub") || strings.Contains(file, "/.ssh/") || name == "identity"
}

// personal calls f for the files in the places where secrets are left: homes,
// the top folder, /tmp, /var/tmp, /opt, /srv, /etc/ssl/private and the like.
// Paths come without a slash in front.
func (s *Subject) personal(f func(file string, size int64) error) error {
	left := 100_000
	for _, place := range []struct {
		dir   string
		depth int
	}{{"root", 8}, {"home", 9}, {".", 1}, {"tmp", 4}, {"var/tmp", 4}, {"opt", 5}, {"srv", 5}, {"var/lib/cloud/instances", 2}, {"etc/ssl/private", 2}, {"etc/pki/tls/private", 2}, {"Users", 6}} {
		err := fs.WalkDir(s.FS, place.dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				if budget.IsLimit(err) {
					return err
				}
				return nil // damaged or not there: other places go on
			}
			if left--; left < 0 {
				return fs.SkipAll
			}
			level := strings.Count(strings.TrimPrefix(p, place.dir), "/")
			if place.dir == "." && p != "." {
				level++
			}
			if d.IsDir() {
				if level > place.depth || place.dir == "." && p != "." || skipped[d.Name()] {
					return fs.SkipDir
				}
				return nil
			}
			if !d.Type().IsRegular() {
				return nil
			}
			i, err := d.Info()
			if err != nil {
				if budget.IsLimit(err) {
					return err
				}
				return nil
			}
			return f(p, i.Size())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// skipped are folders full of other people's examples.
var skipped = map[string]bool{"node_modules": true, "site-packages": true, "dist-packages": true, ".git": true, "testdata": true}
