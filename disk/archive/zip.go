package archive

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/klauspost/compress/flate"

	"kuva/disk"
)

// Source: PKWARE's APPNOTE.TXT 6.3.10.

const (
	zip = "zip"

	localSig   = "PK\x03\x04"
	centralSig = "PK\x01\x02"
	endSig     = "PK\x05\x06"
	end64Sig   = "PK\x06\x06"
	locatorSig = "PK\x06\x07"

	localLen   = 30
	centralLen = 46
	endLen     = 22
	end64Len   = 56
	locatorLen = 20

	// maxDirectory bounds the list of members in bytes.
	maxDirectory = 16 << 20
)

// methods by number (§4.4.5), as they are called elsewhere.
var methods = map[uint16]string{
	0: "", 8: "deflate", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz", 98: "ppmd", 99: "aes",
}

var le = binary.LittleEndian

// directory says where the list of members lies.
type directory struct {
	members   uint64
	size, off int64 // in the file
	base      int64 // what stands before the archive, such as a program that unpacks it
	end       int64 // where the records behind it begin
}

// readZip reads the list at the end, and of every member the header before its
// data, which must say the same.
func (a *Archive) readZip(ctx context.Context, b *disk.Budget) error {
	dir, err := a.findDirectory(b)
	if err != nil {
		return err
	}
	if dir.members > MaxMembers || dir.size > maxDirectory {
		return disk.Refuse(zip, disk.ReasonLimit, "a list of %d members in %d bytes", dir.members, dir.size)
	}
	if err := b.Alloc(dir.size); err != nil {
		return err
	}
	defer b.Free(dir.size)
	list := make([]byte, dir.size)
	if err := disk.ReadFull(a.r, list, dir.off); err != nil {
		return err
	}
	type span struct{ off, end int64 }
	var spans []span
	for range dir.members {
		m, local, rest, err := parseCentral(list)
		if err != nil {
			return err
		}
		local += dir.base
		if err := a.local(&m, list, local, dir.off, b); err != nil {
			return err
		}
		list = rest
		if err := a.add(ctx, b, m); err != nil {
			return err
		}
		spans = append(spans, span{local, m.Off + m.Packed})
	}
	if len(list) > 0 {
		return disk.Malform(zip, "the list has more members than its end says")
	}
	slices.SortFunc(spans, func(x, y span) int { return cmp.Compare(x.off, y.off) })
	for i := 1; i < len(spans); i++ {
		if spans[i].off < spans[i-1].end {
			return disk.Malform(zip, "members overlap at %d", spans[i].off)
		}
	}
	return nil
}

// findDirectory reads the record at the end (§4.3.16). It is the last one whose
// comment ends with the file; that of a comment that contains another is found
// first by other programs, so a second is refused.
func (a *Archive) findDirectory(b *disk.Budget) (directory, error) {
	size := a.d.Size()
	tail := make([]byte, min(size, endLen+math.MaxUint16))
	if err := b.Read(int64(len(tail))); err != nil {
		return directory{}, err
	}
	start := size - int64(len(tail))
	if err := disk.ReadFull(a.r, tail, start); err != nil {
		return directory{}, err
	}
	at := -1
	for i := len(tail) - endLen; i >= 0; i-- {
		if string(tail[i:i+4]) == endSig && i+endLen+int(le.Uint16(tail[i+20:])) == len(tail) {
			if at >= 0 {
				return directory{}, disk.Malform(zip, "there are two ends")
			}
			at = i
		}
	}
	if at < 0 {
		return directory{}, disk.Malform(zip, "the list of members is not there")
	}
	e := tail[at:]
	dir := directory{
		members: uint64(le.Uint16(e[10:])), size: int64(le.Uint32(e[12:])), off: int64(le.Uint32(e[16:])),
		end: start + int64(at),
	}
	multi := le.Uint16(e[4:]) != 0 || le.Uint16(e[6:]) != 0 || le.Uint16(e[8:]) != le.Uint16(e[10:])
	if dir.end >= locatorLen {
		var l [locatorLen]byte
		if err := disk.ReadFull(a.r, l[:], dir.end-locatorLen); err != nil {
			return directory{}, err
		}
		if string(l[:4]) == locatorSig {
			var err error
			if multi, err = a.end64(&dir, l[:]); err != nil {
				return directory{}, err
			}
		}
	}
	if multi {
		return directory{}, disk.Refuse(zip, disk.ReasonFeature, "an archive of several volumes")
	}
	// What the offsets do not count stands before the archive.
	if dir.size < 0 || dir.off < 0 || dir.size > dir.end || dir.off > dir.end-dir.size {
		return directory{}, disk.Malform(zip, "the list of members lies out of the file")
	}
	dir.base = dir.end - dir.size - dir.off
	dir.off += dir.base
	return dir, nil
}

