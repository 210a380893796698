package osinfo

import (
	"strings"

	"kuva/guest/budget"
	"kuva/guest/fact"
)

// maxPackages bounds how many are told.
const maxPackages = 50_000

// packages reads the databases of the package managers that are there.
func packages(g *Guest) error {
	for _, p := range []struct {
		name string
		read func(g *Guest) (found bool, err error)
	}{{"dpkg", dpkg}, {"rpm", rpm}, {"apk", apk}, {"pacman", pacman}} {
		found, err := p.read(g)
		if found && g.Facts.OS.Packager == "" {
			g.Facts.OS.Packager = p.name
		}
		if err != nil {
			if budget.IsLimit(err) {
				return err
			}
			g.note(p.name, err)
		}
	}
	return nil
}

func (g *Guest) addPackage(p fact.Package) {
	if p.Name == "" || len(g.Facts.Packages) >= maxPackages {
		return
	}
	p.Name, p.Version, p.Arch = cut(p.Name), cut(p.Version), cut(p.Arch)
	p.Source, p.License, p.Vendor = cut(p.Source), cut(p.License), cut(p.Vendor)
	g.Facts.Packages = append(g.Facts.Packages, p)
}

// maxDatabase bounds the text databases of packages, in bytes.
const maxDatabase = 64 << 20

func (g *Guest) database(path string) ([]byte, error) { return g.readMax(path, maxDatabase) }

// paragraphs calls f with the fields of each paragraph of a file in the form of
// Debian's control files; lines that go on a field are left out.
func (g *Guest) paragraphs(b []byte, f func(fields map[string]string)) error {
	fields := map[string]string{}
	flush := func() {
		if len(fields) > 0 {
			f(fields)
			clear(fields)
		}
	}
	for l := range strings.Lines(string(b)) {
		l = strings.TrimRight(l, "\r\n")
		if l == "" {
			flush()
			if err := g.Budget.Step(1); err != nil {
				return err
			}
			continue
		}
		if name, value, ok := strings.Cut(l, ":"); ok && l[0] != ' ' && l[0] != '\t' && len(fields) < 64 {
			fields[name] = strings.TrimSpace(value)
		}
	}
	flush()
	return nil
}

// dpkg reads the status files of Debian's package manager (deb-control(5)).
func dpkg(g *Guest) (bool, error) {
	var files []string
	if g.exists("var/lib/dpkg/status") {
		files = append(files, "var/lib/dpkg/status")
	}
	more, err := g.list("var/lib/dpkg/status.d") // images without a package manager
	if err != nil {
		return false, err
	}
	for _, d := range more {
		if !strings.HasSuffix(d.Name(), ".md5sums") && len(files) < 10_000 {
			files = append(files, "var/lib/dpkg/status.d/"+d.Name())
		}
	}
	for _, file := range files {
		b, err := g.database(file)
		if err != nil {
			return true, err
		}
		err = g.paragraphs(b, func(f map[string]string) {
			if s := strings.Fields(f["Status"]); len(s) == 3 && s[2] != "installed" {
				return
			}
			source, _, _ := strings.Cut(f["Source"], " ")
			g.addPackage(fact.Package{
				Name: f["Package"], Version: f["Version"], Arch: f["Architecture"], Source: source, Vendor: f["Maintainer"],
			})
		})
		if err != nil {
			return true, err
		}
	}
	return len(files) > 0, nil
}

// apk reads Alpine's list of what is installed: one letter a field.
func apk(g *Guest) (bool, error) {
	b, err := g.database("lib/apk/db/installed")
	if err != nil || b == nil {
		return b != nil, err
	}
	return true, g.paragraphs(b, func(f map[string]string) {
		g.addPackage(fact.Package{Name: f["P"], Version: f["V"], Arch: f["A"], Source: f["o"], License: f["L"], Vendor: f["m"]})
	})
}

// pacman reads Arch's folders: one a package, with a file of blocks, each a
// name in percent signs and lines up to a blank one.
func pacman(g *Guest) (bool, error) {
	dirs, err := g.list("var/lib/pacman/local")
	if err != nil {
		return false, err
	}
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		b, err := g.read("var/lib/pacman/local/" + d.Name() + "/desc")
		if err != nil {
			return true, err
		}
		fields := map[string]string{}
		name := ""
		for l := range strings.Lines(string(b)) {
			l = strings.TrimSpace(l)
			switch {
			case len(l) > 2 && l[0] == '%' && l[len(l)-1] == '%':
				name = l[1 : len(l)-1]
			case l != "" && fields[name] == "":
				fields[name] = l
			}
		}
		g.addPackage(fact.Package{
			Name: fields["NAME"], Version: fields["VERSION"], Arch: fields["ARCH"], Source: fields["BASE"],
			License: fields["LICENSE"], Vendor: fields["PACKAGER"],
		})
	}
	return len(dirs) > 0, nil
}

// Installed gives a package by name, or nil.
func Installed(f *fact.Facts, names ...string) *fact.Package {
	for i := range f.Packages {
		for _, n := range names {
			if f.Packages[i].Name == n {
				return &f.Packages[i]
			}
		}
	}
	return nil
}
