package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"kuva/disk"
	"kuva/disk/archive"
	"kuva/disk/formats"
	"kuva/disk/wrap"
)

const (
	// maxFiles is how many files of an archive are looked at to find disks.
	maxFiles = 1000
	// headBytes of a packed member tell its format; a mark at its end is not
	// seen, which matters to the list only.
	headBytes = 40 << 10
	// maxListed is how many choices an error spells out.
	maxListed = 20
)

// candidate is a disk in an archive: some members one behind the other, nearly
// always one.
type candidate struct {
	Choice
	parts []*archive.Member
}

// member lists an archive and gives the chosen disk's file.
func (s *Source) member(ctx context.Context, format string, r io.ReaderAt, size int64, o Options) (disk.Disk, error) {
	c, err := s.pick(ctx, format, r, size, o)
	if err != nil {
		return nil, err
	}
	return open(ctx, s.archive, c, o)
}

// pick lists an archive and finds the disk in it.
func (s *Source) pick(ctx context.Context, format string, r io.ReaderAt, size int64, o Options) (*candidate, error) {
	a, err := archive.Read(ctx, format, r, size, o.Budget)
	if err != nil {
		return nil, err
	}
	s.archive = a
	s.Layers = append(s.Layers, format)
	list, err := s.described(ctx, o)
	if err != nil {
		return nil, err
	}
	if list == nil {
		if list, err = found(ctx, a, o); err != nil {
			return nil, err
		}
	}
	for i := range list {
		list[i].Number = i + 1
		s.Choices = append(s.Choices, list[i].Choice)
	}
	c, err := choose(format, list, o.Choice)
	if err != nil {
		return nil, err
	}
	s.Chosen = c.Number
	return c, nil
}

// choose takes the disk of a number, or the only one, or the one that boots, or
// the only one that is no disc.
func choose(format string, list []candidate, number int) (*candidate, error) {
	switch {
	case len(list) == 0:
		return nil, disk.Refuse(format, disk.ReasonNoDisk, "no member is a disk")
	case number < 0 || number > len(list):
		return nil, disk.Refuse(format, disk.ReasonChoice, "there is no disk %d; %s", number, describe(list))
	case number > 0:
		return &list[number-1], nil
	case len(list) == 1:
		return &list[0], nil
	}
	for _, fits := range []func(c candidate) bool{
		func(c candidate) bool { return c.Boot },
		func(c candidate) bool { return c.Format != "iso" },
	} {
		i := slices.IndexFunc(list, fits)
		if i >= 0 && !slices.ContainsFunc(list[i+1:], fits) {
			return &list[i], nil
		}
	}
	return nil, disk.Refuse(format, disk.ReasonChoice, "there are several disks; %s", describe(list))
}

func describe(list []candidate) string {
	var b strings.Builder
	for i, c := range list {
		if i > 0 {
			b.WriteString("; ")
		}
		if i == maxListed {
			fmt.Fprintf(&b, "and %d more", len(list)-i)
			break
		}
		fmt.Fprintf(&b, "%d: %s, %s, %d bytes", c.Number, disk.Quote([]byte(c.Name)), c.Format, c.Size)
	}
	return b.String()
}

// open gives the bytes of a disk's file.
func open(ctx context.Context, a *archive.Archive, c *candidate, o Options) (disk.Disk, error) {
	var disks []disk.Disk
	for _, m := range c.parts {
		if m.Stored() || m.Encrypted {
			d, err := a.Disk(m)
			if err != nil {
				return nil, err
			}
			disks = append(disks, d)
			continue
		}
		r, err := unpack(a, m, o)
		if err != nil {
			return nil, err
		}
		if o.Progress != nil {
			r = &progress{r: r, total: m.Size, f: o.Progress}
		}
		f, size, err := spool(ctx, a.Format, r, m.Size, o)
		if err != nil {
			return nil, err
		}
		d, err := asDisk(ctx, f, size)
		if err != nil {
			return nil, err
		}
		disks = append(disks, d)
	}
	if len(disks) == 1 {
		return disks[0], nil
	}
	return disk.Concat(disks...), nil
}

// unpack reads a member from the beginning, within the limits.
func unpack(a *archive.Archive, m *archive.Member, o Options) (io.Reader, error) {
	if limit := o.Limits.Output; limit > 0 && m.Size > limit {
		return nil, disk.Refuse(a.Format, disk.ReasonLimit, "more than %d bytes come out", limit)
	}
	r, err := a.Unpack(m)
	if err != nil || m.Stored() {
		return r, err
	}
	return wrap.Limit(a.Format, r, m.Packed, o.Limits), nil
}

// rawNames are what files of raw disks end in, and those of fixed VHDs, whose
// mark is at their end.
var rawNames = []string{".raw", ".img", ".dd", ".bin", ".hdd", ".ima", ".vhd"}

// found looks at the files of an archive for disks: by their marks, or by name
// where they have none. A file on its own needs neither.
func found(ctx context.Context, a *archive.Archive, o Options) ([]candidate, error) {
	var files []*archive.Member
	for i := range a.Members {
		m := &a.Members[i]
		// What macOS puts beside files has their names.
		if m.Kind == archive.File && !strings.HasPrefix(path.Base(m.Name), "._") {
			files = append(files, m)
		}
	}
	if len(files) > maxFiles {
		return nil, disk.Refuse(a.Format, disk.ReasonLimit, "%d files to look for a disk in, the limit is %d", len(files), maxFiles)
	}
	var list []candidate
	nested := ""
	for _, m := range files {
		v, err := look(ctx, a, m)
		var refused *disk.Refused
		switch {
		case errors.As(err, &refused) && refused.Reason == disk.ReasonAmbiguous:
			v.Name = string(disk.ReasonAmbiguous)
		case errors.As(err, &refused):
			v.Name = m.Method
		case err != nil:
			return nil, err
		}
		named := slices.Contains(rawNames, strings.ToLower(path.Ext(m.Name)))
		switch {
		case len(files) == 1, err != nil && named:
		case err != nil && refused.Reason != disk.ReasonAmbiguous:
			continue
		case v.Name == "raw" && !named && len(v.Partitions) == 0:
			continue
		case err == nil && v.Format == nil:
			if slices.Contains(wrap.Names, v.Name) || v.Name == "tar" || v.Name == "zip" {
				nested = v.Name
			}
			continue
		}
		list = append(list, candidate{Choice{Name: m.Name, Size: m.Size, Format: v.Name}, []*archive.Member{m}})
	}
	if len(list) == 0 && nested != "" {
		return nil, disk.Refuse(nested, disk.ReasonNested, "no member is a disk, but one is packed once more")
	}
	return list, nil
}

// look tells a member's format by its first bytes or, where it lies as it is,
// by all.
func look(ctx context.Context, a *archive.Archive, m *archive.Member) (formats.Verdict, error) {
	if m.Stored() || m.Encrypted {
		d, err := a.Disk(m)
		if err != nil {
			return formats.Verdict{}, err
		}
		return formats.Detect(ctx, d, d.Size())
	}
	r, err := a.Unpack(m)
	if err != nil {
		return formats.Verdict{}, err
	}
	head := make([]byte, min(headBytes, m.Size))
	if _, err := io.ReadFull(r, head); err != nil {
		return formats.Verdict{}, err
	}
	return formats.Detect(ctx, bytes.NewReader(head), int64(len(head)))
}
