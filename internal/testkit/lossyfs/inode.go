package lossyfs

import (
	"cmp"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	pageSize   = 4096
	sectorSize = 512
)

type page [pageSize]byte

// place is one name of an inode.
type place struct {
	dir  *inode
	name string
}

// inode is a file, directory or symbolic link, in both of its states. Fields
// without a word about the disk are what programs see.
type inode struct {
	ino    uint64
	mode   uint32
	mtime  time.Time
	target string // of a symbolic link

	size     int64
	pages    map[int64]*page // a missing page is zero
	diskSize int64
	undo     map[int64]*page // page on the disk, nil for zeros, of each page changed since the last sync

	entries map[string]*inode
	pending map[string]*inode // inode on the disk, nil for none, of each name changed since the last sync

	names     map[place]struct{}
	diskNames map[place]struct{}
}

func (f *FS) newInode(mode uint32) *inode {
	f.lastIno++
	n := &inode{
		ino: f.lastIno, mode: mode, mtime: time.Now(),
		names: map[place]struct{}{}, diskNames: map[place]struct{}{},
	}
	if n.isDir() {
		n.entries, n.pending = map[string]*inode{}, map[string]*inode{}
	} else {
		n.pages, n.undo = map[int64]*page{}, map[int64]*page{}
	}
	return n
}

func (n *inode) isDir() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

// path is one name of the inode from the root, for Config.IgnoreSync.
func (n *inode) path() string {
	var parts []string
	for len(n.names) > 0 && len(parts) < 256 {
		p := n.places()[0]
		parts = append(parts, p.name)
		n = p.dir
	}
	slices.Reverse(parts)
	return strings.Join(parts, "/")
}

// places lists the names of the inode in a fixed order.
func (n *inode) places() []place {
	all := make([]place, 0, len(n.names))
	for p := range n.names {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.dir.ino, b.dir.ino), cmp.Compare(a.name, b.name))
	})
	return all
}

// touch gives the page to write on and keeps the one on the disk.
func (f *FS) touch(n *inode, index int64) *page {
	was := n.pages[index]
	if _, kept := n.undo[index]; kept && was != nil {
		return was
	}
	p := new(page)
	if was != nil {
		*p = *was
	}
	if _, kept := n.undo[index]; !kept {
		n.undo[index] = was
	}
	n.pages[index] = p
	f.dirty[n] = struct{}{}
	return p
}

func (f *FS) write(n *inode, data []byte, off int64) {
	end := off + int64(len(data))
	for len(data) > 0 {
		p := f.touch(n, off/pageSize)
		done := copy(p[off%pageSize:], data)
		data, off = data[done:], off+int64(done)
	}
	n.size = max(n.size, end)
	n.mtime = time.Now()
	f.dirty[n] = struct{}{}
}

func (f *FS) truncate(n *inode, size int64) {
	if size < n.size {
		for _, index := range slices.Sorted(maps.Keys(n.pages)) {
			switch first := index * pageSize; {
			case first >= size:
				if _, kept := n.undo[index]; !kept {
					n.undo[index] = n.pages[index]
				}
				delete(n.pages, index)
			case first+pageSize > size:
				clear(f.touch(n, index)[size-first:])
			}
		}
	}
	n.size = size
	n.mtime = time.Now()
	f.dirty[n] = struct{}{}
}

// read fills dest from off and returns how many bytes the file has there.
func (n *inode) read(dest []byte, off int64) int {
	if off >= n.size {
		return 0
	}
	dest = dest[:min(int64(len(dest)), n.size-off)]
	for at := 0; at < len(dest); {
		part := dest[at:min(len(dest), at+pageSize-int((off+int64(at))%pageSize))]
		if p := n.pages[(off+int64(at))/pageSize]; p != nil {
			copy(part, p[(off+int64(at))%pageSize:])
		} else {
			clear(part)
		}
		at += len(part)
	}
	return len(dest)
}

