package depot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"kuva/chunk"
)

// ErrFormat is wrapped by every decoder: the bytes are not what this package
// writes. Behind a good seal it means a newer writer, never damage.
var ErrFormat = errors.New("malformed depot record")

// Name is the keyed name of a chunk inside one realm.
type Name [32]byte

// PackRef finds a pack in the store. It says all that the key needs, so that
// readers ask no database.
type PackRef struct {
	Realm int64
	KeyID int64
	Epoch int64
	ID    int64
}

// Key is the pack's key in the blob store.
func (p PackRef) Key() string { return fmt.Sprintf("pack/%016x/%d/%016x", p.Realm, p.Epoch, p.ID) }

func recipeKey(realm, object, gen int64) string {
	return fmt.Sprintf("recipe/%016x/%016x/%d", realm, object, gen)
}

func cardKey(image string, version int64) string { return fmt.Sprintf("card/%s/%020d", image, version) }

func epochKey(n int64) string { return fmt.Sprintf("epoch/%020d", n) }

func keyKey(realm, keyID, wrapNo int64) string {
	return fmt.Sprintf("key/%016x/%d/%d", realm, keyID, wrapNo)
}

// Loc is where a sealed chunk lies.
type Loc struct {
	Pack   PackRef
	Offset uint32 // of the sealed bytes in the pack
	Sealed uint32 // length of the sealed bytes
	Plain  uint32 // length of the chunk, 1 to chunk.Size
}

// Entry is one item of a segment: a chunk, or a run of holes where Hole > 0.
type Entry struct {
	Name Name
	Loc  Loc
	Hole int64 // bytes of zeros; then Name and Loc are empty
}

// Len is the number of the object's bytes that the entry stands for.
func (e Entry) Len() int64 {
	if e.Hole > 0 {
		return e.Hole
	}
	return int64(e.Loc.Plain)
}

// Segments end after a chunk whose name ends in segmentBits zero bits, so that
// a change moves no later boundary; never before segmentMin and always at
// segmentMax chunks.
const (
	segmentMin  = 256
	segmentMax  = 2048
	segmentBits = 10
)

const (
	entryLen     = 44
	packTabLen   = 32
	holeMark     = 0xffff
	maxEntries   = 2*segmentMax + 1 // holes between chunks
	segmentMagic = 0x4b53           // "SK"
)

// encodeSegment lays a segment out: magic 2, version 2, packs 4, entries 4,
// the pack table (realm 8, key id 8, epoch 8, id 8), then 44 bytes an entry.
// The bytes depend on the entries alone, so an unchanged segment has an
// unchanged name.
func encodeSegment(entries []Entry) ([]byte, error) {
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("%w: %d entries in a segment", ErrFormat, len(entries))
	}
	index := map[PackRef]uint16{}
	var packs []PackRef
	for _, e := range entries {
		if e.Hole > 0 {
			continue
		}
		if _, ok := index[e.Loc.Pack]; !ok {
			index[e.Loc.Pack] = uint16(len(packs))
			packs = append(packs, e.Loc.Pack)
		}
	}
	b := make([]byte, 0, 12+len(packs)*packTabLen+len(entries)*entryLen)
	le := binary.LittleEndian
	b = le.AppendUint16(b, segmentMagic)
	b = le.AppendUint16(b, 1)
	b = le.AppendUint32(b, uint32(len(packs)))
	b = le.AppendUint32(b, uint32(len(entries)))
	for _, p := range packs {
		b = appendPackRef(b, p)
	}
	for _, e := range entries {
		if e.Hole > 0 {
			b = le.AppendUint64(b, uint64(e.Hole))
			b = append(b, make([]byte, 24)...)
			b = le.AppendUint16(b, holeMark)
			b = append(b, make([]byte, 10)...)
			continue
		}
		if e.Loc.Plain == 0 || e.Loc.Plain > chunk.Size || e.Loc.Sealed >= 1<<24 {
			return nil, fmt.Errorf("%w: chunk of %d bytes, %d sealed", ErrFormat, e.Loc.Plain, e.Loc.Sealed)
		}
		b = append(b, e.Name[:]...)
		b = le.AppendUint16(b, index[e.Loc.Pack])
		b = le.AppendUint32(b, e.Loc.Offset)
		b = append24(b, e.Loc.Sealed)
		b = append24(b, e.Loc.Plain)
	}
	return b, nil
}

