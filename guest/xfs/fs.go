// Package xfs reads XFS of versions 4 and 5: folders in all their forms,
// extents in inodes and in trees, sparse inodes, times behind 2038, many
// extents, extended attributes, links inline and in blocks of their own,
// checksums, the map of free space.
//
// A log that was not played out is noted (tree.JournalDirty) and not replayed:
// what is read is what was last written back, and may be older than what a
// mount would show. Checksums that are wrong are noted, and what they cover is
// read all the same.
package xfs

import (
	"fmt"
	"sync"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/internal/blocks"
	"kuva/guest/tree"
)

// FS is an open file system: a tree.Reader, tree.Xattrer and tree.Spacer. It
// is safe for concurrent use.
type FS struct {
	r *blocks.Reader
	s *super

	mu    sync.Mutex
	notes []tree.Note
}

// Open reads the superblock and looks whether the log is empty. b may be nil.
// What is no XFS is a *disk.Malformed.
func Open(d disk.Disk, b *budget.Budget) (*FS, error) {
	f := &FS{r: blocks.New("xfs", d, b)}
	if err := f.readSuper(); err != nil {
		return nil, err
	}
	if size := int64(f.s.blocks) * f.s.blockSize; size > d.Size() {
		f.note(tree.Truncated, fmt.Sprintf("the file system has %d bytes, the volume %d", size, d.Size()))
	}
	if f.s.incompat&incompatNeedsRepair != 0 {
		f.note(tree.Errors, "the superblock asks for xfs_repair")
	}
	dirty, err := f.dirty()
	switch {
	case budget.IsLimit(err):
		return nil, err
	case err != nil:
		f.note(tree.JournalDirty, err.Error())
	case dirty:
		f.note(tree.JournalDirty, "the log was not played out: the last changes before the stop are missing")
	}
	return f, nil
}

// note keeps something odd, once.
func (f *FS) note(id, detail string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.notes = tree.AddNote(f.notes, id, detail)
}

// Root implements tree.Reader.
func (f *FS) Root() tree.ID { return tree.ID{Ino: f.s.root} }

// get reads a block of structures; shared, not to be changed.
func (f *FS) get(fsb uint64) ([]byte, error) {
	off, err := f.s.block(fsb)
	if err != nil {
		return nil, err
	}
	return f.r.Get(off, int(f.s.blockSize))
}
