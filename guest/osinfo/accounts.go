package osinfo

import (
	"encoding/binary"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"kuva/guest/budget"
	"kuva/guest/fact"
	"kuva/guest/tree"
)

// maxUsers bounds how many accounts are told.
const maxUsers = 1000

// accounts tells of root and of everybody who can log in: with a shell, and a
// password or keys.
func accounts(g *Guest) error {
	b, err := g.read("etc/passwd")
	if err != nil {
		return err
	}
	shadow := map[string]string{}
	if sb, err := g.read("etc/shadow"); err != nil {
		return err
	} else {
		for _, l := range lines(sb) {
			if f := strings.Split(l.text, ":"); len(f) > 1 {
				shadow[f[0]] = passwordState(f[1])
			}
		}
	}
	sudo, err := g.sudoers()
	if err != nil {
		return err
	}
	for _, l := range lines(b) {
		f := strings.Split(l.text, ":")
		if len(f) < 7 || len(g.Facts.Users) >= maxUsers {
			continue
		}
		u := fact.User{Name: cut(f[0]), UID: atoi(f[2]), Home: cut(f[5]), Shell: cut(strings.TrimSpace(f[6])), HomeSize: -1}
		u.Password = shadow[f[0]]
		if u.Password == "" {
			if u.Password = "none"; f[1] != "x" {
				u.Password = passwordState(f[1])
			}
		}
		if u.UID != 0 && (!loginShell(u.Shell) || u.UID < 0) {
			continue
		}
		if u.Keys, err = g.keys(u.Home); err != nil {
			return err
		}
		if system := u.UID < 1000 && u.UID != 0; system && u.Password != "set" && u.Password != "empty" && u.Keys == 0 {
			continue // a service's, and nobody can log in with it
		}
		u.Sudo = u.UID == 0 || sudo(f[0], atoi(f[3]))
		if u.HomeSize, err = g.size(u.Home); err != nil {
			return err
		}
		g.Facts.Users = append(g.Facts.Users, u)
	}
	return g.lastLogins()
}

// passwordState says what the second field of shadow means (shadow(5)).
func passwordState(field string) string {
	switch {
	case field == "":
		return "empty"
	case field == "*" || field == "x":
		return "none"
	case strings.HasPrefix(field, "!"):
		return "locked"
	case strings.HasPrefix(field, "$") || len(field) >= 13:
		return "set"
	}
	return "none"
}

func loginShell(shell string) bool {
	switch path.Base(shell) {
	case "nologin", "false", "sync", "shutdown", "halt", "true", "git-shell":
		return false
	}
	return true // none is /bin/sh
}

// keys counts the lines of authorized_keys that are keys.
func (g *Guest) keys(home string) (int, error) {
	n := 0
	for _, file := range []string{".ssh/authorized_keys", ".ssh/authorized_keys2"} {
		b, err := g.read(strings.TrimPrefix(path.Join(home, file), "/"))
		if err != nil {
			return n, err
		}
		for _, l := range lines(b) {
			if strings.Contains(l.text, "ssh-") || strings.Contains(l.text, "ecdsa-") || strings.Contains(l.text, "sk-") {
				n++
			}
		}
	}
	return n, nil
}

// sudoers gives a question: may this account, with this main group, become
// root?
func (g *Guest) sudoers() (func(name string, gid int) bool, error) {
	files := []string{"etc/sudoers"}
	more, err := g.list("etc/sudoers.d")
	if err != nil {
		return nil, err
	}
	for _, d := range more {
		if !strings.Contains(d.Name(), ".") && !strings.HasSuffix(d.Name(), "~") && len(files) < 1000 {
			files = append(files, "etc/sudoers.d/"+d.Name())
		}
	}
	users, groups := map[string]bool{}, map[string]bool{}
	for _, file := range files {
		b, err := g.read(file)
		if err != nil {
			return nil, err
		}
		for _, l := range lines(b) {
			who, rest, ok := strings.Cut(strings.ReplaceAll(l.text, "\t", " "), " ")
			if !ok || !strings.Contains(rest, "=") || who == "Defaults" || strings.HasSuffix(who, "_Alias") {
				continue
			}
			if group, ok := strings.CutPrefix(who, "%"); ok {
				groups[group] = true
			} else {
				users[who] = true
			}
		}
	}
	member := map[string]bool{} // of a group that may
	gids := map[int]bool{}
	b, err := g.read("etc/group")
	if err != nil {
		return nil, err
	}
	for _, l := range lines(b) {
		f := strings.Split(l.text, ":")
		if len(f) < 4 || !groups[f[0]] {
			continue
		}
		gids[atoi(f[2])] = true
		for m := range strings.SplitSeq(f[3], ",") {
			member[strings.TrimSpace(m)] = true
		}
	}
	return func(name string, gid int) bool { return users[name] || users["ALL"] || member[name] || gids[gid] }, nil
}

// maxWalk bounds how many entries are counted in a folder whose size is told.
const maxWalk = 200_000

// size adds up the bytes of a folder's files; -1 where it is not there, or is
// the root.
func (g *Guest) size(dir string) (int64, error) {
	dir = strings.Trim(path.Clean("/"+dir), "/")
	if dir == "" || !g.exists(dir) {
		return -1, nil
	}
	return Size(g.FS, g.Budget, dir)
}

// Size adds up the bytes that the files under a folder hold. Folders nobody can
// read count nothing; of more than 200,000 files it counts so many.
func Size(f *tree.FS, b *budget.Budget, dir string) (int64, error) {
	var sum int64
	left := maxWalk
	err := fs.WalkDir(f, dir, func(p string, d fs.DirEntry, err error) error {
		if budget.IsLimit(err) {
			return err
		}
		if left--; left <= 0 {
			return fs.SkipAll
		}
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if i, err := d.Info(); err == nil {
			sum += i.Size()
		} else if budget.IsLimit(err) {
			return err
		}
		return b.Step(1)
	})
	return sum, err
}

// lastlog(8): records of 292 bytes at 292 times the uid, a 32-bit time in front.
const lastlogRecord = 292

func (g *Guest) lastLogins() error {
	f, err := g.FS.Open("var/log/lastlog")
	if err != nil {
		if absent(err) {
			return nil
		}
		return err
	}
	defer f.Close()
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil
	}
	for i := range g.Facts.Users {
		var b [4]byte
		if n, err := r.ReadAt(b[:], int64(g.Facts.Users[i].UID)*lastlogRecord); n < len(b) {
			if err == io.EOF {
				continue
			}
			return err
		}
		if t := binary.LittleEndian.Uint32(b[:]); t != 0 {
			g.Facts.Users[i].LastLogin = time.Unix(int64(t), 0).UTC()
		}
	}
	return nil
}

// user gives an account, or nil.
func (g *Guest) user(name string) *fact.User {
	i := slices.IndexFunc(g.Facts.Users, func(u fact.User) bool { return u.Name == name })
	if i < 0 {
		return nil
	}
	return &g.Facts.Users[i]
}
