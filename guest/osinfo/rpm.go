package osinfo

import (
	"io"

	"kuva/guest/fact"
	"kuva/guest/rpmdb"
)

// rpm reads the database of RPM, wherever it was at the time.
func rpm(g *Guest) (bool, error) {
	for _, file := range []string{
		"usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite",
		"usr/lib/sysimage/rpm/Packages.db", "var/lib/rpm/Packages.db",
		"var/lib/rpm/Packages",
	} {
		f, size, done := g.openAt(file)
		if f == nil {
			continue
		}
		wal, walSize, walDone := g.openAt(file + "-wal")
		err := rpmdb.Read(f, size, wal, walSize, g.Budget, func(p rpmdb.Package) error {
			g.addPackage(fact.Package{
				Name: p.Name, Version: p.EVR(), Arch: p.Arch, License: p.License, Vendor: p.Vendor, Source: p.Source,
			})
			return nil
		})
		done()
		walDone()
		return true, err
	}
	return false, nil
}

// openAt opens a regular file that is not empty for random access; nil where
// there is none. done closes it.
func (g *Guest) openAt(path string) (r io.ReaderAt, size int64, done func()) {
	f, err := g.FS.Open(path)
	if err != nil {
		return nil, 0, func() {}
	}
	i, err := f.Stat()
	at, ok := f.(io.ReaderAt)
	if err != nil || !ok || i.Size() == 0 {
		f.Close()
		return nil, 0, func() {}
	}
	return at, i.Size(), func() { f.Close() }
}