// decodeSegment is the inverse of encodeSegment. It trusts nothing: every
// count is held against the length before anything is allocated.
func decodeSegment(b []byte) ([]Entry, error) {
	le := binary.LittleEndian
	if len(b) < 12 || le.Uint16(b) != segmentMagic || le.Uint16(b[2:]) != 1 {
		return nil, fmt.Errorf("%w: no segment", ErrFormat)
	}
	packs, entries := int(le.Uint32(b[4:])), int(le.Uint32(b[8:]))
	if packs > maxEntries || entries > maxEntries || len(b) != 12+packs*packTabLen+entries*entryLen {
		return nil, fmt.Errorf("%w: segment of %d packs and %d entries in %d bytes", ErrFormat, packs, entries, len(b))
	}
	b = b[12:]
	table := make([]PackRef, packs)
	for i := range table {
		table[i] = packRefAt(b)
		b = b[packTabLen:]
	}
	out := make([]Entry, entries)
	for i := range out {
		e, p := b[:entryLen], le.Uint16(b[32:])
		b = b[entryLen:]
		if p == holeMark {
			n := le.Uint64(e)
			if n == 0 || n > math.MaxInt64 {
				return nil, fmt.Errorf("%w: hole of %d bytes", ErrFormat, n)
			}
			out[i].Hole = int64(n)
			continue
		}
		if int(p) >= packs {
			return nil, fmt.Errorf("%w: pack %d of %d", ErrFormat, p, packs)
		}
		copy(out[i].Name[:], e)
		out[i].Loc = Loc{Pack: table[p], Offset: le.Uint32(e[34:]), Sealed: uint24(e[38:]), Plain: uint24(e[41:])}
		if l := out[i].Loc; l.Plain == 0 || l.Plain > chunk.Size || l.Sealed < sealOverhead {
			return nil, fmt.Errorf("%w: chunk of %d bytes, %d sealed", ErrFormat, l.Plain, l.Sealed)
		}
	}
	return out, nil
}

// Digests are those of the object's bytes.
type Digests struct {
	MD5      [16]byte
	HashAlgo string // "sha512", "sha256"
	Hash     []byte
}

// Kind says what an object's bytes are.
type Kind string

// The kinds of objects.
const (
	// KindExact objects are the bytes as they were sent.
	KindExact Kind = "exact"
	// KindDisk objects are what a guest sees, holes kept as holes.
	KindDisk Kind = "disk"
)

// rootPack is a pack that a root needs, with the sealed bytes of it that the
// object refers to (each chunk once).
type rootPack struct {
	Ref   PackRef
	Bytes int64
}

// segRef is a segment in a root.
type segRef struct {
	First int64 // offset in the object
	Name  Name
	Loc   Loc
}

// root is the recipe blob of one generation of an object.
type root struct {
	Object   int64
	Gen      int64
	Kind     Kind
	Size     int64
	View     uint32 // version of the native view's layout, 0 for exact objects
	Digests  Digests
	Stored   int64 // sealed bytes referred to, each chunk once, segments included
	Packs    []rootPack
	Segments []segRef
}

const (
	rootVersion = 1
	segRefLen   = 8 + 32 + 4 + 4 + 4 + 4
	rootPackLen = packTabLen + 8
)