// end64 reads the longer record that a locator leads to (§4.3.14). It stands
// right before the locator; the offset may lack what stands before the archive.
func (a *Archive) end64(dir *directory, locator []byte) (multi bool, err error) {
	at := dir.end - locatorLen - end64Len
	if off := le.Uint64(locator[8:]); at < 0 || off > uint64(at) {
		return false, disk.Malform(zip, "the end of a large archive is not there")
	}
	e := make([]byte, end64Len)
	if err := disk.ReadFull(a.r, e, at); err != nil {
		return false, err
	}
	if string(e[:4]) != end64Sig {
		return false, disk.Malform(zip, "the end of a large archive is not there")
	}
	members, size, off := le.Uint64(e[32:]), le.Uint64(e[40:]), le.Uint64(e[48:])
	if size > math.MaxInt64 || off > math.MaxInt64 {
		return false, disk.Malform(zip, "the list of members lies out of the file")
	}
	dir.members, dir.size, dir.off, dir.end = members, int64(size), int64(off), at
	return le.Uint32(e[16:]) != 0 || le.Uint32(e[20:]) != 0 || le.Uint64(e[24:]) != members, nil
}

// parseCentral reads a member of the list (§4.3.12).
func parseCentral(list []byte) (m Member, local int64, rest []byte, err error) {
	if len(list) < centralLen || string(list[:4]) != centralSig {
		return m, 0, nil, disk.Malform(zip, "the list of members is broken")
	}
	name, extra, comment := int(le.Uint16(list[28:])), int(le.Uint16(list[30:])), int(le.Uint16(list[32:]))
	if centralLen+name+extra+comment > len(list) {
		return m, 0, nil, disk.Malform(zip, "the list of members is cut off")
	}
	if le.Uint16(list[34:]) != 0 && le.Uint16(list[34:]) != math.MaxUint16 {
		return m, 0, nil, disk.Refuse(zip, disk.ReasonFeature, "an archive of several volumes")
	}
	m.Name = string(list[centralLen : centralLen+name])
	flags, method := le.Uint16(list[8:]), le.Uint16(list[10:])
	if flags&(1<<13) != 0 {
		return m, 0, nil, disk.Refuse(zip, disk.ReasonEncrypted, "the names are encrypted")
	}
	m.Encrypted = flags&1 != 0 || method == 99
	var known bool
	if m.Method, known = methods[method]; !known {
		m.Method = fmt.Sprintf("method %d", method)
	}
	m.crc = le.Uint32(list[16:])
	packed, size, off := uint64(le.Uint32(list[20:])), uint64(le.Uint32(list[24:])), uint64(le.Uint32(list[42:]))
	if err := zip64(list[centralLen+name:][:extra], &size, &packed, &off); err != nil {
		return m, 0, nil, err
	}
	if packed > math.MaxInt64 || size > math.MaxInt64 || off > math.MaxInt64 {
		return m, 0, nil, disk.Malform(zip, "a member has a negative size")
	}
	m.Packed, m.Size = int64(packed), int64(size)
	m.Kind = File
	// Made on Unix (or OS X): the upper half of the attributes is the mode.
	if maker := list[5]; maker == 3 || maker == 19 {
		switch mode := le.Uint32(list[38:]) >> 16 & 0xf000; mode {
		case 0, 0x8000:
		case 0x4000:
			m.Kind = Dir
		case 0xa000:
			m.Kind = Link
		default:
			m.Kind = Other
		}
	}
	if strings.HasSuffix(m.Name, "/") {
		m.Kind = Dir
	}
	if m.Method == "" && !m.Encrypted && m.Size != m.Packed {
		return m, 0, nil, disk.Malform(zip, "a stored member has %d bytes in %d", m.Size, m.Packed)
	}
	return m, int64(off), list[centralLen+name+extra+comment:], nil
}

