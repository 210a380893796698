package iso9660

import (
	"encoding/binary"
	"io/fs"
	"strings"
	"time"

	"kuva/disk"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

// Flags of a record.
const (
	isHidden = 0x01
	isFolder = 0x02
	isMore   = 0x80 // the next record has the rest of the file
)

// record is an entry of a folder.
type record struct {
	at, length int64
	block      uint32
	size       int64
	flags      byte
	skipped    byte // blocks before the content
	when       time.Time
	name       []byte
	system     []byte // what Rock Ridge adds
}

// record reads the one at an offset. None lies across the end of a sector.
func (f *FS) record(at int64) (r record, err error) {
	if at < 16*sector {
		return r, fs.ErrInvalid
	}
	b, err := f.blocks.Get(at&^(sector-1), sector)
	if err != nil {
		return r, err
	}
	return f.parse(b[at%sector:], at)
}

func (f *FS) parse(b []byte, at int64) (r record, err error) {
	le := binary.LittleEndian
	if len(b) < 34 || int(b[0]) > len(b) || b[0] < 34 || 33+int(b[32]) > int(b[0]) {
		return r, disk.Malform(format, "the record at %d is cut off", at)
	}
	b = b[:b[0]]
	r = record{
		at: at, length: int64(len(b)), block: le.Uint32(b[2:]), size: int64(le.Uint32(b[10:])), flags: b[25],
		skipped: b[1], when: stamp(b[18:25]), name: b[33 : 33+int(b[32])],
	}
	if b[26] != 0 || b[27] != 0 {
		return r, disk.Refuse(format, disk.ReasonFeature, "an interleaved file")
	}
	if rest := (33 + int(b[32]) + 1) &^ 1; rest+f.skip < len(b) {
		r.system = b[rest+f.skip:]
	}
	return r, nil
}

// extent is where the content of a record begins.
func (r record) extent(f *FS) int64 { return (int64(r.block) + int64(r.skipped)) * f.block }

// special tells that a record is "." or "..".
func (r record) special() bool { return len(r.name) == 1 && r.name[0] <= 1 }

// entries is what Rock Ridge says of a file.
type entries struct {
	rock       bool
	name       string
	hasName    bool
	mode       uint32
	nlink      uint32
	uid, gid   uint32
	hasMode    bool
	rdev       uint64
	link       strings.Builder
	isLink     bool
	linkOpen   bool // the next component goes on without a slash
	nameOpen   bool
	child      uint32 // block of a folder that was moved elsewhere
	moved      bool   // this is where it was moved to
	packed     bool   // by zisofs
	packedSize int64

	mtime, atime, ctime, btime time.Time
}

// Bounds of what one record says in all.
const (
	maxAreas = 64
	maxText  = 16 << 10
)

// entries reads the areas of a record: the one in it, and those that continue
// it.
func (f *FS) entries(r record) (*entries, error) {
	e := &entries{}
	b := r.system
	for area := 0; ; area++ {
		if area > maxAreas {
			return nil, disk.Malform(format, "the record at %d goes on in more than %d places", r.at, maxAreas)
		}
		if err := f.budget.Step(1); err != nil {
			return nil, err
		}
		var next []byte
		for len(b) >= 4 && b[2] >= 4 && int(b[2]) <= len(b) {
			entry := b[:b[2]]
			b = b[b[2]:]
			kind := string(entry[:2])
			if kind == "ST" {
				break
			}
			if kind == "CE" && len(entry) >= 28 {
				next = entry
				continue
			}
			e.add(kind, entry)
			if len(e.name)+e.link.Len() > maxText {
				return nil, disk.Malform(format, "the record at %d has a name of more than %d bytes", r.at, maxText)
			}
		}
		if next == nil {
			return e, nil
		}
		le := binary.LittleEndian
		block, off, n := int64(le.Uint32(next[4:])), int64(le.Uint32(next[12:])), int64(le.Uint32(next[20:]))
		if n > sector*16 || off > sector*16 {
			return nil, disk.Malform(format, "the record at %d goes on for %d bytes", r.at, n)
		}
		var err error
		if b, err = f.blocks.Get(block*f.block+off, int(n)); err != nil {
			return nil, err
		}
	}
}

// add takes an entry in. Those that are too short are left out.
func (e *entries) add(kind string, b []byte) {
	le := binary.LittleEndian
	switch kind {
	case "RR", "PX", "NM", "SL", "TF", "CL", "RE", "PN":
		e.rock = true
	}
	switch {
	case kind == "PX" && len(b) >= 36:
		e.hasMode = true
		e.mode, e.nlink, e.uid, e.gid = le.Uint32(b[4:]), le.Uint32(b[12:]), le.Uint32(b[20:]), le.Uint32(b[28:])
	case kind == "PN" && len(b) >= 20:
		e.rdev = uint64(le.Uint32(b[4:]))<<32 | uint64(le.Uint32(b[12:]))
		if high, low := le.Uint32(b[4:]), le.Uint32(b[12:]); high == 0 { // one number, as of Linux
			e.rdev = uint64(low>>8&0xfff)<<32 | uint64(low&0xff|low>>12&0xfff00)
		}
	case kind == "NM" && len(b) >= 5 && b[4]&6 == 0:
		if !e.hasName || e.nameOpen {
			e.name += string(b[5:])
		}
		e.hasName, e.nameOpen = true, b[4]&1 != 0
	case kind == "SL" && len(b) >= 5:
		e.isLink = true
		e.components(b[5:])
	case kind == "TF" && len(b) >= 5:
		e.times(b[4], b[5:])
	case kind == "CL" && len(b) >= 12:
		e.child = le.Uint32(b[4:])
	case kind == "RE":
		e.moved = true
	case kind == "ZF" && len(b) >= 16:
		e.packed, e.packedSize = true, int64(le.Uint32(b[8:]))
	}
}

// components adds parts of a link's target.
func (e *entries) components(b []byte) {
	for len(b) >= 2 && 2+int(b[1]) <= len(b) {
		flags, text := b[0], string(b[2:2+int(b[1])])
		b = b[2+int(b[1]):]
		if s := e.link.String(); e.link.Len() > 0 && !e.linkOpen && s[len(s)-1] != '/' {
			e.link.WriteByte('/')
		}
		switch {
		case flags&2 != 0:
			text = "."
		case flags&4 != 0:
			text = ".."
		case flags&8 != 0:
			text = "/"
		}
		e.link.WriteString(text)
		e.linkOpen = flags&1 != 0
	}
}

func (e *entries) times(flags byte, b []byte) {
	size := 7
	if flags&0x80 != 0 {
		size = 17
	}
	for i, t := range []*time.Time{&e.btime, &e.mtime, &e.atime, &e.ctime} {
		if flags>>i&1 == 0 {
			continue
		}
		if len(b) < size {
			return
		}
		if size == 7 {
			*t = stamp(b)
		} else {
			*t = longStamp(b)
		}
		b = b[size:]
	}
}

// nameOf decodes a record's name.
func (f *FS) nameOf(r record, e *entries) (string, bool) {
	if f.susp && e.hasName {
		return names.Element(e.name)
	}
	var s string
	if f.joliet {
		s = names.BE(r.name)
	} else {
		s = names.Latin1(r.name)
	}
	if i := strings.LastIndexByte(s, ';'); i > 0 && strings.Trim(s[i+1:], "0123456789") == "" {
		s = s[:i]
	}
	if r.flags&isFolder == 0 {
		s = strings.TrimSuffix(s, ".")
	}
	return names.Element(s)
}

// walk calls do for the records of a folder, without "." and "..", and of a
// file in several pieces for the first.
func (f *FS) walk(id tree.ID, do func(r record) error) error {
	n, err := f.node(id)
	if err != nil {
		return err
	}
	if n.attr.Mode&tree.TypeMask != tree.Dir {
		return fs.ErrInvalid
	}
	if n.size > f.blocks.Size() {
		return disk.Malform(format, "a folder of %d bytes", n.size)
	}
	more := false
	for at, end := n.extents[0].at, n.extents[0].at+n.size; at < end; {
		if err := f.budget.Step(1); err != nil {
			return err
		}
		b, err := f.blocks.Get(at&^(sector-1), sector)
		if err != nil {
			return err
		}
		if b[at%sector] == 0 { // nothing more in this sector
			at = at&^(sector-1) + sector
			continue
		}
		r, err := f.parse(b[at%sector:], at)
		if err != nil {
			return err
		}
		at += r.length
		first := !more
		more = r.flags&isMore != 0
		if r.special() || !first {
			continue
		}
		if err := do(r); err != nil {
			return err
		}
	}
	return nil
}

// ReadDir implements tree.Reader.
func (f *FS) ReadDir(id tree.ID, do func(tree.Entry) error) error {
	return f.walk(id, func(r record) error {
		e := &entries{}
		if f.susp {
			var err error
			if e, err = f.entries(r); err != nil {
				return err
			}
			if e.moved {
				return nil // it is shown where it belongs
			}
		}
		name, ok := f.nameOf(r, e)
		if !ok {
			return nil
		}
		out := tree.Entry{Name: name, ID: tree.ID{Ino: uint64(r.at)}, Type: tree.Regular}
		switch {
		case e.child != 0:
			out.Type = tree.Dir
			out.ID.Ino = uint64(int64(e.child) * f.block)
		case e.hasMode:
			out.Type = e.mode & tree.TypeMask
		case r.flags&isFolder != 0:
			out.Type = tree.Dir
		}
		return do(out)
	})
}

// Lookup implements tree.Lookuper.
func (f *FS) Lookup(dir tree.ID, name string) (tree.Entry, error) {
	return f.index.Lookup(dir, name, func(add func(string, tree.Entry) error) error {
		return f.ReadDir(dir, func(e tree.Entry) error { return add(e.Name, e) })
	})
}
