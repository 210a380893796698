package ntfs

import (
	"encoding/binary"
	"io/fs"
	"unicode/utf16"

	"kuva/disk"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

// Bounds of an index: ten levels hold more names than a volume can.
const (
	maxLevels = 10
	maxBlock  = 64 << 10
)

// index is the sorted list of a folder's names: a B-tree whose root lies in
// the record.
type index struct {
	f     *FS
	root  []byte
	alloc *stream // nil for a small folder
	block int64   // bytes
	unit  int64   // bytes that the numbers of blocks count
}

// line is an entry of the index.
type line struct {
	ref   uint64
	key   []byte
	child int64 // the block with the names before this one, or -1
	last  bool  // has no key
}

func (f *FS) openIndex(ref uint64) (*index, error) {
	n, err := f.node(ref)
	if err != nil {
		return nil, err
	}
	if n.base().flags&isFolder == 0 {
		return nil, fs.ErrInvalid
	}
	a := n.find(attrIndexRoot, "$I30")
	if a == nil || a.nonResident || len(a.value) < 32 {
		return nil, disk.Malform(format, "folder %d has no index", ref&numberMask)
	}
	x := &index{f: f, root: a.value, block: int64(binary.LittleEndian.Uint32(a.value[8:]))}
	if x.block < 512 || x.block > maxBlock || x.block%512 != 0 {
		return nil, disk.Malform(format, "an index of blocks of %d bytes", x.block)
	}
	x.unit = 512
	if x.block >= f.cluster {
		x.unit = f.cluster
	}
	if n.find(attrIndexAlloc, "$I30") != nil {
		if x.alloc, err = f.stream(n.records, attrIndexAlloc, "$I30"); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// lines gives the entries of a block; block -1 is the root.
func (x *index) lines(vcn int64) ([]line, error) {
	b, head := x.root, 16
	if vcn >= 0 {
		if x.alloc == nil || vcn > x.alloc.size/x.unit {
			return nil, disk.Malform(format, "an index has no block %d", vcn)
		}
		raw, err := x.alloc.structure(vcn*x.unit, int(x.block))
		if err != nil {
			return nil, err
		}
		if b, err = fixup(raw, "INDX"); err != nil {
			return nil, err
		}
		if got := int64(binary.LittleEndian.Uint64(b[16:])); got != vcn {
			return nil, disk.Malform(format, "block %d of an index says that it is %d", vcn, got)
		}
		head = 24
	}
	le := binary.LittleEndian
	at, end := int64(head)+int64(le.Uint32(b[head:])), int64(head)+int64(le.Uint32(b[head+4:]))
	if end > int64(len(b)) {
		return nil, disk.Malform(format, "an index block of %d bytes uses %d", len(b), end)
	}
	var all []line
	for {
		if at < 0 || at > end-16 {
			return nil, disk.Malform(format, "an index block has no last entry")
		}
		e := b[at:end]
		length, key, flags := int64(le.Uint16(e[8:])), int64(le.Uint16(e[10:])), le.Uint16(e[12:])
		if length < 16 || length > int64(len(e)) || length%8 != 0 || 16+key > length {
			return nil, disk.Malform(format, "an entry of an index has %d bytes and a key of %d", length, key)
		}
		if err := x.f.budget.Step(1); err != nil {
			return nil, err
		}
		l := line{ref: le.Uint64(e), child: -1, last: flags&2 != 0, key: e[16 : 16+key]}
		if flags&1 != 0 {
			if length < 24 {
				return nil, disk.Malform(format, "an entry of an index is too short")
			}
			if l.child = int64(le.Uint64(e[length-8:])); l.child < 0 {
				return nil, disk.Malform(format, "an index has no block %d", l.child)
			}
		}
		if !l.last && (len(l.key) < 66 || len(l.key) < 66+2*int(l.key[64])) {
			return nil, disk.Malform(format, "an entry of an index has a key of %d bytes", len(l.key))
		}
		all = append(all, l)
		if l.last {
			return all, nil
		}
		at += length
	}
}

// fileName is what the key of an entry tells.
func (l line) name() []byte    { return l.key[66 : 66+2*int(l.key[64])] }
func (l line) namespace() byte { return l.key[65] }
func (l line) flags() uint32   { return binary.LittleEndian.Uint32(l.key[56:]) }

// dosName is the namespace of a name that stands beside a longer one.
const dosName = 2

// walk calls do for all entries in order. No block may come twice.
func (x *index) walk(vcn int64, level int, seen map[int64]bool, do func(line) error) error {
	if level > maxLevels {
		return disk.Malform(format, "an index has more than %d levels", maxLevels)
	}
	if seen[vcn] {
		return disk.Malform(format, "block %d of an index comes twice", vcn)
	}
	seen[vcn] = true
	all, err := x.lines(vcn)
	if err != nil {
		return err
	}
	for _, l := range all {
		if l.child >= 0 {
			if err := x.walk(l.child, level+1, seen, do); err != nil {
				return err
			}
		}
		if !l.last {
			if err := do(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// ReadDir implements tree.Reader.
func (f *FS) ReadDir(id tree.ID, do func(tree.Entry) error) error {
	x, err := f.openIndex(id.Ino)
	if err != nil {
		return err
	}
	return x.walk(-1, 0, map[int64]bool{}, func(l line) error {
		if l.namespace() == dosName || l.ref&numberMask < firstOfUser {
			return nil
		}
		e, ok := entry(l)
		if !ok {
			return nil
		}
		return do(e)
	})
}

func entry(l line) (tree.Entry, bool) {
	name, ok := names.Element(names.LE(l.name()))
	e := tree.Entry{Name: name, ID: tree.ID{Ino: l.ref}}
	switch flags := l.flags(); {
	case flags&(attribReparse|attribSystem) != 0: // may be a link: only the file tells
	case flags&0x10000000 != 0:
		e.Type = tree.Dir
	default:
		e.Type = tree.Regular
	}
	return e, ok
}

// Lookup implements tree.Lookuper. Where names differ only in case, the one
// that is written like name comes first.
func (f *FS) Lookup(dir tree.ID, name string) (tree.Entry, error) {
	x, err := f.openIndex(dir.Ino)
	if err != nil {
		return tree.Entry{}, err
	}
	want := utf16.Encode([]rune(name))
	var near *line
	vcn := int64(-1)
	for range maxLevels + 1 {
		all, err := x.lines(vcn)
		if err != nil {
			return tree.Entry{}, err
		}
		next := int64(-1)
		for i := range all {
			l := &all[i]
			if l.last {
				next = l.child
				break
			}
			c, same := f.compare(want, l.name())
			if same {
				near = l
			}
			if c == 0 {
				return found(l)
			}
			if c < 0 {
				next = l.child
				break
			}
		}
		if next < 0 {
			if near != nil {
				return found(near)
			}
			return tree.Entry{}, fs.ErrNotExist
		}
		vcn = next
	}
	return tree.Entry{}, disk.Malform(format, "an index has more than %d levels", maxLevels)
}

func found(l *line) (tree.Entry, error) {
	e, ok := entry(*l)
	if !ok {
		return e, fs.ErrNotExist
	}
	return e, nil
}

// compare orders names as an index does: by the table of upper-case letters,
// and as they are where those are equal, which same tells.
func (f *FS) compare(a []uint16, b []byte) (c int, same bool) {
	up := f.upper()
	exact := 0
	for i, n := 0, len(b)/2; i < len(a) && i < n; i++ {
		x, y := a[i], binary.LittleEndian.Uint16(b[2*i:])
		if x == y {
			continue
		}
		ux, uy := x, y
		if int(x) < len(up) {
			ux = up[x]
		}
		if int(y) < len(up) {
			uy = up[y]
		}
		if ux != uy {
			return int(ux) - int(uy), false
		}
		if exact == 0 {
			exact = int(x) - int(y)
		}
	}
	if d := len(a) - len(b)/2; d != 0 {
		return d, false
	}
	return exact, true
}

// upper reads the volume's table of upper-case letters, of 65,536 units.
func (f *FS) upper() []uint16 {
	f.upcaseOnce.Do(func() {
		s, err := f.open(fileUpcase, "")
		if err == nil && s.size == 128<<10 {
			b := make([]byte, s.size)
			if err = disk.ReadFull(s, b, 0); err == nil {
				f.upcase = make([]uint16, len(b)/2)
				for i := range f.upcase {
					f.upcase[i] = binary.LittleEndian.Uint16(b[2*i:])
				}
				return
			}
		}
		f.upcase = make([]uint16, 1<<16)
		for i := range f.upcase {
			f.upcase[i] = uint16(i)
			if u := []rune(names.Upper(string(rune(i)))); i < 0xd800 && len(u) == 1 && u[0] <= 0xffff {
				f.upcase[i] = uint16(u[0])
			}
		}
	})
	return f.upcase
}