func encodeRoot(r *root) ([]byte, error) {
	index := make(map[PackRef]uint32, len(r.Packs))
	for i, p := range r.Packs {
		index[p.Ref] = uint32(i)
	}
	le := binary.LittleEndian
	b := make([]byte, 0, 160+len(r.Packs)*rootPackLen+len(r.Segments)*segRefLen)
	b = le.AppendUint16(b, rootVersion)
	b = le.AppendUint64(b, uint64(r.Object))
	b = le.AppendUint64(b, uint64(r.Gen))
	b = appendString(b, string(r.Kind))
	b = le.AppendUint64(b, uint64(r.Size))
	b = le.AppendUint32(b, r.View)
	b = append(b, r.Digests.MD5[:]...)
	b = appendString(b, r.Digests.HashAlgo)
	b = appendString(b, string(r.Digests.Hash))
	b = le.AppendUint64(b, uint64(r.Stored))
	b = le.AppendUint32(b, uint32(len(r.Packs)))
	b = le.AppendUint32(b, uint32(len(r.Segments)))
	for _, p := range r.Packs {
		b = appendPackRef(b, p.Ref)
		b = le.AppendUint64(b, uint64(p.Bytes))
	}
	for _, s := range r.Segments {
		i, ok := index[s.Loc.Pack]
		if !ok {
			return nil, fmt.Errorf("%w: segment in a pack that the root does not list", ErrFormat)
		}
		b = le.AppendUint64(b, uint64(s.First))
		b = append(b, s.Name[:]...)
		b = le.AppendUint32(b, i)
		b = le.AppendUint32(b, s.Loc.Offset)
		b = le.AppendUint32(b, s.Loc.Sealed)
		b = le.AppendUint32(b, s.Loc.Plain)
	}
	return b, nil
}

func decodeRoot(b []byte) (*root, error) {
	d := decoder{b: b}
	if v := d.u16(); d.err == nil && v != rootVersion {
		return nil, fmt.Errorf("%w: root of version %d", ErrFormat, v)
	}
	r := &root{Object: d.i64(), Gen: d.i64(), Kind: Kind(d.str(16)), Size: d.i64(), View: d.u32()}
	copy(r.Digests.MD5[:], d.take(16))
	r.Digests.HashAlgo = d.str(16)
	r.Digests.Hash = []byte(d.str(64))
	r.Stored = d.i64()
	packs, segments := int64(d.u32()), int64(d.u32())
	if d.err != nil {
		return nil, d.err
	}
	if int64(len(d.b)) != packs*rootPackLen+segments*segRefLen {
		return nil, fmt.Errorf("%w: root of %d packs and %d segments", ErrFormat, packs, segments)
	}
	if r.Kind != KindExact && r.Kind != KindDisk {
		return nil, fmt.Errorf("%w: object of kind %q", ErrFormat, r.Kind)
	}
	r.Packs = make([]rootPack, packs)
	for i := range r.Packs {
		r.Packs[i] = rootPack{Ref: packRefAt(d.take(packTabLen)), Bytes: d.i64()}
	}
	r.Segments = make([]segRef, segments)
	next := int64(0)
	for i := range r.Segments {
		s := &r.Segments[i]
		s.First = d.i64()
		copy(s.Name[:], d.take(32))
		p := int64(d.u32())
		if p >= packs {
			return nil, fmt.Errorf("%w: pack %d of %d", ErrFormat, p, packs)
		}
		s.Loc = Loc{Pack: r.Packs[p].Ref, Offset: d.u32(), Sealed: d.u32(), Plain: d.u32()}
		if s.First < next || s.First >= max(r.Size, 1) || (i == 0 && s.First != 0) || s.Loc.Plain == 0 || s.Loc.Plain > maxSegmentLen || s.Loc.Sealed < sealOverhead || s.Loc.Sealed > maxSegmentLen+sealOverhead {
			return nil, fmt.Errorf("%w: segment %d", ErrFormat, i)
		}
		next = s.First + 1
	}
	return r, d.err
}

// maxSegmentLen bounds an encoded segment.
const maxSegmentLen = 12 + maxEntries*(packTabLen+entryLen)

// packEntry is one sealed chunk in a pack's index.
type packEntry struct {
	Name    Name
	Offset  uint32
	Sealed  uint32
	Plain   uint32
	Segment bool // the chunk is a segment
}

const (
	packMagic     = "KUVAPACK"
	trailerMagic  = "KUVATAIL"
	packHeaderLen = 40 // magic 8, version 4, spare 4, realm 8, key id 8, id 8
	packEntryLen  = 32 + 4 + 4 + 4 + 1
	trailerLen    = 8 + 8 + 8 + 8 + 32 // magic, index offset, count, size, MAC
	maxPackLen    = 1 << 30
)

