package btrfs

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io/fs"
	"slices"
	"sort"

	"kuva/disk"
	"kuva/guest/budget"
)

// Kinds of items.
const (
	kindInode       = 1
	kindInodeRef    = 12
	kindXattr       = 24
	kindDirItem     = 84
	kindDirIndex    = 96
	kindExtentData  = 108
	kindRoot        = 132
	kindRootBackref = 144
	kindRootRef     = 156
	kindChunk       = 228
)

// key orders the items of a tree.
type key struct {
	object uint64
	kind   uint8
	offset uint64
}

func parseKey(b []byte) key {
	return key{binary.LittleEndian.Uint64(b), b[8], binary.LittleEndian.Uint64(b[9:])}
}

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.object, o.object), cmp.Compare(k.kind, o.kind), cmp.Compare(k.offset, o.offset))
}

const (
	headSize  = 101
	itemSize  = 25
	ptrSize   = 33
	maxLevel  = 7
	maxChunks = 1 << 18
	// maxVerified bounds what is remembered of nodes, some 40 bytes each.
	maxVerified = 1 << 16
)

// systemChunks reads the chunks that hold the tree of chunks.
func (f *FS) systemChunks(super []byte) error {
	n := int(binary.LittleEndian.Uint32(super[0xa0:]))
	if n > 2048 {
		return disk.Malform(format, "%d bytes of system chunks", n)
	}
	for b := super[0x32b : 0x32b+n]; len(b) > 0; {
		if len(b) < 17+48 {
			return disk.Malform(format, "the system chunks are cut off")
		}
		size := 48 + 32*int(binary.LittleEndian.Uint16(b[17+44:]))
		if 17+size > len(b) {
			return disk.Malform(format, "the system chunks are cut off")
		}
		if err := f.addChunk(parseKey(b), b[17:17+size]); err != nil {
			return err
		}
		b = b[17+size:]
	}
	f.sortChunks()
	return nil
}

// profiles names what several devices are for.
var profiles = []struct {
	bit  uint64
	name string
}{
	{8, "raid0"}, {16, "raid1"}, {64, "raid10"}, {128, "raid5"}, {256, "raid6"}, {512, "raid1c3"}, {1024, "raid1c4"},
}

func (f *FS) addChunk(k key, b []byte) error {
	le := binary.LittleEndian
	if k.kind != kindChunk || len(b) < 48 {
		return disk.Malform(format, "no chunk where one should be")
	}
	n, stripes := le.Uint64(b), int(le.Uint16(b[44:]))
	c := chunk{logical: int64(k.offset), n: int64(n), kind: le.Uint64(b[24:])}
	if n == 0 || n > 1<<60 || k.offset > 1<<60 || stripes == 0 || len(b) < 48+32*stripes {
		return disk.Malform(format, "a chunk of %d bytes at %d in %d stripes", n, k.offset, stripes)
	}
	for _, p := range profiles {
		if c.kind&p.bit != 0 {
			return disk.Refuse(format, disk.ReasonFeature, "data are spread over devices (%s)", p.name)
		}
	}
	if stripes > 2 || stripes == 2 && c.kind&32 == 0 {
		return disk.Malform(format, "a chunk in %d stripes", stripes)
	}
	for s := b[48:]; len(c.at) < stripes; s = s[32:] {
		at := le.Uint64(s[8:])
		if dev := le.Uint64(s); dev != f.devID {
			return disk.Refuse(format, disk.ReasonFeature, "data lie on device %d, this is device %d", dev, f.devID)
		}
		if at > 1<<60 {
			return disk.Malform(format, "a chunk lies at %d", at)
		}
		c.at = append(c.at, int64(at))
	}
	if len(f.chunks) >= maxChunks {
		return disk.Refuse(format, disk.ReasonLimit, "more than %d chunks", maxChunks)
	}
	f.chunks = append(f.chunks, c)
	return nil
}

// sortChunks leaves one of those that are known twice: the system's.
func (f *FS) sortChunks() {
	slices.SortStableFunc(f.chunks, func(a, b chunk) int { return cmp.Compare(a.logical, b.logical) })
	f.chunks = slices.CompactFunc(f.chunks, func(a, b chunk) bool { return a.logical == b.logical })
}

