package regf

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"time"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/names"
)

// none is an offset that says "not there".
const none = 0xffffffff

// Key is a key of a hive. It may be used from any goroutine.
type Key struct {
	hive   *Hive
	parent *Key
	depth  int
	off    uint32
	name   string
	record [76]byte
}

// key reads the key at off.
func (h *Hive) key(off uint32, parent *Key) (*Key, error) {
	k := &Key{hive: h, parent: parent, off: off}
	if parent != nil {
		k.depth = parent.depth + 1
	}
	if k.depth > maxDepth {
		return nil, disk.Malform(format, "keys are deeper than %d", maxDepth)
	}
	for p := parent; p != nil; p = p.parent {
		if p.off == off {
			return nil, disk.Malform(format, "the key at %#x is below itself", off)
		}
	}
	// A name has at most 256 characters; files say how many bytes in 16 bits.
	head, _, err := h.cellHead(off, len(k.record)+512)
	if err != nil {
		return nil, err
	}
	if len(head) < len(k.record) || string(head[:2]) != "nk" {
		return nil, disk.Malform(format, "no key at %#x", off)
	}
	copy(k.record[:], head)
	length := int(le16(head[72:]))
	if length > len(head)-len(k.record) {
		return nil, disk.Malform(format, "the key at %#x has a name of %d bytes", off, length)
	}
	k.name = name(head[76:76+length], le16(head[2:])&0x20 != 0)
	return k, nil
}

// Name is the last part of the key's path. The root has one too, which is in
// no path.
func (k *Key) Name() string { return k.name }

// Path is the key's path from the root, names separated by backslashes; the
// root's is empty.
func (k *Key) Path() string {
	var parts []string
	for ; k.parent != nil; k = k.parent {
		parts = append(parts, k.name)
	}
	slices.Reverse(parts)
	return strings.Join(parts, `\`)
}

// Written is when the key was changed last.
func (k *Key) Written() time.Time { return fileTime(binary.LittleEndian.Uint64(k.record[4:])) }

// Link tells that the key is a symbolic link: its value SymbolicLinkValue names
// the key that it stands for.
func (k *Key) Link() bool { return le16(k.record[2:])&0x10 != 0 }

// Class is the key's class name, which most keys have not.
func (k *Key) Class() (string, error) {
	off, length := le32(k.record[48:]), int64(le16(k.record[74:]))
	if off == none || length == 0 {
		return "", nil
	}
	b, err := k.hive.cell(off, length)
	if err != nil {
		return "", err
	}
	return names.LE(b), nil
}

// Keys gives the keys below this one as they are stored, which is sorted by
// upper-case name. One that cannot be read comes as nil with an error, and the
// next ones follow; an error in the list itself ends it.
func (k *Key) Keys() iter.Seq2[*Key, error] {
	return func(yield func(*Key, error) bool) {
		for entry, err := range k.entries() {
			if err != nil {
				yield(nil, err)
				return
			}
			key, err := k.hive.key(entry.key, k)
			if !yield(key, err) || budget.IsLimit(err) {
				return
			}
		}
	}
}

// Key finds a key below this one by its path, names separated by backslashes,
// in whatever case. An empty path is the key itself. The error of a key that
// is not there is fs.ErrNotExist.
func (k *Key) Key(path string) (*Key, error) {
	for part := range strings.SplitSeq(path, `\`) {
		if part == "" {
			continue
		}
		next, err := k.child(part)
		if err != nil {
			return nil, err
		}
		k = next
	}
	return k, nil
}

// child finds one name. Lists of the newer kind hold hashes, by which keys
// with another name need not be read.
func (k *Key) child(name string) (*Key, error) {
	want, hashed := hash(name), ascii(name)
	var broken error
	for entry, err := range k.entries() {
		if err != nil {
			return nil, err
		}
		if hashed && entry.hashed && entry.hash != want {
			continue
		}
		c, err := k.hive.key(entry.key, k)
		if budget.IsLimit(err) {
			return nil, err
		}
		if err != nil {
			broken = err // it may be the one; another may be it as well
			continue
		}
		if same(c.name, name) {
			return c, nil
		}
	}
	if broken != nil {
		return nil, broken
	}
	return nil, &fs.PathError{Op: "key", Path: strings.TrimPrefix(k.Path()+`\`+name, `\`), Err: fs.ErrNotExist}
}

// entry is one line of a list of keys.
type entry struct {
	key    uint32
	hash   uint32
	hashed bool
}

// entries gives the lines of the list of keys, which is in one piece or in a
// list of pieces. An error ends it.
func (k *Key) entries() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		off := le32(k.record[28:])
		if le32(k.record[20:]) == 0 || off == none {
			return
		}
		// A key takes 80 bytes: lists that name more than fit repeat some.
		left := k.hive.end() / 80
		kind, list, err := k.hive.list(off)
		if err != nil {
			yield(entry{}, err)
			return
		}
		if kind != "ri" {
			k.hive.lines(kind, list, &left, yield)
			return
		}
		for ; len(list) >= 4; list = list[4:] {
			kind, piece, err := k.hive.list(le32(list))
			if err == nil && kind == "ri" {
				err = disk.Malform(format, "the list at %#x is a list of lists of lists", off)
			}
			if err != nil {
				yield(entry{}, err)
				return
			}
			if !k.hive.lines(kind, piece, &left, yield) {
				return
			}
		}
	}
}

// lines gives the lines of one piece and tells whether to go on.
func (h *Hive) lines(kind string, list []byte, left *int64, yield func(entry, error) bool) bool {
	width := 8
	if kind == "li" {
		width = 4
	}
	for ; len(list) >= width; list = list[width:] {
		if *left--; *left < 0 {
			yield(entry{}, disk.Malform(format, "a list of keys has more lines than the hive has room for keys"))
			return false
		}
		if err := h.src.budget.Step(1); err != nil {
			yield(entry{}, err)
			return false
		}
		e := entry{key: le32(list)}
		if kind == "lh" {
			e.hash, e.hashed = le32(list[4:]), true
		}
		if !yield(e, nil) {
			return false
		}
	}
	return true
}

// list reads a list of keys or of lists.
func (h *Hive) list(off uint32) (kind string, lines []byte, err error) {
	head, size, err := h.cellHead(off, 4)
	if err != nil {
		return "", nil, err
	}
	if len(head) < 4 {
		return "", nil, disk.Malform(format, "the list at %#x is cut off", off)
	}
	kind = string(head[:2])
	width := int64(8)
	switch kind {
	case "lf", "lh":
	case "li", "ri":
		width = 4
	default:
		return "", nil, disk.Malform(format, "a list of kind %s at %#x", disk.Quote(head[:2]), off)
	}
	n := 4 + width*int64(le16(head[2:]))
	if n > size {
		return "", nil, disk.Malform(format, "the list at %#x has more lines than fit", off)
	}
	b, err := h.cell(off, n)
	if err != nil {
		return "", nil, err
	}
	return kind, b[4:], nil
}

func notExist(k *Key, what string) error {
	return &fs.PathError{Op: "value", Path: fmt.Sprintf("%s:%s", k.Path(), what), Err: fs.ErrNotExist}
}
