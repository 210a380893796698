package source

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"strings"

	"kuva/disk"
	"kuva/disk/archive"
	"kuva/disk/ovf"
)

// described finds the descriptor of an OVA, and the disks that it tells of. It
// gives nil where there is none, or one without disks.
func (s *Source) described(ctx context.Context, o Options) ([]candidate, error) {
	m := s.descriptor()
	if m == nil {
		return nil, nil
	}
	text, err := s.text(ctx, m, ovf.MaxBytes, o)
	if err != nil {
		return nil, err
	}
	if err := s.sums(ctx, m, text, o); err != nil {
		return nil, err
	}
	if s.Descriptor, err = ovf.Parse(text); err != nil {
		return nil, err
	}
	if s.archive.Format == "tar" {
		s.Layers[len(s.Layers)-1] = "ova"
	}
	boot := s.Descriptor.Boot()
	var list []candidate
	for _, k := range s.Descriptor.Disks {
		if k.FileRef == "" {
			continue
		}
		c, err := s.candidate(ctx, k)
		if err != nil {
			return nil, err
		}
		c.Boot = k.ID == boot
		list = append(list, *c)
	}
	return list, nil
}

// descriptor is the only member that is called so.
func (s *Source) descriptor() *archive.Member {
	var found *archive.Member
	for i := range s.archive.Members {
		m := &s.archive.Members[i]
		if m.Kind == archive.File && strings.EqualFold(path.Ext(m.Name), ".ovf") && !strings.HasPrefix(path.Base(m.Name), "._") {
			if found != nil {
				return nil
			}
			found = m
		}
	}
	return found
}

// text reads a short member.
func (s *Source) text(ctx context.Context, m *archive.Member, most int64, o Options) ([]byte, error) {
	if m.Size > most {
		return nil, disk.Refuse("ovf", disk.ReasonLimit, "a text of %d bytes, the limit is %d", m.Size, most)
	}
	if err := o.Budget.Read(m.Size); err != nil {
		return nil, err
	}
	r, err := s.archive.Unpack(m)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(contextReader{ctx, r})
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// beside finds a member in the folder of another.
func (s *Source) beside(m *archive.Member, name string) *archive.Member {
	want := path.Join("/", path.Dir(m.Name), name)
	for i := range s.archive.Members {
		other := &s.archive.Members[i]
		if other.Kind == archive.File && path.Clean("/"+other.Name) == want {
			return other
		}
	}
	return nil
}

// candidate finds the members of a disk.
func (s *Source) candidate(ctx context.Context, k ovf.Disk) (*candidate, error) {
	f := s.Descriptor.File(k.FileRef) // the parser saw it
	quoted := disk.Quote([]byte(f.Href))
	switch {
	case k.ParentRef != "":
		return nil, disk.Refuse("ovf", disk.ReasonBacking, "the disk %s stands on another", disk.Quote([]byte(k.ID)))
	case !f.Local():
		return nil, disk.Refuse("ovf", disk.ReasonDataFile, "the file %s is no part of the package", quoted)
	case f.Compression != "" && f.Compression != "identity":
		return nil, disk.Refuse("ovf", disk.ReasonNested, "the file %s is compressed once more", quoted)
	}
	d := s.descriptor()
	c := &candidate{Choice: Choice{Name: f.Href, Format: format(k.Format)}}
	if f.Chunk == 0 {
		m := s.beside(d, f.Href)
		if m == nil {
			return nil, disk.Refuse("ovf", disk.ReasonDataFile, "the file %s is not in the package", quoted)
		}
		c.parts, c.Size = []*archive.Member{m}, m.Size
		// The bytes know better than the descriptor.
		if v, err := look(ctx, s.archive, m); err == nil {
			c.Format = v.Name
		}
		return c, nil
	}
	// Pieces of the same size, but for the last (DSP0243 §7.1).
	for {
		m := s.beside(d, fmt.Sprintf("%s.%09d", f.Href, len(c.parts)))
		if m == nil {
			break
		}
		if n := len(c.parts); n > 0 && c.parts[n-1].Size != f.Chunk || m.Size > f.Chunk {
			return nil, disk.Malform("ovf", "the pieces of %s have other sizes than they should", quoted)
		}
		c.parts, c.Size = append(c.parts, m), c.Size+m.Size
	}
	if len(c.parts) == 0 || f.Size >= 0 && c.Size != f.Size {
		return nil, disk.Refuse("ovf", disk.ReasonDataFile, "pieces of the file %s are not in the package", quoted)
	}
	return c, nil
}

// format is the word for what a descriptor calls a disk's format, a URI.
func format(uri string) string {
	uri = strings.ToLower(uri)
	for _, word := range []string{"vmdk", "vhdx", "vhd", "vdi", "qcow2", "iso"} {
		if strings.Contains(uri, word) {
			return word
		}
	}
	return "unknown"
}

// sums reads the manifest beside the descriptor, where there is one, and
// compares the descriptor with it.
func (s *Source) sums(ctx context.Context, d *archive.Member, text []byte, o Options) error {
	base := path.Base(d.Name)
	m := s.beside(d, strings.TrimSuffix(base, path.Ext(base))+".mf")
	if m == nil {
		return nil
	}
	list, err := s.text(ctx, m, ovf.MaxManifest, o)
	if err != nil {
		return err
	}
	if s.manifest, err = ovf.ParseManifest(list); err != nil {
		return err
	}
	for _, sum := range s.manifest.Sums {
		if sum.File != base {
			continue
		}
		h := sum.New()
		h.Write(text)
		if hex.EncodeToString(h.Sum(nil)) != sum.Hex {
			return disk.Malform("ovf", "the descriptor is not the one that the manifest tells of")
		}
	}
	return nil
}

// Verify compares the files of an OVA with its manifest, which takes a pass
// over all of them. Files that the manifest tells of and that are not there, or
// are others, give *disk.Malformed. It returns how many files were compared: 0
// for sources without a manifest. Open has compared the descriptor.
func (s *Source) Verify(ctx context.Context) (files int, err error) {
	if s.manifest == nil {
		return 0, nil
	}
	d := s.descriptor()
	for _, sum := range s.manifest.Sums {
		m := s.beside(d, sum.File)
		if m == nil {
			return files, disk.Malform("ovf", "the manifest tells of %s, which is not there", disk.Quote([]byte(sum.File)))
		}
		r, err := s.archive.Unpack(m)
		if err != nil {
			return files, err
		}
		h := sum.New()
		if _, err := io.Copy(h, contextReader{ctx, r}); err != nil {
			return files, err
		}
		if hex.EncodeToString(h.Sum(nil)) != sum.Hex {
			return files, disk.Malform("ovf", "%s is not the file that the manifest tells of", disk.Quote([]byte(sum.File)))
		}
		files++
	}
	return files, nil
}
