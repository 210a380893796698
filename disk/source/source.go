// Package source opens what people hand over as a disk: a file of a format, a
// compressed one, one in a tar, OVA or zip archive, or a compressed archive.
//
//	file ─ gzip, xz, bzip2, zstd ─ tar, OVA, zip ─ qcow2, raw, … ─▶ disk
//	       at most one             at most one     one
//
// Archives are read where they lie. What is compressed must be unpacked to be
// read anywhere: into a file that the caller makes, since no package below disk
// opens any.
package source

import (
	"context"
	"io"
	"slices"

	"kuva/disk"
	"kuva/disk/archive"
	"kuva/disk/formats"
	"kuva/disk/ovf"
	"kuva/disk/wrap"
)

// Temp is a file for what was unpacked, such as an *os.File. It must be empty;
// what is not written reads as zeros.
type Temp interface {
	io.ReaderAt
	disk.Target
}

// Options are choices for Open. The zero value opens what needs no unpacking.
type Options struct {
	// OpenOptions go to the format in the middle. The Budget counts for all
	// layers.
	disk.OpenOptions
	// Spool makes a file for what is unpacked, of size bytes if that is known
	// and else -1. It is called at most twice: a compressed member of a zip
	// inside a compressed file needs two. Who calls Open removes the files,
	// after the disk's last use or an error. Without Spool such files are
	// refused with disk.ReasonLimit.
	Spool func(size int64) (Temp, error)
	// Limits of what is unpacked.
	Limits wrap.Limits
	// Choice is the number of the disk in an archive of several, from 1; 0
	// lets the archive say.
	Choice int
	// Progress is called now and then while something is unpacked, with how
	// many of how many bytes are done: read of a compressed file, or unpacked
	// of a member.
	Progress func(done, total int64)
}

// Source is a disk and the way to it.
type Source struct {
	Disk disk.Disk
	// Format of the file in the middle, which File holds: for Check.
	Format *disk.Format
	File   disk.Disk
	// Layers are the names of what was found, the outermost first: gzip, tar,
	// qcow2. A tar with a descriptor is called ova.
	Layers []string
	// Choices are the disks of an archive, nil where there is none; Chosen is
	// the number of the one that was opened.
	Choices []Choice
	Chosen  int
	// Descriptor of an OVA, or nil.
	Descriptor *ovf.Descriptor
	// Partitions are the partition tables of a raw disk or ISO, as Detect
	// tells them.
	Partitions []string

	archive  *archive.Archive
	manifest *ovf.Manifest
}

// Choice is a disk in an archive.
type Choice struct {
	Number int    // from 1, for Options.Choice
	Name   string // of the member, for people only
	Size   int64  // of the file in bytes, unpacked
	Format string // as Detect names it, else as the descriptor does
	Boot   bool   // the descriptor says that the machine boots from it
}

// Open finds the layers of a file of size bytes and opens the disk in them. r
// must stay open while the disk is used. An archive of several disks is refused
// with disk.ReasonChoice, an error that lists them, unless o.Choice or an OVA's
// descriptor says which; the Source then has the Choices and no Disk. Other
// errors come without a Source.
func Open(ctx context.Context, r io.ReaderAt, size int64, o Options) (*Source, error) {
	s := &Source{}
	v, err := formats.Detect(ctx, r, size)
	if err != nil {
		return nil, err
	}
	if slices.Contains(wrap.Names, v.Name) {
		s.Layers = append(s.Layers, v.Name)
		if r, size, err = unwrap(ctx, v.Name, r, size, o); err != nil {
			return nil, err
		}
		if v, err = formats.Detect(ctx, r, size); err != nil {
			return nil, err
		}
	}
	if v.Name == "tar" || v.Name == "zip" {
		m, err := s.member(ctx, v.Name, r, size, o)
		if err != nil {
			if s.Choices != nil {
				return s, err
			}
			return nil, err
		}
		r, size = m, m.Size()
		if v, err = formats.Detect(ctx, r, size); err != nil {
			return nil, err
		}
	}
	switch {
	case len(s.Layers) > 0 && (v.Name == "tar" || v.Name == "zip" || slices.Contains(wrap.Names, v.Name)):
		return nil, disk.Refuse(v.Name, disk.ReasonNested, "there is another one inside of %s", s.Layers[len(s.Layers)-1])
	case v.Format == nil:
		return nil, disk.Refuse(v.Name, disk.ReasonUnsupported, "this format is recognised, but not read")
	case v.Name == "raw":
		if err := refuseText(r, size); err != nil {
			return nil, err
		}
	}
	if s.File, err = asDisk(ctx, r, size); err != nil {
		return nil, err
	}
	if s.Disk, err = v.Format.Open(ctx, r, size, o.OpenOptions); err != nil {
		return nil, err
	}
	s.Format, s.Partitions = v.Format, v.Partitions
	s.Layers = append(s.Layers, v.Name)
	return s, nil
}

// asDisk gives the bytes of a file as a disk.
func asDisk(ctx context.Context, r io.ReaderAt, size int64) (disk.Disk, error) {
	if d, ok := r.(disk.Disk); ok {
		return d, nil
	}
	return formats.ByName("raw").Open(ctx, r, size, disk.OpenOptions{})
}

// refuseText finds an OVF descriptor on its own, which is no disk but names the
// files of some.
func refuseText(r io.ReaderAt, size int64) error {
	head := make([]byte, min(size, 4096))
	if err := disk.ReadFull(r, head, 0); err != nil {
		return err
	}
	if ovf.Probe(head) {
		return disk.Refuse("ovf", disk.ReasonDataFile, "this is the description of a machine; its disks are other files")
	}
	return nil
}
