package guest

import (
	"bytes"
	"cmp"
	"io"
	"io/fs"
	"path"
	"slices"

	"kuva/guest/budget"
	"kuva/guest/fact"
	"kuva/guest/tree"
)

// PackageChange is a package that differs between two systems; a version is
// empty where the package is not there.
type PackageChange struct {
	Name string `json:"name"`
	Arch string `json:"arch,omitempty"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// DiffPackages compares two lists of packages, by name and architecture.
func DiffPackages(old, new []fact.Package) []PackageChange {
	type key struct{ name, arch string }
	versions := map[key][2][]string{}
	for i, list := range [2][]fact.Package{old, new} {
		for _, p := range list {
			k := key{p.Name, p.Arch}
			v := versions[k]
			v[i] = append(v[i], p.Version)
			versions[k] = v
		}
	}
	var out []PackageChange
	for k, v := range versions {
		slices.Sort(v[0])
		slices.Sort(v[1])
		// Kernels and keys are installed several times under one name.
		gone := slices.DeleteFunc(slices.Clone(v[0]), func(s string) bool { return slices.Contains(v[1], s) })
		came := slices.DeleteFunc(slices.Clone(v[1]), func(s string) bool { return slices.Contains(v[0], s) })
		for i := range max(len(gone), len(came)) {
			c := PackageChange{Name: k.name, Arch: k.arch}
			if i < len(gone) {
				c.Old = gone[i]
			}
			if i < len(came) {
				c.New = came[i]
			}
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b PackageChange) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Old, b.Old), cmp.Compare(a.New, b.New))
	})
	return out
}

// FileChange is a path that differs between two systems.
type FileChange struct {
	Path string `json:"path"`
	// What changed: added, removed, content, mode, type, target.
	What string `json:"what"`
}

// DiffFiles compares two file trees and calls f for each difference, in the
// order of paths; a folder that is added or removed is told once. Times count
// only where a difference of content would cost a read: files of one size and
// one modification time are taken for equal.
func DiffFiles(old, new *tree.FS, b *budget.Budget, f func(FileChange) error) error {
	return diffDir(old, new, ".", 0, b, f)
}

const maxDiffDepth = 256

func diffDir(old, new *tree.FS, dir string, depth int, b *budget.Budget, f func(FileChange) error) error {
	if depth > maxDiffDepth {
		return &budget.Limit{What: budget.Depth, Max: maxDiffDepth}
	}
	was, err := old.ReadDir(dir)
	if err != nil {
		return err
	}
	is, err := new.ReadDir(dir)
	if err != nil {
		return err
	}
	for i, j := 0, 0; i < len(was) || j < len(is); {
		order := 0
		switch {
		case i == len(was):
			order = 1
		case j == len(is):
			order = -1
		default:
			order = cmp.Compare(was[i].Name(), is[j].Name())
		}
		var err error
		switch {
		case order < 0:
			err = f(FileChange{"/" + path.Join(dir, was[i].Name()), "removed"})
			i++
		case order > 0:
			err = f(FileChange{"/" + path.Join(dir, is[j].Name()), "added"})
			j++
		default:
			err = diffEntry(old, new, path.Join(dir, is[j].Name()), depth, b, f)
			i, j = i+1, j+1
		}
		if err == nil {
			err = b.Step(1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func diffEntry(old, new *tree.FS, name string, depth int, b *budget.Budget, f func(FileChange) error) error {
	was, err := old.Lstat(name)
	if err != nil {
		return err
	}
	is, err := new.Lstat(name)
	if err != nil {
		return err
	}
	what := ""
	x, y := tree.AttrOf(was), tree.AttrOf(is)
	switch {
	case was.Mode().Type() != is.Mode().Type():
		what = "type"
	case was.IsDir():
		if x.Mode != y.Mode || x.UID != y.UID || x.GID != y.GID {
			if err := f(FileChange{"/" + name, "mode"}); err != nil {
				return err
			}
		}
		return diffDir(old, new, name, depth+1, b, f)
	case was.Mode().Type() == fs.ModeSymlink:
		from, err1 := old.ReadLink(name)
		to, err2 := new.ReadLink(name)
		if err := cmp.Or(err1, err2); err != nil {
			return err
		}
		if from != to {
			what = "target"
		}
	case was.Mode().IsRegular():
		differ := was.Size() != is.Size()
		if !differ && !was.ModTime().Equal(is.ModTime()) {
			if differ, err = contentDiffers(old, new, name); err != nil {
				return err
			}
		}
		if differ {
			what = "content"
		}
	}
	if what == "" && (x.Mode != y.Mode || x.UID != y.UID || x.GID != y.GID) {
		what = "mode"
	}
	if what == "" {
		return nil
	}
	return f(FileChange{"/" + name, what})
}

func contentDiffers(old, new *tree.FS, name string) (bool, error) {
	a, err := old.Open(name)
	if err != nil {
		return false, err
	}
	defer a.Close()
	c, err := new.Open(name)
	if err != nil {
		return false, err
	}
	defer c.Close()
	p, q := make([]byte, 128<<10), make([]byte, 128<<10)
	for {
		n, err1 := io.ReadFull(a, p)
		m, err2 := io.ReadFull(c, q)
		if !bytes.Equal(p[:n], q[:m]) {
			return true, nil
		}
		end := func(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }
		switch {
		case end(err1) && end(err2):
			return false, nil
		case err1 != nil && !end(err1):
			return false, err1
		case err2 != nil && !end(err2):
			return false, err2
		}
	}
}
