package ntfs

import (
	"bytes"
	"encoding/binary"
	"slices"

	"kuva/disk"
	"kuva/guest/internal/names"
)

// Kinds of attributes.
const (
	attrStandard   = 0x10
	attrList       = 0x20
	attrFileName   = 0x30
	attrVolumeName = 0x60
	attrVolumeInfo = 0x70
	attrData       = 0x80
	attrIndexRoot  = 0x90
	attrIndexAlloc = 0xa0
	attrReparse    = 0xc0
	attrEnd        = 0xffffffff
)

// numberMask takes the record's number from a file reference.
const numberMask = 1<<48 - 1

// Flags of a record.
const (
	inUse    = 1
	isFolder = 2
)

// record is a record of the MFT.
type record struct {
	number   uint64
	sequence uint16
	flags    uint16
	base     uint64 // reference of the record that this one continues; 0 if none
	attrs    []*attr
}

// attr is an attribute, or a piece of one.
type attr struct {
	kind        uint32
	name        string
	flags       uint16
	nonResident bool
	value       []byte // of a resident one

	// Of others: where the clusters first to last of it lie.
	first, last         int64
	runs                []byte
	unit                uint // logarithm of the clusters of a compression unit
	allocated, size     int64
	initialized, stored int64
}

const (
	flagCompressed = 0x00ff
	flagEncrypted  = 0x4000
	flagSparse     = 0x8000
)

// fixup checks a record or index block whose sectors end in a number, and puts
// the bytes back that the number took the place of. It gives a copy.
func fixup(raw []byte, magic string) ([]byte, error) {
	if string(raw[:4]) != magic {
		return nil, disk.Malform(format, "%s where a record of kind %s should be", disk.Quote(raw[:4]), magic)
	}
	b := bytes.Clone(raw)
	le := binary.LittleEndian
	at, n := int(le.Uint16(b[4:])), int(le.Uint16(b[6:]))
	if n != len(b)/512+1 || at+2*n > len(b) || at%2 != 0 || at < 8 {
		return nil, disk.Malform(format, "%d numbers at %d protect a record of %d bytes", n, at, len(b))
	}
	for i := 1; i < n; i++ {
		end := i*512 - 2
		if b[end] != b[at] || b[end+1] != b[at+1] {
			return nil, disk.Malform(format, "a record was written half")
		}
		b[end], b[end+1] = b[at+2*i], b[at+2*i+1]
	}
	return b, nil
}

func parseRecord(raw []byte, number uint64) (*record, error) {
	b, err := fixup(raw, "FILE")
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	r := &record{
		number: number, sequence: le.Uint16(b[16:]), flags: le.Uint16(b[22:]),
		base: le.Uint64(b[32:]),
	}
	at, end := int64(le.Uint16(b[20:])), min(int64(le.Uint32(b[24:])), int64(len(b)))
	for {
		if at < 42 || at%8 != 0 || at+4 > end {
			return nil, disk.Malform(format, "attributes of record %d at %d of %d", number, at, end)
		}
		kind := le.Uint32(b[at:])
		if kind == attrEnd {
			return r, nil
		}
		if at+24 > end {
			return nil, disk.Malform(format, "an attribute of record %d is cut off", number)
		}
		length := int64(le.Uint32(b[at+4:]))
		if length < 24 || length%8 != 0 || length > end-at {
			return nil, disk.Malform(format, "an attribute of %d bytes in record %d", length, number)
		}
		a, err := parseAttr(b[at : at+length])
		if err != nil {
			return nil, err
		}
		r.attrs = append(r.attrs, a)
		at += length
	}
}

func parseAttr(b []byte) (*attr, error) {
	le := binary.LittleEndian
	a := &attr{kind: le.Uint32(b), flags: le.Uint16(b[12:]), nonResident: b[8] != 0}
	if n := int(b[9]) * 2; n > 0 {
		at := int(le.Uint16(b[10:]))
		if at+n > len(b) {
			return nil, disk.Malform(format, "an attribute's name is cut off")
		}
		a.name = names.LE(b[at : at+n])
	}
	if !a.nonResident {
		at, n := int64(le.Uint16(b[20:])), int64(le.Uint32(b[16:]))
		if at+n > int64(len(b)) {
			return nil, disk.Malform(format, "an attribute of %d bytes has a value of %d", len(b), n)
		}
		a.value = b[at : at+n]
		a.size, a.initialized = n, n
		return a, nil
	}
	if len(b) < 64 {
		return nil, disk.Malform(format, "an attribute is cut off")
	}
	a.first, a.last = int64(le.Uint64(b[16:])), int64(le.Uint64(b[24:]))
	at := int(le.Uint16(b[32:]))
	a.unit = uint(le.Uint16(b[34:]))
	a.allocated, a.size, a.initialized = int64(le.Uint64(b[40:])), int64(le.Uint64(b[48:])), int64(le.Uint64(b[56:]))
	a.stored = a.allocated
	if a.flags&(flagCompressed|flagSparse) != 0 && len(b) >= 72 && a.first == 0 {
		a.stored = int64(le.Uint64(b[64:]))
	}
	if a.first < 0 || a.last < a.first-1 || a.last >= 1<<52 || a.size < 0 || a.initialized < 0 || a.unit > 16 || at > len(b) || at < 64 {
		return nil, disk.Malform(format, "an attribute of kind %#x has clusters %d to %d and %d bytes", a.kind, a.first, a.last, a.size)
	}
	a.runs = b[at:]
	return a, nil
}

