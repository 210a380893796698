package regf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"strings"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/names"
)

// Type is the type of a value as the file says it.
type Type uint32

// The types that Windows documents.
const (
	None         Type = iota // no type
	String                   // REG_SZ
	ExpandString             // REG_EXPAND_SZ: has %VARIABLES% in it
	Binary                   // REG_BINARY
	DWord                    // REG_DWORD: 32 bits, little-endian
	DWordBig                 // REG_DWORD_BIG_ENDIAN
	Link                     // REG_LINK: the path of another key
	MultiString              // REG_MULTI_SZ
	Resources                // REG_RESOURCE_LIST
	FullResource             // REG_FULL_RESOURCE_DESCRIPTOR
	Requirements             // REG_RESOURCE_REQUIREMENTS_LIST
	QWord                    // REG_QWORD: 64 bits
)

var typeNames = [...]string{
	"REG_NONE", "REG_SZ", "REG_EXPAND_SZ", "REG_BINARY", "REG_DWORD", "REG_DWORD_BIG_ENDIAN", "REG_LINK",
	"REG_MULTI_SZ", "REG_RESOURCE_LIST", "REG_FULL_RESOURCE_DESCRIPTOR", "REG_RESOURCE_REQUIREMENTS_LIST", "REG_QWORD",
}

// String is the name that Windows gives the type.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// ErrType is the error for reading a value as what its type is not.
var ErrType = errors.New("the value is of another type")

// Value is a value of a key.
type Value struct {
	Name string // empty for the key's default value
	Type Type
	Size int64 // bytes of data

	hive *Hive
	data uint32 // where they are, or they themselves
	here bool   // they themselves
}

// Values gives the values of the key as they are stored. One that cannot be
// read comes as nil with an error, and the next ones follow; an error in the
// list itself ends it.
func (k *Key) Values() iter.Seq2[*Value, error] {
	return func(yield func(*Value, error) bool) {
		count, off := int64(le32(k.record[36:])), le32(k.record[40:])
		if count == 0 || off == none {
			return
		}
		list, err := k.hive.cell(off, 4*count)
		if err != nil {
			yield(nil, err)
			return
		}
		for ; len(list) >= 4; list = list[4:] {
			if err := k.hive.src.budget.Step(1); err != nil {
				yield(nil, err)
				return
			}
			v, err := k.hive.value(le32(list))
			if !yield(v, err) || budget.IsLimit(err) {
				return
			}
		}
	}
}

// Value finds a value by its name in whatever case; the default value has an
// empty one. The error of a value that is not there is fs.ErrNotExist.
func (k *Key) Value(name string) (*Value, error) {
	var broken error
	for v, err := range k.Values() {
		if err != nil {
			broken = err // it may be the one; another may be it as well
			continue
		}
		if same(v.Name, name) {
			return v, nil
		}
	}
	if broken != nil {
		return nil, broken
	}
	return nil, notExist(k, name)
}

// Text is Value(name).Text.
func (k *Key) Text(name string) (string, error) {
	v, err := k.Value(name)
	if err != nil {
		return "", err
	}
	return v.Text()
}

// Strings is Value(name).Strings.
func (k *Key) Strings(name string) ([]string, error) {
	v, err := k.Value(name)
	if err != nil {
		return nil, err
	}
	return v.Strings()
}

// Uint is Value(name).Uint.
func (k *Key) Uint(name string) (uint64, error) {
	v, err := k.Value(name)
	if err != nil {
		return 0, err
	}
	return v.Uint()
}

func (h *Hive) value(off uint32) (*Value, error) {
	head, _, err := h.cellHead(off, 20+2*16384)
	if err != nil {
		return nil, err
	}
	if len(head) < 20 || string(head[:2]) != "vk" {
		return nil, disk.Malform(format, "no value at %#x", off)
	}
	length, size := int(le16(head[2:])), le32(head[4:])
	if length > len(head)-20 {
		return nil, disk.Malform(format, "the value at %#x has a name of %d bytes", off, length)
	}
	v := &Value{
		Name: name(head[20:20+length], le16(head[16:])&1 != 0),
		Type: Type(le32(head[12:])), Size: int64(size &^ (1 << 31)),
		hive: h, data: le32(head[8:]), here: size>>31 != 0,
	}
	if v.here && v.Size > 4 {
		return nil, disk.Malform(format, "the value at %#x holds %d bytes in 4", off, v.Size)
	}
	return v, nil
}