func (f *FS) allChunks(r root) error {
	have := f.chunks // to read the tree by
	var found []chunk
	err := f.scan(r, key{rootDir, kindChunk, 0}, key{rootDir, kindChunk, 1<<64 - 1}, func(k key, b []byte) error {
		f.chunks = nil
		err := f.addChunk(k, b)
		if err == nil && len(found) >= maxChunks {
			err = disk.Refuse(format, disk.ReasonLimit, "more than %d chunks", maxChunks)
		}
		found, f.chunks = append(found, f.chunks...), have
		return err
	})
	f.chunks = append(slices.Clone(have), found...)
	f.sortChunks()
	return err
}

// place gives where n bytes at a logical address lie, as far as one chunk holds
// them: an offset for each copy.
func (f *FS) place(logical, n int64) (at []int64, length int64, err error) {
	i := sort.Search(len(f.chunks), func(i int) bool { return f.chunks[i].logical > logical }) - 1
	if i < 0 || logical-f.chunks[i].logical >= f.chunks[i].n {
		return nil, 0, disk.Malform(format, "address %d is in no chunk", logical)
	}
	c := f.chunks[i]
	in := logical - c.logical
	for _, a := range c.at {
		at = append(at, a+in)
	}
	return at, min(n, c.n-in), nil
}

// node reads a node of a tree, of the copies the first that is sound.
func (f *FS) node(r root) ([]byte, error) {
	if err := f.budget.Step(1); err != nil {
		return nil, err
	}
	at, n, err := f.place(r.at, int64(f.nodeSize))
	if err != nil {
		return nil, err
	}
	if n < int64(f.nodeSize) || r.at%f.sectorSize != 0 {
		return nil, disk.Malform(format, "a node at address %d", r.at)
	}
	for _, a := range at {
		var b []byte
		b, err = f.blocks.Get(a, f.nodeSize)
		if err == nil {
			err = f.check(b, a, r)
		}
		if err == nil || budget.IsLimit(err) {
			return b, err
		}
	}
	return nil, err
}

// check verifies a node that lies at an offset; its checksum only once, because
// a disk stays what it is while it is read.
func (f *FS) check(b []byte, at int64, r root) error {
	le := binary.LittleEndian
	items, level := int64(le.Uint32(b[0x60:])), b[0x64]
	size := int64(ptrSize)
	if level == 0 {
		size = itemSize
	}
	switch {
	case !f.sound(b, at):
		return disk.Malform(format, "the checksum of the node at address %d is wrong", r.at)
	case int64(le.Uint64(b[0x30:])) != r.at || !bytes.Equal(b[0x20:0x30], f.fsid):
		return disk.Malform(format, "the node at address %d is another one", r.at)
	case level != r.level || level > maxLevel:
		return disk.Malform(format, "the node at address %d has level %d, not %d", r.at, level, r.level)
	case le.Uint64(b[0x50:]) != r.generation:
		return disk.Malform(format, "the node at address %d is of generation %d, not %d", r.at, le.Uint64(b[0x50:]), r.generation)
	case items > (int64(f.nodeSize)-headSize)/size || items == 0 && level > 0:
		return disk.Malform(format, "the node at address %d has %d items", r.at, items)
	}
	return nil
}

func (f *FS) sound(b []byte, at int64) bool {
	f.mu.Lock()
	ok := f.verified[at]
	f.mu.Unlock()
	if ok {
		return true
	}
	if !sound(f.sumKind, b) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.verified == nil || len(f.verified) >= maxVerified {
		f.verified = map[int64]bool{}
	}
	f.verified[at] = true
	return true
}

// scan calls do for the items of a tree from key first to last, in order. Nodes
// on the way down are one level lower each, and keys only go up, so that it
// ends for any tree.
func (f *FS) scan(r root, first, last key, do func(k key, b []byte) error) error {
	var before *key
	return f.scanNode(r, first, last, func(k key, b []byte) error {
		if before != nil && k.compare(*before) <= 0 {
			return disk.Malform(format, "the items of a tree are not in order")
		}
		before = &k
		return do(k, b)
	})
}