// link puts the inode, or nothing where it is nil, under a name.
func (f *FS) link(dir *inode, name string, n *inode) {
	was := dir.entries[name]
	if onDisk, changed := dir.pending[name]; !changed {
		dir.pending[name] = was
	} else if onDisk == n {
		delete(dir.pending, name)
	}
	if was != nil {
		delete(was.names, place{dir, name})
	}
	if n != nil {
		dir.entries[name] = n
		n.names[place{dir, name}] = struct{}{}
	} else {
		delete(dir.entries, name)
	}
	if was != nil && len(was.names) == 0 && len(was.diskNames) == 0 {
		delete(f.dirty, was) // nobody will see it after a crash
	}
	dir.mtime = time.Now()
	f.dirty[dir] = struct{}{}
}

// sync puts on the disk what programs see of this inode.
func (f *FS) sync(n *inode) {
	clear(n.undo)
	n.diskSize = n.size
	for _, name := range slices.Sorted(maps.Keys(n.pending)) {
		f.settle(n, name)
	}
	delete(f.dirty, n)
}

// settle puts one name on the disk.
func (f *FS) settle(dir *inode, name string) {
	was, changed := dir.pending[name]
	if !changed {
		return
	}
	delete(dir.pending, name)
	if now := dir.entries[name]; now != nil {
		now.diskNames[place{dir, name}] = struct{}{}
	}
	if was == nil {
		return
	}
	delete(was.diskNames, place{dir, name})
	if len(was.diskNames) == 0 && len(was.names) == 0 {
		delete(f.dirty, was)
	} else if len(was.diskNames) == 0 {
		// Not unlinked but renamed: the other half of the rename goes along.
		for _, p := range was.places() {
			f.settle(p.dir, p.name)
		}
	}
}

// drop makes the disk's state the one that programs see, after keeping some
// of the rest where the seed says so.
func (f *FS) drop(seed int64) {
	dirty := make([]*inode, 0, len(f.dirty))
	for n := range f.dirty {
		dirty = append(dirty, n)
	}
	slices.SortFunc(dirty, func(a, b *inode) int { return cmp.Compare(a.ino, b.ino) })
	if seed != 0 {
		dice := rand.New(rand.NewSource(seed))
		luck := dice.Float64() // from nearly nothing kept to nearly all
		for _, n := range dirty {
			n.keepSome(dice, luck)
			for _, name := range slices.Sorted(maps.Keys(n.pending)) {
				if dice.Float64() < luck {
					f.settle(n, name)
				}
			}
		}
	}
	for _, n := range dirty {
		for index, was := range n.undo {
			if was == nil {
				delete(n.pages, index)
			} else {
				n.pages[index] = was
			}
		}
		clear(n.undo)
		n.size = n.diskSize
		// First all names go, then the disk's come back: a name on the disk
		// may belong to an inode that stands elsewhere in this list.
		for name := range n.pending {
			if now := n.entries[name]; now != nil {
				delete(now.names, place{n, name})
				delete(n.entries, name)
			}
		}
	}
	for _, n := range dirty {
		for name, was := range n.pending {
			if was != nil {
				n.entries[name] = was
				was.names[place{n, name}] = struct{}{}
			}
		}
		clear(n.pending)
	}
	clear(f.dirty)
}

// keepSome moves to the disk some of the pages that were not synced, and
// perhaps the length.
func (n *inode) keepSome(dice *rand.Rand, luck float64) {
	if n.isDir() {
		return
	}
	if dice.Float64() < luck {
		n.diskSize = n.size
	}
	for _, index := range slices.Sorted(maps.Keys(n.undo)) {
		if dice.Float64() >= luck {
			continue
		}
		now := new(page)
		if p := n.pages[index]; p != nil {
			*now = *p
		}
		if dice.Intn(8) == 0 { // torn: each sector is the old one or the new one
			was := n.undo[index]
			if was == nil {
				was = new(page)
			}
			for at := 0; at < pageSize; at += sectorSize {
				if dice.Intn(2) == 0 {
					copy(now[at:at+sectorSize], was[at:])
				}
			}
		}
		n.undo[index] = now
	}
	for index, p := range n.undo {
		// Bytes behind the end are zeros when the file grows over them later.
		if first := index * pageSize; first+pageSize > n.diskSize && p != nil {
			cut := new(page)
			copy(cut[:max(0, n.diskSize-first)], p[:])
			n.undo[index] = cut
		}
	}
}