func appendPackHeader(b []byte, p PackRef) []byte {
	le := binary.LittleEndian
	b = append(b, packMagic...)
	b = le.AppendUint32(b, 1)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, uint64(p.Realm))
	b = le.AppendUint64(b, uint64(p.KeyID))
	return le.AppendUint64(b, uint64(p.ID))
}

func checkPackHeader(b []byte, p PackRef) error {
	if want := appendPackHeader(nil, p); string(b) != string(want) {
		return fmt.Errorf("%w: header of pack %016x", ErrFormat, p.ID)
	}
	return nil
}

func appendPackIndex(b []byte, entries []packEntry) []byte {
	le := binary.LittleEndian
	for _, e := range entries {
		b = append(b, e.Name[:]...)
		b = le.AppendUint32(b, e.Offset)
		b = le.AppendUint32(b, e.Sealed)
		b = le.AppendUint32(b, e.Plain)
		if e.Segment {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	return b
}

// decodePackIndex reads the index of a pack whose chunks lie between the
// header and end.
func decodePackIndex(b []byte, end int64) ([]packEntry, error) {
	if len(b)%packEntryLen != 0 {
		return nil, fmt.Errorf("%w: pack index of %d bytes", ErrFormat, len(b))
	}
	le := binary.LittleEndian
	out := make([]packEntry, len(b)/packEntryLen)
	for i := range out {
		e := &out[i]
		copy(e.Name[:], b)
		e.Offset, e.Sealed, e.Plain, e.Segment = le.Uint32(b[32:]), le.Uint32(b[36:]), le.Uint32(b[40:]), b[44] == 1
		b = b[packEntryLen:]
		if e.Offset < packHeaderLen || e.Sealed < sealOverhead || int64(e.Offset)+int64(e.Sealed) > end || e.Plain == 0 || e.Plain > maxSegmentLen {
			return nil, fmt.Errorf("%w: pack index entry %d", ErrFormat, i)
		}
	}
	return out, nil
}

func appendPackRef(b []byte, p PackRef) []byte {
	le := binary.LittleEndian
	b = le.AppendUint64(b, uint64(p.Realm))
	b = le.AppendUint64(b, uint64(p.KeyID))
	b = le.AppendUint64(b, uint64(p.Epoch))
	return le.AppendUint64(b, uint64(p.ID))
}

func packRefAt(b []byte) PackRef {
	if len(b) < packTabLen {
		return PackRef{}
	}
	le := binary.LittleEndian
	return PackRef{Realm: int64(le.Uint64(b)), KeyID: int64(le.Uint64(b[8:])), Epoch: int64(le.Uint64(b[16:])), ID: int64(le.Uint64(b[24:]))}
}

func append24(b []byte, v uint32) []byte { return append(b, byte(v), byte(v>>8), byte(v>>16)) }

func uint24(b []byte) uint32 { return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 }

func appendString(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

// decoder takes little-endian fields off a buffer and remembers the first
// shortfall, so that decoders read straight down.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || len(d.b) < n {
		if d.err == nil {
			d.err = fmt.Errorf("%w: cut short", ErrFormat)
		}
		return make([]byte, n)
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u16() uint16 { return binary.LittleEndian.Uint16(d.take(2)) }
func (d *decoder) u32() uint32 { return binary.LittleEndian.Uint32(d.take(4)) }

// i64 takes a number that is never negative.
func (d *decoder) i64() int64 {
	v := int64(binary.LittleEndian.Uint64(d.take(8)))
	if v < 0 && d.err == nil {
		d.err = fmt.Errorf("%w: negative number", ErrFormat)
	}
	return v
}

func (d *decoder) str(limit int) string {
	n := int(d.take(1)[0])
	if n > limit {
		if d.err == nil {
			d.err = fmt.Errorf("%w: text of %d bytes", ErrFormat, n)
		}
		return ""
	}
	return string(d.take(n))
}
