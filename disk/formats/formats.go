// Package formats lists the formats of package disk and tells by a file's
// bytes which one it is.
package formats

import (
	"context"
	"io"
	"slices"
	"strings"

	"kuva/disk"
	"kuva/disk/iso"
	"kuva/disk/ova"
	"kuva/disk/qcow2"
	"kuva/disk/raw"
	"kuva/disk/vdi"
	"kuva/disk/vhd"
	"kuva/disk/vhdx"
	"kuva/disk/vmdk"
	"kuva/disk/wrap"
)

// All are the formats that are read, in the order in which people are told of
// them. A new format is one more line.
var All = []*disk.Format{
	raw.Format,
	qcow2.Format,
	vmdk.Format,
	vhd.Format,
	vhdx.Format,
	vdi.Format,
	iso.Format,
}

// Packages are the formats that are written, each as a Stream, and that hold a
// file of All once more: what disk/source takes off again. Detect does not
// know them, and their Open refuses.
var Packages = []*disk.Format{
	wrap.Gzip,
	wrap.Zstd,
	ova.Format,
}

// ByName finds a format of All or Packages by name or alias, or gives nil.
func ByName(name string) *disk.Format {
	for _, f := range slices.Concat(All, Packages) {
		if f.Is(name) {
			return f
		}
	}
	return nil
}

// Verdict is what Detect says of a file.
type Verdict struct {
	// Name of the format: of one in All, or of one that is only recognised
	// (see Recognised). Files without any mark are raw.
	Name string
	// Format is nil where the format is only recognised.
	Format *disk.Format
	// Partitions are the partition tables of a raw disk or hybrid ISO: mbr,
	// gpt.
	Partitions []string
}

// Detect tells the format of a file of size bytes by its marks, wherever in
// the file they are: at the start, at the end (fixed VHD, DMG), in between
// (ISO, tar). The verdict follows from the bytes alone. A file with the marks
// of several formats is refused with disk.ReasonAmbiguous, since programs
// would differ about what it holds. Two pairs belong together and are no
// reason: an ISO that boots from a stick as well has a partition table in
// front, and so has the disk inside a fixed VHD.
func Detect(ctx context.Context, r io.ReaderAt, size int64) (Verdict, error) {
	var found, tables []string
	for _, m := range marks() {
		if err := ctx.Err(); err != nil {
			return Verdict{}, err
		}
		ok, err := m.probe(r, size)
		switch {
		case err != nil:
			return Verdict{}, err
		case ok && m.partitions:
			tables = append(tables, m.name)
		case ok && !slices.Contains(found, m.name):
			found = append(found, m.name)
		}
	}
	v := Verdict{Name: raw.Format.Name, Partitions: tables}
	switch {
	case len(found) > 1, len(found) == 1 && len(tables) > 0 && found[0] != "iso" && found[0] != "vhd":
		return Verdict{}, disk.Refuse("", disk.ReasonAmbiguous, "the file is %s at once", strings.Join(append(found, tables...), " and "))
	case len(found) == 1:
		v.Name = found[0]
	}
	v.Format = ByName(v.Name)
	return v, nil
}

// Open detects a file's format and opens it. Formats that are only recognised
// are refused with disk.ReasonUnsupported.
func Open(ctx context.Context, r io.ReaderAt, size int64, o disk.OpenOptions) (disk.Disk, Verdict, error) {
	v, err := Detect(ctx, r, size)
	if err != nil {
		return nil, v, err
	}
	if v.Format == nil {
		return nil, v, disk.Refuse(v.Name, disk.ReasonUnsupported, "this format is recognised, but not read")
	}
	d, err := v.Format.Open(ctx, r, size, o)
	return d, v, err
}