func (f *FS) scanNode(r root, first, last key, do func(k key, b []byte) error) error {
	b, err := f.node(r)
	if err != nil {
		return err
	}
	n := int(binary.LittleEndian.Uint32(b[0x60:]))
	if r.level == 0 {
		for i := f.find(b, n, itemSize, first); i < n; i++ {
			k, data, err := f.item(b, i)
			if err != nil {
				return err
			}
			if k.compare(last) > 0 {
				return nil
			}
			if err := f.budget.Step(1); err != nil {
				return err
			}
			if k.compare(first) < 0 {
				return disk.Malform(format, "the items of a tree are not in order")
			}
			if err := do(k, data); err != nil {
				return err
			}
		}
		return nil
	}
	// The child before the first key that is larger holds smaller ones too.
	i := f.find(b, n, ptrSize, first)
	if i > 0 && (i == n || parseKey(b[headSize+i*ptrSize:]).compare(first) != 0) {
		i--
	}
	for ; i < n; i++ {
		p := b[headSize+i*ptrSize:]
		if parseKey(p).compare(last) > 0 {
			return nil
		}
		if err := f.scanNode(f.child(p, r.level), first, last, do); err != nil {
			return err
		}
	}
	return nil
}

func (f *FS) child(p []byte, level uint8) root {
	return root{int64(binary.LittleEndian.Uint64(p[17:])), level - 1, binary.LittleEndian.Uint64(p[25:])}
}

// find gives the number of the first key in a node that is not less than k.
func (f *FS) find(b []byte, n, size int, k key) int {
	return sort.Search(n, func(i int) bool { return parseKey(b[headSize+i*size:]).compare(k) >= 0 })
}

func (f *FS) item(b []byte, i int) (key, []byte, error) {
	p := b[headSize+i*itemSize:]
	off, size := int64(binary.LittleEndian.Uint32(p[17:])), int64(binary.LittleEndian.Uint32(p[21:]))
	if off+size > int64(len(b))-headSize {
		return key{}, nil, disk.Malform(format, "an item of %d bytes at %d in a node", size, off)
	}
	return parseKey(p), b[headSize+off : headSize+off+size], nil
}

// floor finds the last item that is not behind k.
func (f *FS) floor(r root, k key) (key, []byte, error) {
	for {
		b, err := f.node(r)
		if err != nil {
			return key{}, nil, err
		}
		n := int(binary.LittleEndian.Uint32(b[0x60:]))
		size := ptrSize
		if r.level == 0 {
			size = itemSize
		}
		i := f.find(b, n, size, k)
		if i == n || parseKey(b[headSize+i*size:]).compare(k) != 0 {
			i--
		}
		if i < 0 {
			return key{}, nil, fs.ErrNotExist
		}
		if r.level == 0 {
			return f.item(b, i)
		}
		r = f.child(b[headSize+i*ptrSize:], r.level)
	}
}

// get finds an item by its key.
func (f *FS) get(r root, k key) ([]byte, error) {
	got, b, err := f.floor(r, k)
	if err == nil && got != k {
		err = fs.ErrNotExist
	}
	return b, err
}

// tree finds the root of a subvolume.
func (f *FS) tree(id uint64) (root, error) {
	k, b, err := f.floor(f.roots, key{id, kindRoot, 1<<64 - 1})
	if err != nil {
		return root{}, err
	}
	if k.object != id || k.kind != kindRoot {
		return root{}, fs.ErrNotExist
	}
	if len(b) < 239 {
		return root{}, disk.Malform(format, "the root of tree %d has %d bytes", id, len(b))
	}
	return root{int64(binary.LittleEndian.Uint64(b[176:])), b[238], binary.LittleEndian.Uint64(b[160:])}, nil
}

// rootRef reads where a subvolume hangs in its parent.
func rootRef(b []byte) (name string, dir uint64, ok bool) {
	if len(b) < 18 || len(b) < 18+int(binary.LittleEndian.Uint16(b[16:])) {
		return "", 0, false
	}
	return string(b[18 : 18+int(binary.LittleEndian.Uint16(b[16:]))]), binary.LittleEndian.Uint64(b), true
}