// Bytes reads the value's data, whatever the type. More than MaxValue are
// refused.
func (v *Value) Bytes() ([]byte, error) {
	if v.here {
		return binary.LittleEndian.AppendUint32(nil, v.data)[:v.Size], nil
	}
	if v.Size == 0 {
		return nil, nil
	}
	if v.Size > segment {
		head, size, err := v.hive.cellHead(v.data, 8)
		if err != nil {
			return nil, err
		}
		if size < v.Size && len(head) == 8 && string(head[:2]) == "db" {
			return v.hive.big(le32(head[4:]), int64(le16(head[2:])), v.Size)
		}
	}
	return v.hive.cell(v.data, v.Size)
}

// segment is how many bytes of a large value lie in one cell.
const segment = 16344

// big reads data that lie in a list of segments.
func (h *Hive) big(list uint32, count, size int64) ([]byte, error) {
	if size > MaxValue {
		return nil, disk.Refuse(format, disk.ReasonLimit, "a value of %d bytes, the limit is %d", size, MaxValue)
	}
	if size > count*segment || size > h.end() {
		return nil, disk.Malform(format, "a value of %d bytes in %d segments", size, count)
	}
	offsets, err := h.cell(list, 4*count)
	if err != nil {
		return nil, err
	}
	if err := h.src.budget.Alloc(size); err != nil {
		return nil, err
	}
	defer h.src.budget.Free(size)
	data := make([]byte, 0, size)
	for ; int64(len(data)) < size; offsets = offsets[4:] {
		b, err := h.cell(le32(offsets), min(segment, size-int64(len(data))))
		if err != nil {
			return nil, err
		}
		data = append(data, b...)
	}
	return data, nil
}

// Text is the text of a value of the types String, ExpandString or Link, as far
// as the first NUL. Variables are not expanded.
func (v *Value) Text() (string, error) {
	switch v.Type {
	case String, ExpandString, Link:
	default:
		return "", v.wrong("text")
	}
	b, err := v.Bytes()
	if err != nil {
		return "", err
	}
	return names.UntilNUL(names.LE(b)), nil
}

// Strings are the texts of a MultiString, up to the empty one that ends it. A
// value that is one text gives that.
func (v *Value) Strings() ([]string, error) {
	if v.Type != MultiString {
		s, err := v.Text()
		if err != nil {
			return nil, err
		}
		return []string{s}, nil
	}
	b, err := v.Bytes()
	if err != nil {
		return nil, err
	}
	// Strings take 16 bytes each where the file has 2.
	room := 8 * int64(len(b))
	if err := v.hive.src.budget.Alloc(room); err != nil {
		return nil, err
	}
	defer v.hive.src.budget.Free(room)
	var all []string
	for s := range strings.SplitSeq(names.LE(b), "\x00") {
		if s == "" {
			break
		}
		all = append(all, s)
	}
	return all, nil
}

// Uint is the number of a value of the types DWord, DWordBig or QWord.
func (v *Value) Uint() (uint64, error) {
	want := int64(4)
	switch v.Type {
	case DWord, DWordBig:
	case QWord:
		want = 8
	default:
		return 0, v.wrong("a number")
	}
	if v.Size != want {
		return 0, disk.Malform(format, "a %s of %d bytes", v.Type, v.Size)
	}
	b, err := v.Bytes()
	if err != nil {
		return 0, err
	}
	switch v.Type {
	case DWordBig:
		return uint64(binary.BigEndian.Uint32(b)), nil
	case QWord:
		return binary.LittleEndian.Uint64(b), nil
	}
	return uint64(le32(b)), nil
}

func (v *Value) wrong(wanted string) error {
	return fmt.Errorf("%s: %s is %s, not %s: %w", format, disk.Quote([]byte(v.Name)), v.Type, wanted, ErrType)
}
