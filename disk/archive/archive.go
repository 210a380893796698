// Package archive lists what tar and zip files hold, and reads members where
// they lie. Nothing is unpacked under a member's name: names are texts to show,
// and are compared with each other only.
//
// An archive that programs could read in different ways (two members of a
// name, members that overlap, a zip whose headers disagree) is malformed.
package archive

import (
	"context"
	"io"
	"path"
	"strings"

	"kuva/disk"
	"kuva/disk/raw"
)

const (
	// MaxMembers of an archive.
	MaxMembers = 10_000
	// MaxHeader is the longest that one member's headers may be together.
	MaxHeader = 1 << 20
	// MaxPieces of data in all sparse members together.
	MaxPieces = 1 << 20
	// MaxName is the longest name in bytes.
	MaxName = 4096
)

// Kind is what a member is.
type Kind uint8

const (
	File  Kind = iota
	Dir        // a directory
	Link       // a symbolic or hard link; where it leads to is not looked at
	Other      // a device, a pipe, or what only the maker knows
)

// Member of an archive.
type Member struct {
	// Number counts all members from 1, in the order of the archive.
	Number int
	// Name as it stands in the archive, made valid UTF-8 and cut nowhere. It
	// is for people and must never become part of a file's name.
	Name string
	Kind Kind
	// Size is the length of the contents in bytes, holes included; Packed the
	// length in the archive, from Off.
	Size, Packed, Off int64
	// Method is how the contents are packed: "" where they lie as they are,
	// else "deflate" or the name of a method that is not read.
	Method string
	// Encrypted contents are not read.
	Encrypted bool

	raw    string // the name's bytes
	crc    uint32
	pieces []piece // of a sparse file; nil for others
	sparse bool
}

// Stored tells that the contents need no unpacking.
func (m *Member) Stored() bool { return m.Method == "" }

// Archive is the list of an archive's members, read once. It may be used from
// many goroutines.
type Archive struct {
	Format  string // tar or zip
	Members []Member

	r      io.ReaderAt
	d      disk.Disk // the file, with its holes
	pieces int       // of all members
}

// Read lists an archive of a format, tar or zip, in a file of size bytes. r must
// stay open as long as members are read. It returns *disk.Malformed or
// *disk.Refused, or an error of r.
func Read(ctx context.Context, format string, r io.ReaderAt, size int64, b *disk.Budget) (*Archive, error) {
	d, err := raw.Open(ctx, r, size, disk.OpenOptions{})
	if err != nil {
		return nil, err
	}
	a := &Archive{Format: format, r: r, d: d}
	switch format {
	case "tar":
		err = a.readTar(ctx, b)
	case "zip":
		err = a.readZip(ctx, b)
	default:
		err = disk.Refuse(format, disk.ReasonUnsupported, "this archive is not read")
	}
	if err != nil {
		return nil, err
	}
	return a, a.unique()
}

// add takes a member into the list.
func (a *Archive) add(ctx context.Context, b *disk.Budget, m Member) error {
	if len(a.Members) == MaxMembers {
		return disk.Refuse(a.Format, disk.ReasonLimit, "more than %d members", MaxMembers)
	}
	if len(m.Name) > MaxName {
		return disk.Refuse(a.Format, disk.ReasonLimit, "a name of %d bytes", len(m.Name))
	}
	if a.pieces += len(m.pieces); a.pieces > MaxPieces {
		return disk.Refuse(a.Format, disk.ReasonLimit, "more than %d pieces of sparse files", MaxPieces)
	}
	if err := b.Alloc(int64(256 + len(m.Name) + 24*len(m.pieces))); err != nil {
		return err
	}
	m.raw, m.Name = m.Name, strings.ToValidUTF8(m.Name, "\uFFFD")
	m.Number = len(a.Members) + 1
	a.Members = append(a.Members, m)
	return b.Steps(ctx, 1)
}

// unique refuses two files of one name: which of them counts would depend on
// the program.
func (a *Archive) unique() error {
	seen := make(map[string]bool, len(a.Members))
	for i := range a.Members {
		m := &a.Members[i]
		if m.Kind == Dir {
			continue
		}
		name := path.Clean("/" + m.raw)
		if seen[name] {
			return disk.Malform(a.Format, "two members are called %s", disk.Quote([]byte(m.Name)))
		}
		seen[name] = true
	}
	return nil
}

// Disk gives the bytes of a stored file, which lie in the archive: it can be
// read anywhere, and nothing is unpacked. Holes of a sparse member, and of the
// file that the archive is, are holes. The sum that a zip has of it is not
// compared: that would take a pass over all. Unpack does.
func (a *Archive) Disk(m *Member) (disk.Disk, error) {
	switch {
	case m.Kind != File:
		return nil, disk.Refuse(a.Format, disk.ReasonUnsupported, "member %d is no file", m.Number)
	case m.Encrypted:
		return nil, disk.Refuse(a.Format, disk.ReasonEncrypted, "member %d is encrypted", m.Number)
	case !m.Stored():
		return nil, disk.Refuse(a.Format, disk.ReasonUnsupported, "member %d is packed (%s)", m.Number, m.Method)
	case m.sparse:
		return newSparse(a.d, m), nil
	}
	return disk.Section(a.d, m.Off, m.Size), nil
}