func (r *record) find(kind uint32) *attr {
	for _, a := range r.attrs {
		if a.kind == kind {
			return a
		}
	}
	return nil
}

// node is a file or folder: its first record and those that continue it.
type node struct {
	records []*record
}

func (n *node) base() *record { return n.records[0] }

// find gives the first piece of an attribute.
func (n *node) find(kind uint32, name string) *attr {
	for _, r := range n.records {
		for _, a := range r.attrs {
			if a.kind == kind && a.name == name && a.first == 0 {
				return a
			}
		}
	}
	return nil
}

// Bounds of nodes: Windows writes attribute lists of at most 256 KiB.
const (
	maxAttrList = 256 << 10
	maxRecords  = 4096
	maxNodes    = 512 // in the cache
)

// readRecord reads a record by its number.
func (f *FS) readRecord(number uint64) (*record, error) {
	if number >= uint64(f.mft.size/f.record) {
		return nil, disk.Malform(format, "record %d of %d", number, f.mft.size/f.record)
	}
	raw, err := f.mft.structure(int64(number)*f.record, int(f.record))
	if err != nil {
		return nil, err
	}
	return parseRecord(raw, number)
}

// node reads a file or folder by reference. One that was deleted, or used anew
// for another file, is not there.
func (f *FS) node(ref uint64) (*node, error) {
	number, sequence := ref&numberMask, uint16(ref>>48)
	f.mu.Lock()
	n := f.nodes[number]
	f.mu.Unlock()
	if n == nil {
		var err error
		if n, err = f.loadNode(number); err != nil {
			return nil, err
		}
		f.mu.Lock()
		if len(f.nodes) >= maxNodes {
			clear(f.nodes)
		}
		f.nodes[number] = n
		f.mu.Unlock()
	}
	if sequence != 0 && sequence != n.base().sequence {
		return nil, disk.Malform(format, "record %d is of another file by now", number)
	}
	return n, nil
}

func (f *FS) loadNode(number uint64) (*node, error) {
	if err := f.budget.Step(1); err != nil {
		return nil, err
	}
	base, err := f.readRecord(number)
	if err != nil {
		return nil, err
	}
	if base.flags&inUse == 0 {
		return nil, disk.Malform(format, "record %d is not in use", number)
	}
	if base.base != 0 {
		return nil, disk.Malform(format, "record %d continues another one", number)
	}
	n := &node{records: []*record{base}}
	if base.find(attrList) == nil {
		return n, nil
	}
	s, err := f.stream(n.records, attrList, "")
	if err != nil {
		return nil, err
	}
	if s.size > maxAttrList {
		return nil, disk.Malform(format, "an attribute list of %d bytes", s.size)
	}
	list := make([]byte, s.size)
	if err := disk.ReadFull(s, list, 0); err != nil {
		return nil, err
	}
	have := []uint64{number}
	le := binary.LittleEndian
	for len(list) >= 26 {
		length := int(le.Uint16(list[4:]))
		if length < 26 || length > len(list) {
			return nil, disk.Malform(format, "an attribute list of record %d has an entry of %d bytes", number, length)
		}
		if err := f.budget.Step(1); err != nil {
			return nil, err
		}
		ref := le.Uint64(list[16:])
		list = list[length:]
		if slices.Contains(have, ref&numberMask) {
			continue
		}
		if len(have) >= maxRecords {
			return nil, disk.Malform(format, "record %d is continued by more than %d", number, maxRecords)
		}
		have = append(have, ref&numberMask)
		r, err := f.readRecord(ref & numberMask)
		if err != nil {
			return nil, err
		}
		if r.flags&inUse == 0 || r.base&numberMask != number || r.sequence != uint16(ref>>48) {
			return nil, disk.Malform(format, "record %d is said to continue %d and does not", r.number, number)
		}
		n.records = append(n.records, r)
	}
	return n, nil
}
