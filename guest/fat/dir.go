package fat

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"kuva/disk"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

// maxFolder is how long a folder is at most: 65,536 entries, as Windows has it.
const maxFolder = 65536 * 32

// record is an entry of a folder.
type record [32]byte

const (
	readOnly = 1 << iota
	hidden
	system
	volume
	directory
	longName = readOnly | hidden | system | volume
)

func (r record) dir() bool { return r[11]&directory != 0 }

// isVolume tells that an entry names the volume.
func (r record) isVolume() bool { return r[11]&volume != 0 }

func (r record) size() int64 { return int64(binary.LittleEndian.Uint32(r[28:])) }

func (f *FS) first(r record) uint32 {
	c := uint32(binary.LittleEndian.Uint16(r[26:]))
	if f.width == 32 {
		c |= uint32(binary.LittleEndian.Uint16(r[20:])) << 16
	}
	return c
}

// record reads a node's entry; the root has an empty one.
func (f *FS) record(id tree.ID) (r record, err error) {
	if id == f.Root() {
		r[11] = directory
		return r, nil
	}
	if id.Tree != 0 || id.Ino%32 != 0 || int64(id.Ino) < f.rootAt {
		return r, fs.ErrInvalid
	}
	return r, f.read(r[:], int64(id.Ino))
}

// slots calls do for the entries of a folder as they lie there, with where they
// lie, up to the end of the folder or an error. A chain that goes round ends
// the folder with an error when the round is closed.
func (f *FS) slots(id tree.ID, do func(r record, at int64) error) error {
	r, err := f.record(id)
	if err != nil {
		return err
	}
	if !r.dir() {
		return fs.ErrInvalid
	}
	if id == f.Root() && f.rootLen > 0 {
		_, err := f.block(f.rootAt, f.rootLen, do)
		return err
	}
	c := f.first(r)
	if id == f.Root() {
		c = f.root
	} else if c == 0 {
		return disk.Malform(format, "a folder without clusters")
	}
	// Brent: the mark stays, and moves on after 1, 2, 4 … clusters.
	mark, left, far := c, int64(1), int64(1)
	for n := int64(0); n < maxFolder; n += f.cluster {
		at, err := f.at(c)
		if err != nil {
			return err
		}
		if end, err := f.block(at, f.cluster, do); end || err != nil {
			return err
		}
		next, end, err := f.follow(c)
		if end || err != nil {
			return err
		}
		if c = next; c == mark {
			return disk.Malform(format, "the clusters of a folder go round from %d", c)
		}
		if left--; left == 0 {
			mark, far = c, far*2
			left = far
		}
	}
	return disk.Malform(format, "a folder is longer than %d bytes", maxFolder)
}

func (f *FS) block(at, n int64, do func(r record, at int64) error) (end bool, err error) {
	for end := at + n; at < end; at += 32 {
		if err := f.budget.Step(1); err != nil {
			return false, err
		}
		var r record
		if err := f.read(r[:], at); err != nil {
			return false, err
		}
		if r[0] == 0 {
			return true, nil
		}
		if r[0] == 0xe5 {
			r[11] = 0 // deleted: it ends a long name
		}
		if err := do(r, at); err != nil {
			return false, err
		}
	}
	return false, nil
}

// list calls do for each file and folder with its long name, or its short one,
// which comes as alias too.
func (f *FS) list(id tree.ID, do func(e tree.Entry, alias string) error) error {
	var long longParts
	return f.slots(id, func(r record, at int64) error {
		if r[0] == 0xe5 {
			long = longParts{}
			return nil
		}
		if r[11]&0x3f == longName {
			long.add(r)
			return nil
		}
		name, ok := long.name(r)
		long = longParts{}
		if r.isVolume() {
			return nil
		}
		alias := short(r)
		if !ok {
			name = alias
		}
		if name, ok = names.Element(name); !ok {
			return nil // "." and ".." among them
		}
		typ := uint32(tree.Regular)
		if r.dir() {
			typ = tree.Dir
		}
		return do(tree.Entry{Name: name, ID: tree.ID{Ino: uint64(at)}, Type: typ}, alias)
	})
}

// ReadDir implements tree.Reader.
func (f *FS) ReadDir(id tree.ID, do func(tree.Entry) error) error {
	return f.list(id, func(e tree.Entry, _ string) error { return do(e) })
}

