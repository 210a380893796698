// Package rpmdb reads the databases in which RPM keeps what is installed, in
// each of the three forms that it has had: SQLite, NDB and Berkeley DB's hash.
// Only the table of packages is read, which holds a header for each of them.
//
// Sources: rpm's documentation of the header ("RPM Package Format"), SQLite's
// "Database File Format" and "WAL-mode File Format", rpm's lib/backend/ndb,
// and Berkeley DB's dbinc/db_page.h.
package rpmdb

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"kuva/disk"
	"kuva/guest/budget"
)

// Package is what a header tells.
type Package struct {
	Name, Version, Release, Arch string
	Epoch                        int // 0 where there is none
	License, Vendor, Source      string
}

// EVR is epoch, version and release as rpm prints them.
func (p *Package) EVR() string {
	v := p.Version + "-" + p.Release
	if p.Epoch > 0 {
		v = fmt.Sprintf("%d:%s", p.Epoch, v)
	}
	return v
}

// Bounds of a header, as rpm has them (lib/header.c), but for the size.
const (
	maxHeader  = 64 << 20
	maxEntries = 0xffff
)

// Read calls f for each package in a database, in no order. wal is the file
// beside a SQLite database that holds what is not yet in it, or nil. What
// breaks the format is a *disk.Malformed, what costs too much a *budget.Limit.
func Read(r io.ReaderAt, size int64, wal io.ReaderAt, walSize int64, b *budget.Budget, f func(Package) error) error {
	var head [16]byte
	if err := b.ReadFull(r, head[:], 0); err != nil {
		return malformed("the file is too short: %v", err)
	}
	each := func(blob []byte) error {
		p, err := parseHeader(blob)
		if err != nil || p.Name == "" {
			return err
		}
		return f(p)
	}
	switch {
	case string(head[:]) == "SQLite format 3\x00":
		return readSQLite(r, size, wal, walSize, b, each)
	case string(head[:4]) == "RpmP":
		return readNDB(r, size, b, each)
	case binary.LittleEndian.Uint32(head[12:]) == hashMagic || binary.BigEndian.Uint32(head[12:]) == hashMagic:
		return readHash(r, size, b, each)
	}
	return malformed("neither SQLite, NDB nor Berkeley DB")
}

func malformed(format string, args ...any) error { return disk.Malform("rpmdb", format, args...) }

// Tags of a header, and the types of their values.
const (
	tagName    = 1000
	tagVersion = 1001
	tagRelease = 1002
	tagEpoch   = 1003
	tagVendor  = 1011
	tagLicense = 1014
	tagArch    = 1022
	tagSource  = 1044

	typeInt32  = 4
	typeString = 6
	typeI18N   = 9
)

// parseHeader reads a header as it lies in a database: without the magic
// number, two counts, an index of 16 bytes an entry, the values.
func parseHeader(blob []byte) (Package, error) {
	var p Package
	if len(blob) < 8 {
		return p, malformed("a header of %d bytes", len(blob))
	}
	entries, store := int64(binary.BigEndian.Uint32(blob)), int64(binary.BigEndian.Uint32(blob[4:]))
	if entries > maxEntries || store > maxHeader || 8+16*entries+store > int64(len(blob)) {
		return p, malformed("a header of %d entries and %d bytes, in %d bytes", entries, store, len(blob))
	}
	data := blob[8+16*entries:][:store]
	for i := range entries {
		e := blob[8+16*i:][:16]
		tag, kind := binary.BigEndian.Uint32(e), binary.BigEndian.Uint32(e[4:])
		off := int64(binary.BigEndian.Uint32(e[8:]))
		if off > store {
			continue // entries of regions lie before or behind
		}
		text := func() string {
			if kind != typeString && kind != typeI18N {
				return ""
			}
			s := data[off:]
			if i := strings.IndexByte(string(s[:min(len(s), 4096)]), 0); i >= 0 {
				return string(s[:i])
			}
			return ""
		}
		switch tag {
		case tagName:
			p.Name = text()
		case tagVersion:
			p.Version = text()
		case tagRelease:
			p.Release = text()
		case tagArch:
			p.Arch = text()
		case tagLicense:
			p.License = text()
		case tagVendor:
			p.Vendor = text()
		case tagSource:
			p.Source = text()
		case tagEpoch:
			if kind == typeInt32 && off+4 <= store {
				p.Epoch = int(binary.BigEndian.Uint32(data[off:]))
			}
		}
	}
	return p, nil
}

// blob asks for memory for a value, and gives it back after f.
func blob(b *budget.Budget, n int64, f func(p []byte) error) error {
	if n < 0 || n > maxHeader {
		return malformed("a value of %d bytes", n)
	}
	if err := b.Alloc(n); err != nil {
		return err
	}
	defer b.Free(n)
	return f(make([]byte, n))
}
