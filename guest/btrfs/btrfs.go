// Package btrfs reads btrfs file systems that lie on one device, with their
// subvolumes and snapshots.
//
// A node's ID has the subvolume as its Tree and the inode as its Ino. Root is
// that of the default subvolume, which a mount without options shows; Subvolume
// gives the file system as another one shows it.
//
// Checksums of all metadata are verified where they are CRC-32C or SHA-256; of
// two copies the sound one is read. Those of data are not verified. A log tree,
// which a mount would replay, is noted and not read.
package btrfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/bits"
	"slices"
	"sync"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/blocks"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

const format = "btrfs"

// Trees and objects with numbers of their own.
const (
	rootTree    = 1
	topLevel    = 5 // the subvolume that is always there
	rootTreeDir = 6
	rootDir     = 256 // of any subvolume
	emptyDir    = 2   // stands for a subvolume that a snapshot left out
)

// FS is an open file system. It implements tree.Reader, tree.Lookuper and
// tree.Xattrer.
type FS struct {
	blocks *blocks.Reader
	budget *budget.Budget
	info   tree.Info

	fsid       []byte // that nodes of trees have
	sumKind    uint16
	nodeSize   int
	sectorSize int64
	devID      uint64
	chunks     []chunk // by logical address
	roots      root    // of the tree of roots
	deflt      tree.ID

	mu       sync.Mutex
	verified map[int64]bool // offsets of nodes whose checksum is right
}

// chunk is where a stretch of logical addresses lies.
type chunk struct {
	logical, n int64
	at         []int64 // one, or two copies
	kind       uint64
}

// root is where a tree begins.
type root struct {
	at         int64
	level      uint8
	generation uint64
}

// Kinds of checksums.
var sumNames = [...]string{"crc32c", "xxhash64", "sha256", "blake2b"}

// Features that change what is to be read.
const (
	featMetadataUUID = 0x400
	featKnown        = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x100 | 0x200 | featMetadataUUID | 0x800 | 1<<16
)

var featNames = []string{
	"mixed_backref", "default_subvol", "mixed_groups", "compress_lzo", "compress_zstd", "big_metadata",
	"extended_iref", "raid56", "skinny_metadata", "no_holes", "metadata_uuid", "raid1c34",
}

const superSize = 4096

