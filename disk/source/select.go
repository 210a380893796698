package source

import (
	"context"
	"encoding/hex"
	"hash"
	"io"
	"slices"

	"kuva/disk"
	"kuva/disk/archive"
	"kuva/disk/ovf"
	"kuva/disk/wrap"
)

// Packing tells by the first bytes of a file whether it must be unpacked to get
// at a disk: gzip, xz, bzip2, zstd, tar, zip, or "" where it is none of these.
// PackingHead bytes are enough.
func Packing(head []byte) string {
	if name := wrap.Detect(head); name != "" {
		return name
	}
	switch {
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return "tar"
	case len(head) >= 4 && string(head[:4]) == "PK\x03\x04":
		return "zip"
	}
	return ""
}

// PackingHead is how many bytes Packing wants to see.
const PackingHead = 512

// Select finds the disk in an archive (format is tar, an OVA too, or zip) of
// size bytes and gives its file, of length bytes, to be read once from the
// beginning to the end: nothing is unpacked on the side. Read to its end, it was
// compared with the sums that the archive or the manifest of an OVA has of it.
// Errors are those of Open; one of several disks comes with the Choices.
func Select(ctx context.Context, format string, r io.ReaderAt, size int64, o Options) (s *Source, file io.Reader, length int64, err error) {
	s = &Source{}
	c, err := s.pick(ctx, format, r, size, o)
	if err != nil {
		return s, nil, 0, err
	}
	if c.Format == "tar" || c.Format == "zip" || slices.Contains(wrap.Names, c.Format) {
		return s, nil, 0, disk.Refuse(c.Format, disk.ReasonNested, "there is another one inside of %s", format)
	}
	var parts []io.Reader
	for _, m := range c.parts {
		part, err := unpack(s.archive, m, o)
		if err != nil {
			return s, nil, 0, err
		}
		parts = append(parts, s.summed(m, contextReader{ctx, part}))
	}
	s.Layers = append(s.Layers, c.Format)
	return s, io.MultiReader(parts...), c.Size, nil
}

// summed compares a member with the manifest, where that tells of it.
func (s *Source) summed(m *archive.Member, r io.Reader) io.Reader {
	if s.manifest == nil {
		return r
	}
	for i := range s.manifest.Sums {
		sum := &s.manifest.Sums[i]
		if s.beside(s.descriptor(), sum.File) == m {
			return &summed{r: r, sum: sum, h: sum.New(), name: m.Name}
		}
	}
	return r
}

type summed struct {
	r    io.Reader
	sum  *ovf.Sum
	h    hash.Hash
	name string
}

func (s *summed) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(s.h.Sum(nil)) != s.sum.Hex {
		err = disk.Malform("ovf", "%s is not the file that the manifest tells of", disk.Quote([]byte(s.name)))
	}
	return n, err
}