// Lookup implements tree.Lookuper.
func (f *FS) Lookup(dir tree.ID, name string) (tree.Entry, error) {
	return f.index.Lookup(dir, name, func(add func(string, tree.Entry) error) error {
		return f.list(dir, func(e tree.Entry, alias string) error {
			if err := add(e.Name, e); err != nil || alias == e.Name {
				return err
			}
			return add(alias, e)
		})
	})
}

// Readlink implements tree.Reader: there are no links.
func (f *FS) Readlink(tree.ID) (string, error) { return "", fs.ErrInvalid }

// Stat implements tree.Reader. Times are written in the local time of whoever
// wrote, which the disk does not tell; they are given as if that was UTC.
func (f *FS) Stat(id tree.ID) (tree.Attr, error) {
	r, err := f.record(id)
	if err != nil {
		return tree.Attr{}, err
	}
	a := tree.Attr{ID: id, Mode: tree.Regular | 0o644, Nlink: 1, Size: r.size()}
	if r.dir() {
		a.Mode, a.Size = tree.Dir|0o755, 0
	}
	a.Allocated = (a.Size + f.cluster - 1) / f.cluster * f.cluster
	for bit, flag := range map[byte]tree.Flags{readOnly: tree.Readonly, hidden: tree.Hidden, system: tree.System} {
		if r[11]&bit != 0 {
			a.Flags |= flag
		}
	}
	if r[11]&readOnly != 0 {
		a.Mode &^= 0o222
	}
	le := binary.LittleEndian
	a.Mtime = stamp(le.Uint16(r[24:]), le.Uint16(r[22:]), 0)
	a.Atime = stamp(le.Uint16(r[18:]), 0, 0)
	a.Btime = stamp(le.Uint16(r[16:]), le.Uint16(r[14:]), r[13])
	return a, nil
}

func stamp(date, clock uint16, hundredths byte) time.Time {
	if date == 0 {
		return time.Time{}
	}
	return time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31),
		int(clock>>11), int(clock>>5&63), int(clock&31)*2, int(hundredths)*10_000_000, time.UTC)
}

// rootLabel finds the volume's name in the root folder.
func (f *FS) rootLabel() (name string) {
	_ = f.slots(f.Root(), func(r record, _ int64) error {
		if r.isVolume() && r[11]&0x3f != longName && r[0] != 0xe5 {
			name = label(r[:11])
			return errFound
		}
		return nil
	})
	return name
}

var errFound = errors.New("found") // ends a search

// longParts gathers a long name, whose last part comes first.
type longParts struct {
	sum  byte
	next int // number of the part that is due; 0 is the short entry
	text []byte
}

func (l *longParts) add(r record) {
	n := int(r[0] & 0x1f)
	if r[0]&0x40 != 0 && n >= 1 && n <= 20 {
		*l = longParts{sum: r[13], next: n}
	} else if n == 0 || n != l.next || r[13] != l.sum {
		*l = longParts{}
		return
	}
	l.next = n - 1
	l.text = slices.Concat(r[1:11], r[14:26], r[28:32], l.text)
}

// name gives the gathered name if it belongs to r.
func (l *longParts) name(r record) (string, bool) {
	if l.text == nil || l.next != 0 || l.sum != checksum(r[:11]) {
		return "", false
	}
	for i := 0; i+1 < len(l.text); i += 2 {
		if l.text[i] == 0 && l.text[i+1] == 0 {
			return names.LE(l.text[:i]), i > 0
		}
	}
	return names.LE(l.text), true
}

// checksum ties a long name to its short one.
func checksum(name []byte) byte {
	var s byte
	for _, c := range name {
		s = s>>1 | s<<7
		s += c
	}
	return s
}

// short gives the name of eight and three characters, in lower case where the
// entry says so.
func short(r record) string {
	b := slices.Clone(r[:11])
	if b[0] == 0x05 {
		b[0] = 0xe5
	}
	base, ext := strings.TrimRight(oem(b[:8]), " "), strings.TrimRight(oem(b[8:]), " ")
	if r[12]&0x08 != 0 {
		base = strings.ToLower(base)
	}
	if r[12]&0x10 != 0 {
		ext = strings.ToLower(ext)
	}
	if ext != "" {
		return base + "." + ext
	}
	return base
}

// codePage850 is what the upper half of bytes in short names stands for in
// western Europe; the disk does not tell. Long names are in Unicode.
var codePage850 = []rune("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u00ad±‗¾¶§÷¸°¨·¹³²■\u00a0")

func oem(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		if c < 0x80 {
			s.WriteByte(c)
		} else {
			s.WriteRune(codePage850[c-0x80])
		}
	}
	return s.String()
}