// Open reads the superblock and where everything lies. The disk must stay open
// until the last use.
func Open(d disk.Disk, b *budget.Budget) (*FS, error) {
	f := &FS{blocks: blocks.New(format, d, b), budget: b}
	super, err := f.readSuper(64 << 10)
	if err != nil && !budget.IsLimit(err) && d.Size() >= 64<<20+superSize {
		if copied, err2 := f.readSuper(64 << 20); err2 == nil {
			f.note(tree.BackupSuperblock, "%v", err)
			super, err = copied, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if err := f.geometry(super); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if err := f.systemChunks(super); err != nil {
		return nil, err
	}
	if err := f.allChunks(root{int64(le.Uint64(super[0x58:])), super[0xc7], le.Uint64(super[0xa4:])}); err != nil {
		return nil, err
	}
	f.roots = root{int64(le.Uint64(super[0x50:])), super[0xc6], le.Uint64(super[0x48:])}
	if le.Uint64(super[0x60:]) != 0 {
		f.note(tree.JournalDirty, "the file system was not unmounted; its log tree is not replayed")
	}
	f.deflt = tree.ID{Tree: f.defaultSubvolume(), Ino: rootDir}
	if _, err := f.Stat(f.deflt); err != nil {
		if f.deflt.Tree == topLevel || budget.IsLimit(err) {
			return nil, err
		}
		f.note(tree.Errors, "default subvolume %d: %v", f.deflt.Tree, err)
		f.deflt.Tree = topLevel
		if _, err := f.Stat(f.deflt); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// readSuper reads a superblock and verifies it.
func (f *FS) readSuper(at int64) ([]byte, error) {
	b, err := f.blocks.Get(at, superSize)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if string(b[0x40:0x48]) != "_BHRfS_M" {
		return nil, disk.Malform(format, "no superblock at %d", at)
	}
	if le.Uint64(b[0x30:]) != uint64(at) {
		return nil, disk.Malform(format, "the superblock at %d says that it lies at %d", at, le.Uint64(b[0x30:]))
	}
	kind := le.Uint16(b[0xc4:])
	if int(kind) >= len(sumNames) {
		return nil, disk.Refuse(format, disk.ReasonFeature, "checksums of kind %d", kind)
	}
	if !sound(kind, b) {
		return nil, disk.Malform(format, "the checksum of the superblock at %d is wrong", at)
	}
	return b, nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sound verifies the checksum of a superblock or node, which its first 32 bytes
// hold. The kinds that are not in Go's library pass.
func sound(kind uint16, b []byte) bool {
	switch kind {
	case 0:
		return crc32.Checksum(b[32:], castagnoli) == binary.LittleEndian.Uint32(b)
	case 2:
		sum := sha256.Sum256(b[32:])
		return bytes.Equal(sum[:], b[:32])
	}
	return true
}

func (f *FS) geometry(super []byte) error {
	le := binary.LittleEndian
	f.sumKind = le.Uint16(super[0xc4:])
	f.sectorSize = int64(le.Uint32(super[0x90:]))
	nodeSize := int64(le.Uint32(super[0x94:]))
	if !power(f.sectorSize, 4096, 64<<10) || !power(nodeSize, f.sectorSize, 64<<10) {
		return disk.Malform(format, "sectors of %d and nodes of %d bytes", f.sectorSize, nodeSize)
	}
	f.nodeSize = int(nodeSize)
	incompat := le.Uint64(super[0xbc:])
	if unknown := incompat &^ featKnown; unknown != 0 {
		return disk.Refuse(format, disk.ReasonFeature, "features %#x are not known", unknown)
	}
	f.fsid = slices.Clone(super[0x20:0x30])
	if incompat&featMetadataUUID != 0 {
		f.fsid = slices.Clone(super[0x23b:0x24b])
	}
	f.devID = le.Uint64(super[0xc9:])
	total, used := le.Uint64(super[0x70:]), le.Uint64(super[0x78:])
	if n := le.Uint64(super[0x88:]); n != 1 {
		return disk.Refuse(format, disk.ReasonFeature, "the file system lies on %d devices", n)
	}
	f.info.Type, f.info.BlockSize = format, f.sectorSize
	f.info.Size, f.info.FreeBytes = int64(min(total, 1<<62)), -1
	if used <= total {
		f.info.FreeBytes = int64(min(total-used, 1<<62))
	}
	f.info.Label = names.UntilNUL(string(super[0x12b:0x22b]))
	u := super[0x20:0x30]
	f.info.UUID = fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	f.info.Features = []string{sumNames[f.sumKind]}
	for i, name := range featNames {
		if incompat>>i&1 != 0 {
			f.info.Features = append(f.info.Features, name)
		}
	}
	if f.info.Size > f.blocks.Size() {
		f.note(tree.Truncated, "the file system has %d bytes, the volume %d", f.info.Size, f.blocks.Size())
	}
	if flags := le.Uint64(super[0x38:]); flags>>2&1 != 0 {
		f.note(tree.Errors, "the file system says that errors were met")
	}
	return nil
}

func power(n, low, high int64) bool {
	return n >= low && n <= high && bits.OnesCount64(uint64(n)) == 1
}

// defaultSubvolume reads the entry that says which one it is.
func (f *FS) defaultSubvolume() uint64 {
	e, err := f.findName(f.roots, rootTreeDir, "default")
	if err != nil || e.location.kind != kindRoot {
		return topLevel
	}
	return e.location.object
}

func (f *FS) note(id, detail string, args ...any) {
	f.info.Notes = append(f.info.Notes, tree.Note{ID: id, Detail: fmt.Sprintf(detail, args...)})
}

// Info implements tree.Reader.
func (f *FS) Info() tree.Info { return f.info }

// Root implements tree.Reader: the root of the default subvolume.
func (f *FS) Root() tree.ID { return f.deflt }

// Subvolume is a tree of files of its own inside the file system.
type Subvolume struct {
	ID     uint64
	Parent uint64 // the subvolume that it lies in; 0 for the top level
	// Path is where it lies below the top level; "" for that itself.
	Path string
	// Snapshot: it began as a copy of another one. ReadOnly: it cannot change.
	Snapshot, ReadOnly bool
	Default            bool
}

// Bounds of subvolumes.
const (
	maxSubvolumes = 10_000
	maxPath       = 4096
)

// Subvolumes lists the subvolumes by ID, the top level first.
func (f *FS) Subvolumes() ([]Subvolume, error) {
	all := []Subvolume{{ID: topLevel}}
	index := map[uint64]int{topLevel: 0}
	type ref struct {
		dir  uint64
		name string
	}
	refs := map[uint64]ref{}
	le := binary.LittleEndian
	err := f.scan(f.roots, key{topLevel, 0, 0}, key{1<<64 - 257, 255, 1<<64 - 1}, func(k key, b []byte) error {
		if k.object < rootDir && k.object != topLevel {
			return nil
		}
		switch k.kind {
		case kindRoot:
			i, ok := index[k.object]
			if !ok {
				if len(all) >= maxSubvolumes {
					return disk.Refuse(format, disk.ReasonLimit, "more than %d subvolumes", maxSubvolumes)
				}
				i = len(all)
				index[k.object] = i
				all = append(all, Subvolume{ID: k.object})
			}
			all[i].ReadOnly = len(b) >= 216 && le.Uint64(b[208:])&1 != 0
			all[i].Snapshot = len(b) >= 279 && !disk.IsZero(b[263:279])
		case kindRootBackref:
			if name, dir, ok := rootRef(b); ok {
				refs[k.object] = ref{dir, name}
				if i, ok := index[k.object]; ok {
					all[i].Parent = k.offset
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i].Default = all[i].ID == f.deflt.Tree
		at := all[i]
		path := ""
		for at.Parent != 0 && len(path) < maxPath {
			r := refs[at.ID]
			dir, err := f.pathIn(at.Parent, r.dir)
			if err != nil {
				if budget.IsLimit(err) {
					return nil, err
				}
				dir = "?/"
			}
			path = dir + r.name + "/" + path
			up, ok := index[at.Parent]
			if !ok {
				break
			}
			at = all[up]
		}
		if path != "" {
			all[i].Path = path[:len(path)-1]
		}
	}
	return all, nil
}

// pathIn gives the path of a folder in its subvolume, with a slash behind it,
// by what each inode says of its name.
func (f *FS) pathIn(sub, inode uint64) (string, error) {
	r, err := f.tree(sub)
	if err != nil {
		return "", err
	}
	path := ""
	for inode != rootDir {
		if len(path) > maxPath {
			return "", disk.Malform(format, "a path is longer than %d bytes", maxPath)
		}
		up, name := uint64(0), ""
		err := f.scan(r, key{inode, kindInodeRef, 0}, key{inode, kindInodeRef, 1<<64 - 1}, func(k key, b []byte) error {
			if n := 10; len(b) >= n && len(b) >= n+int(binary.LittleEndian.Uint16(b[8:])) {
				up, name = k.offset, string(b[n:n+int(binary.LittleEndian.Uint16(b[8:]))])
			}
			return errFound
		})
		if err != nil && !errors.Is(err, errFound) {
			return "", err
		}
		if up == 0 {
			return "", disk.Malform(format, "inode %d of subvolume %d has no name", inode, sub)
		}
		path, inode = name+"/"+path, up
	}
	return path, nil
}

var errFound = errors.New("found") // ends a search

// Subvolume shows the file system with another subvolume's root. One that does
// not exist gives fs.ErrNotExist.
func (f *FS) Subvolume(id uint64) (tree.Reader, error) {
	r := rooted{f, tree.ID{Tree: id, Ino: rootDir}}
	if id != topLevel && id < rootDir {
		return nil, fs.ErrNotExist
	}
	_, err := f.Stat(r.root)
	return r, err
}

type rooted struct {
	*FS
	root tree.ID
}

func (r rooted) Root() tree.ID { return r.root }
