package lossyfs

import (
	"context"
	"maps"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node shows an inode to the kernel for the time of one mount.
type node struct {
	fs.Inode
	fs    *FS
	inode *inode
}

// handle is an open file. Writes through one that was opened with O_SYNC or
// O_DSYNC survive by themselves.
type handle struct{ syncs bool }

var (
	_ fs.NodeLookuper   = (*node)(nil)
	_ fs.NodeReaddirer  = (*node)(nil)
	_ fs.NodeGetattrer  = (*node)(nil)
	_ fs.NodeSetattrer  = (*node)(nil)
	_ fs.NodeStatfser   = (*node)(nil)
	_ fs.NodeCreater    = (*node)(nil)
	_ fs.NodeOpener     = (*node)(nil)
	_ fs.NodeReader     = (*node)(nil)
	_ fs.NodeWriter     = (*node)(nil)
	_ fs.NodeFsyncer    = (*node)(nil)
	_ fs.NodeAllocater  = (*node)(nil)
	_ fs.NodeMkdirer    = (*node)(nil)
	_ fs.NodeSymlinker  = (*node)(nil)
	_ fs.NodeReadlinker = (*node)(nil)
	_ fs.NodeLinker     = (*node)(nil)
	_ fs.NodeUnlinker   = (*node)(nil)
	_ fs.NodeRmdirer    = (*node)(nil)
	_ fs.NodeRenamer    = (*node)(nil)
)

// lock takes the lock of the file system, or fails while the power is off.
func (n *node) lock() bool {
	n.fs.mu.Lock()
	if n.fs.cut {
		n.fs.mu.Unlock()
		return false
	}
	return true
}

func (n *node) unlock() { n.fs.mu.Unlock() }

// show makes the kernel's node of an inode, or finds the one there is.
func (n *node) show(ctx context.Context, i *inode, out *fuse.EntryOut) *fs.Inode {
	i.attr(&out.Attr)
	return n.NewInode(ctx, &node{fs: n.fs, inode: i}, fs.StableAttr{Mode: i.mode & syscall.S_IFMT, Ino: i.ino})
}

func (n *inode) attr(out *fuse.Attr) {
	out.Ino, out.Mode, out.Size = n.ino, n.mode, uint64(n.size)
	out.Blocks, out.Blksize = uint64(len(n.pages))*(pageSize/sectorSize), pageSize
	out.Nlink = max(1, uint32(len(n.names)))
	out.Uid, out.Gid = uint32(syscall.Getuid()), uint32(syscall.Getgid())
	out.SetTimes(&n.mtime, &n.mtime, &n.mtime)
}

// Lookup finds a name.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if !n.lock() {
		return nil, syscall.EIO
	}
	defer n.unlock()
	i := n.inode.entries[name]
	if i == nil {
		return nil, syscall.ENOENT
	}
	return n.show(ctx, i, out), 0
}

// Readdir lists the names in order.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	if !n.lock() {
		return nil, syscall.EIO
	}
	defer n.unlock()
	var list []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.inode.entries)) {
		i := n.inode.entries[name]
		list = append(list, fuse.DirEntry{Name: name, Mode: i.mode, Ino: i.ino})
	}
	return fs.NewListDirStream(list), 0
}

// Getattr tells size, mode and time.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if !n.lock() {
		return syscall.EIO
	}
	defer n.unlock()
	n.inode.attr(&out.Attr)
	return 0
}

// Setattr changes size, mode or time. Mode and time are never forgotten.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if !n.lock() {
		return syscall.EIO
	}
	defer n.unlock()
	if size, ok := in.GetSize(); ok {
		n.fs.truncate(n.inode, int64(size))
		n.fs.stats.Writes++
		n.fs.acted()
	}
	if mode, ok := in.GetMode(); ok {
		n.inode.mode = n.inode.mode&syscall.S_IFMT | mode&^uint32(syscall.S_IFMT)
	}
	if t, ok := in.GetMTime(); ok {
		n.inode.mtime = t
	}
	n.inode.attr(&out.Attr)
	return 0
}

// Statfs tells of a disk with room enough.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	*out = fuse.StatfsOut{Blocks: 1 << 24, Bfree: 1 << 23, Bavail: 1 << 23, Files: 1 << 24, Ffree: 1 << 23, Bsize: pageSize, Frsize: pageSize, NameLen: 255}
	return 0
}

func opened(flags uint32) *handle {
	return &handle{syncs: flags&(syscall.O_SYNC|syscall.O_DSYNC) != 0}
}

// Create makes and opens a file.
func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	child, errno := n.add(ctx, name, syscall.S_IFREG|mode&0o7777, "", out)
	return child, opened(flags), 0, errno
}

