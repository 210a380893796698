package archive

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"strings"

	"kuva/disk"
)

// Source: POSIX.1-2017 pax, "ustar Interchange Format" and "pax Interchange
// Format"; GNU tar 1.34, "Basic Tar Format" and "Storing Sparse Files".

const (
	tar   = "tar"
	block = 512
)

// zeros is the block that ends an archive.
var zeros [block]byte

// record is what the headers before a member say about it.
type record struct {
	headers  int64 // bytes of headers, against MaxHeader
	name     string
	hasName  bool
	size     int64 // or -1
	sparse   sparseRecord
	anything bool
}

// readTar walks the headers. The archive ends with a block of zeros, whatever
// comes behind it, or with the file.
func (a *Archive) readTar(ctx context.Context, b *disk.Budget) error {
	next := record{size: -1}
	size := a.d.Size()
	for off := int64(0); ; {
		if off == size && !next.anything && off > 0 {
			return nil
		}
		h, err := a.block(off, b)
		if err != nil {
			return err
		}
		if bytes.Equal(h, zeros[:]) {
			if next.anything {
				return disk.Malform(tar, "headers without a member at %d", off)
			}
			return nil
		}
		if !checksum(h) {
			return disk.Malform(tar, "the checksum of the header at %d is wrong", off)
		}
		length, ok := octal(h[124:136])
		if !ok {
			return disk.Malform(tar, "the header at %d has no size", off)
		}
		off += block
		next.headers += block
		switch kind := h[156]; kind {
		case 'x', 'g', 'L', 'K':
			text, err := a.text(off, length, &next, b)
			if err != nil {
				return err
			}
			off += (length + block - 1) &^ (block - 1)
			next.anything = next.anything || kind != 'g'
			switch kind {
			case 'x':
				err = next.pax(text)
			case 'g':
				// Of what could be said of all members, names are of no use and
				// sizes are wrong; no archiver writes either.
				all := record{size: -1}
				err = all.pax(text)
				if err == nil && (all.size >= 0 || all.sparse.any()) {
					err = disk.Refuse(tar, disk.ReasonFeature, "a size for all members")
				}
			case 'L':
				next.name, next.hasName = cstring(text), true
			}
			if err != nil {
				return err
			}
		case 'M':
			return disk.Refuse(tar, disk.ReasonFeature, "an archive of several volumes")
		default:
			m := Member{Name: headerName(h), Size: length, Kind: kinds(kind)}
			if next.hasName {
				m.Name = next.name
			}
			if next.size >= 0 {
				m.Size = next.size
			}
			if kind >= '1' && kind <= '6' {
				m.Size = 0 // whatever the header says, nothing follows
			}
			if kind == 0 && strings.HasSuffix(m.Name, "/") {
				m.Kind = Dir // as before POSIX
			}
			m.Packed, m.Off = m.Size, off
			end := off
			if m.Size > 0 {
				if m.Size > size-off {
					return disk.Malform(tar, "member %d reaches over the end of the file", len(a.Members)+1)
				}
				end = off + (m.Size+block-1)&^(block-1)
			}
			if kind == 'S' {
				more, err := a.oldSparse(h, &m, &next, b)
				if err != nil {
					return err
				}
				end += more
			} else if err := a.paxSparse(&m, &next, b); err != nil {
				return err
			}
			if m.Off+m.Packed > size {
				return disk.Malform(tar, "member %d reaches over the end of the file", len(a.Members)+1)
			}
			if err := a.add(ctx, b, m); err != nil {
				return err
			}
			off = min(end, size) // the last one need not be filled up
			next = record{size: -1}
		}
	}
}

// block reads a header.
func (a *Archive) block(off int64, b *disk.Budget) ([]byte, error) {
	if off > a.d.Size()-block {
		return nil, disk.Malform(tar, "the file ends in a header")
	}
	if err := b.Read(block); err != nil {
		return nil, err
	}
	h := make([]byte, block)
	return h, disk.ReadFull(a.r, h, off)
}

// text reads the contents of a header that speaks of the next one.
func (a *Archive) text(off, length int64, r *record, b *disk.Budget) ([]byte, error) {
	if length > MaxHeader-r.headers {
		return nil, disk.Refuse(tar, disk.ReasonLimit, "a header of %d bytes", length)
	}
	if length > a.d.Size()-off {
		return nil, disk.Malform(tar, "a header reaches over the end of the file")
	}
	r.headers += length
	if err := b.Read(length); err != nil {
		return nil, err
	}
	text := make([]byte, length)
	return text, disk.ReadFull(a.r, text, off)
}

func kinds(flag byte) Kind {
	switch flag {
	case 0, '0', '7', 'S':
		return File
	case '1', '2':
		return Link
	case '5', 'D':
		return Dir
	}
	return Other
}

// checksum adds up the header with the sum itself as blanks. Some old programs
// added signed bytes.
func checksum(h []byte) bool {
	want, ok := octal(h[148:156])
	if !ok {
		return false
	}
	var unsigned, signed int64
	for i, c := range h {
		if i >= 148 && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return want == unsigned || want == signed
}

// octal reads a number: octal digits between blanks and up to a NUL, or, with
// the highest bit set, binary. Negative ones are none.
func octal(b []byte) (int64, bool) {
	if b[0]&0x80 != 0 {
		if b[0]&0x40 != 0 {
			return 0, false // negative
		}
		n := int64(b[0] & 0x3f)
		for _, c := range b[1:] {
			if n > math.MaxInt64>>8 {
				return 0, false
			}
			n = n<<8 | int64(c)
		}
		return n, true
	}
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	b = bytes.Trim(b, " ")
	if len(b) == 0 {
		return 0, true
	}
	n, err := strconv.ParseUint(string(b), 8, 63)
	return int64(n), err == nil
}

func cstring(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// headerName is the name in the header, with the prefix that ustar knows; GNU
// tar keeps times there.
func headerName(h []byte) string {
	name := cstring(h[:100])
	if string(h[257:263]) != "ustar\x00" {
		return name
	}
	if prefix := cstring(h[345:500]); prefix != "" {
		return prefix + "/" + name
	}
	return name
}

// pax reads records, each "length key=value\n" (pax, "Extended Header").
func (r *record) pax(text []byte) error {
	broken := disk.Malform(tar, "a record of an extended header is broken")
	for len(text) > 0 {
		sp := bytes.IndexByte(text[:min(len(text), 10)], ' ')
		if sp < 1 {
			return broken
		}
		n, err := strconv.ParseUint(string(text[:sp]), 10, 31)
		if err != nil || int(n) < sp+3 || int(n) > len(text) || text[n-1] != '\n' {
			return broken
		}
		key, value, ok := strings.Cut(string(text[sp+1:n-1]), "=")
		if !ok || key == "" {
			return broken
		}
		text = text[n:]
		switch {
		case key == "path" && value != "":
			r.name, r.hasName = cstring([]byte(value)), true
		case key == "size" && value != "":
			if r.size, err = strconv.ParseInt(value, 10, 64); err != nil || r.size < 0 {
				return disk.Malform(tar, "an extended header has the size %s", disk.Quote([]byte(value)))
			}
		case strings.HasPrefix(key, "GNU.sparse."):
			if err := r.sparse.set(strings.TrimPrefix(key, "GNU.sparse."), value); err != nil {
				return err
			}
		}
	}
	return nil
}