// zip64 takes from the extra fields the numbers that have no room in 32 bits
// (§4.5.3). Fields that are broken are those of others.
func zip64(extra []byte, numbers ...*uint64) error {
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		extra = extra[4:]
		if n > len(extra) {
			return nil
		}
		if id == 1 {
			field := extra[:n]
			for _, number := range numbers {
				if *number != math.MaxUint32 {
					continue
				}
				if len(field) < 8 {
					return disk.Malform(zip, "a large member has no size")
				}
				*number = le.Uint64(field)
				field = field[8:]
			}
			return nil
		}
		extra = extra[n:]
	}
	return nil
}

// local reads the header before a member's data (§4.3.7) and compares it with
// the list's, since programs that stream read this one. Its sizes may come
// behind the data instead.
func (a *Archive) local(m *Member, central []byte, off, end int64, b *disk.Budget) error {
	broken := func() error {
		return disk.Malform(zip, "the header of %s is not where it is said to be", disk.Quote([]byte(m.Name)))
	}
	if off < 0 || off > end-localLen {
		return broken()
	}
	if err := b.Read(localLen + int64(len(m.Name))); err != nil {
		return err
	}
	h := make([]byte, localLen)
	if err := disk.ReadFull(a.r, h, off); err != nil {
		return err
	}
	name, extra := int(le.Uint16(h[26:])), int(le.Uint16(h[28:]))
	if string(h[:4]) != localSig || name != len(m.Name) {
		return broken()
	}
	m.Off = off + localLen + int64(name) + int64(extra)
	if m.Off > end || m.Packed > end-m.Off {
		return disk.Malform(zip, "%s reaches over the end of the members", disk.Quote([]byte(m.Name)))
	}
	text := make([]byte, name)
	if err := disk.ReadFull(a.r, text, off+localLen); err != nil {
		return err
	}
	sized := le.Uint16(h[6:])&8 == 0
	packed, size := le.Uint32(h[18:]), le.Uint32(h[22:])
	switch {
	case string(text) != m.Name,
		le.Uint16(h[8:]) != le.Uint16(central[10:]),
		sized && packed != math.MaxUint32 && int64(packed) != m.Packed,
		sized && size != math.MaxUint32 && int64(size) != m.Size:
		return disk.Malform(zip, "the header of %s says other than the list", disk.Quote([]byte(m.Name)))
	}
	return nil
}

// Unpack reads the contents of a packed or stored member from front to back.
// They have exactly Size bytes and the sum that the archive says, or reading
// ends with *disk.Malformed. Deflate makes at most 1,032 bytes of one.
func (a *Archive) Unpack(m *Member) (io.Reader, error) {
	if m.Kind != File || m.Encrypted || m.Stored() {
		d, err := a.Disk(m)
		if err != nil {
			return nil, err
		}
		r := io.Reader(io.NewSectionReader(d, 0, d.Size()))
		if a.Format == zip {
			r = &checked{r: r, m: m, sum: crc32.NewIEEE()}
		}
		return r, nil
	}
	if m.Method != "deflate" {
		return nil, disk.Refuse(zip, disk.ReasonUnsupported, "member %d is packed with %s, which is not read", m.Number, m.Method)
	}
	z := flate.NewReader(bufio.NewReaderSize(io.NewSectionReader(a.r, m.Off, m.Packed), 64<<10))
	return &checked{r: z, m: m, sum: crc32.NewIEEE()}, nil
}

// checked compares length and sum.
type checked struct {
	r   io.Reader
	m   *Member
	n   int64
	sum hash.Hash32
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum.Write(p[:n])
	c.n += int64(n)
	var broken flate.CorruptInputError
	switch {
	case c.n > c.m.Size, err == io.EOF && c.n < c.m.Size:
		return 0, disk.Malform(zip, "member %d has another length than the list says", c.m.Number)
	case err == io.EOF && c.sum.Sum32() != c.m.crc:
		return 0, disk.Malform(zip, "the sum of member %d is wrong", c.m.Number)
	case err == io.ErrUnexpectedEOF:
		return 0, disk.Malform(zip, "member %d is cut off", c.m.Number)
	case err != nil && err != io.EOF:
		if errors.As(err, &broken) {
			return 0, &disk.Malformed{Format: zip, Detail: fmt.Sprintf("member %d is broken", c.m.Number), Err: err}
		}
		return 0, err
	}
	return n, err
}