// Open opens a file.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return opened(flags), fuse.FOPEN_KEEP_CACHE, 0
}

// Read returns bytes of a file.
func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if !n.lock() {
		return nil, syscall.EIO
	}
	defer n.unlock()
	return fuse.ReadResultData(dest[:n.inode.read(dest, off)]), 0
}

// Write changes bytes of a file.
func (n *node) Write(_ context.Context, h fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	if !n.lock() {
		return 0, syscall.EIO
	}
	defer n.unlock()
	n.fs.write(n.inode, data, off)
	n.fs.stats.Writes++
	if h, ok := h.(*handle); ok && h.syncs {
		n.syncLocked()
	}
	n.fs.acted()
	return uint32(len(data)), 0
}

// Allocate grows a file where it is asked to. It keeps no room: the disk has
// enough. Holes cannot be punched.
func (n *node) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE
	if mode&^keepSize != 0 {
		return syscall.EOPNOTSUPP
	}
	if !n.lock() {
		return syscall.EIO
	}
	defer n.unlock()
	if end := int64(off + size); mode == 0 && end > n.inode.size {
		n.fs.truncate(n.inode, end)
		n.fs.stats.Writes++
		n.fs.acted()
	}
	return 0
}

// Fsync puts a file or a directory on the disk. The kernel calls it for both.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if !n.lock() {
		return syscall.EIO
	}
	defer n.unlock()
	n.syncLocked()
	n.fs.acted()
	return 0
}

func (n *node) syncLocked() {
	if ignore := n.fs.config.IgnoreSync; ignore != nil && ignore(n.inode.path(), n.inode.isDir()) {
		n.fs.stats.IgnoredSyncs++
		return
	}
	if n.inode.isDir() {
		n.fs.stats.DirSyncs++
	} else {
		n.fs.stats.FileSyncs++
	}
	n.fs.sync(n.inode)
}

// add makes an inode under a new name.
func (n *node) add(ctx context.Context, name string, mode uint32, target string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if !n.lock() {
		return nil, syscall.EIO
	}
	defer n.unlock()
	if n.inode.entries[name] != nil {
		return nil, syscall.EEXIST
	}
	i := n.fs.newInode(mode)
	if target != "" {
		i.target, i.size, i.diskSize = target, int64(len(target)), int64(len(target))
	}
	n.rename(place{n.inode, name}, i)
	return n.show(ctx, i, out), 0
}

// rename puts an inode under a name and counts the change.
func (n *node) rename(to place, i *inode) {
	n.fs.link(to.dir, to.name, i)
	n.fs.stats.NameChanges++
	n.fs.acted()
}

// Mkdir makes a directory.
func (n *node) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.add(ctx, name, syscall.S_IFDIR|mode&0o7777, "", out)
}

// Symlink makes a symbolic link; its target is never forgotten, its name may be.
func (n *node) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.add(ctx, name, syscall.S_IFLNK|0o777, target, out)
}

// Readlink returns the target of a symbolic link.
func (n *node) Readlink(context.Context) ([]byte, syscall.Errno) {
	return []byte(n.inode.target), 0
}

// Link gives a file one more name.
func (n *node) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if !n.lock() {
		return nil, syscall.EIO
	}
	defer n.unlock()
	i := target.(*node).inode
	n.rename(place{n.inode, name}, i)
	return n.show(ctx, i, out), 0
}

// Unlink removes a name of a file.
func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	if !n.lock() {
		return syscall.EIO
	}
	defer n.unlock()
	if n.inode.entries[name] == nil {
		return syscall.ENOENT
	}
	n.rename(place{n.inode, name}, nil)
	return 0
}

// Rmdir removes an empty directory.
func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	n.fs.mu.Lock()
	i := n.inode.entries[name]
	full := i != nil && len(i.entries) > 0
	n.fs.mu.Unlock()
	if full {
		return syscall.ENOTEMPTY
	}
	return n.Unlink(ctx, name)
}

// Rename moves a name, over another file where there is one.
func (n *node) Rename(_ context.Context, name string, newParent fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	const noReplace = 1 // RENAME_NOREPLACE
	if flags&^noReplace != 0 {
		return syscall.EINVAL
	}
	if !n.lock() {
		return syscall.EIO
	}
	defer n.unlock()
	to := newParent.(*node).inode
	i, over := n.inode.entries[name], to.entries[newName]
	switch {
	case i == nil:
		return syscall.ENOENT
	case over == i:
		return 0
	case over != nil && flags&noReplace != 0:
		return syscall.EEXIST
	case over != nil && len(over.entries) > 0:
		return syscall.ENOTEMPTY
	}
	n.fs.link(to, newName, i)
	n.rename(place{n.inode, name}, nil)
	return 0
}
