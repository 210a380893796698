package fsys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// pageSize is what a kernel writes back as a whole, sectorSize what a disk does.
const (
	pageSize   = 4096
	sectorSize = 512
)

// ErrCrashed is what a Mem and its Files say after Crash or Kill: whoever still
// calls them is dead.
var ErrCrashed = errors.New("the machine has crashed")

// Mem is a file system in memory that knows what of it is durable. Crash takes its
// power away, Kill only its process. It keeps two copies of every file, so it is
// for tests.
type Mem struct {
	st   *memState
	dead bool // guarded by st.mu
}

// memState is what lives on when a process dies.
type memState struct {
	mu    sync.Mutex
	root  *node
	used  int64 // bytes of all nodes that have a name or are open
	limit int64 // at most that many; 0: no limit
}

// node is a file or a folder.
type node struct {
	dir          bool
	names, opens int // a file whose names and opens are 0 is gone

	data     []byte           // what processes see
	disk     []byte           // what surely is on the disk; never changed in place
	unsynced map[int]struct{} // pages of data that are not surely in disk
	suspect  map[int]struct{} // such pages that a failed sync has made look clean
	reserved int64            // bytes that are taken beyond data

	entries map[string]*node
	onDisk  map[string]*node
	pending []entry // changes of entries that are not surely in onDisk
	doubt   []entry // such changes that a failed sync has made look clean
}

// entry is one change of a folder: name now means n, nothing if n is nil.
type entry struct {
	name string
	n    *node
}

// NewMem gives an empty file system.
func NewMem() *Mem { return &Mem{st: &memState{root: newDir()}} }

func newDir() *node {
	return &node{dir: true, entries: map[string]*node{}, onDisk: map[string]*node{}}
}

// SetLimit lets the files take n bytes together; what goes beyond fails with
// ENOSPC. 0 means no limit.
func (m *Mem) SetLimit(n int64) {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	m.st.limit = n
}

// Used tells how many bytes the files take.
func (m *Mem) Used() int64 {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	return m.st.used
}

// Flip inverts the bits of mask in byte off of a file, on the disk too: bit rot.
func (m *Mem) Flip(name string, off int64, mask byte) error {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	n, err := m.file("flip", name)
	if err != nil {
		return err
	}
	if off < 0 || off >= int64(len(n.data)) {
		return fmt.Errorf("flip %s: offset %d of %d", name, off, len(n.data))
	}
	n.data = append([]byte(nil), n.data...)
	n.data[off] ^= mask
	if off < int64(len(n.disk)) {
		n.disk = append([]byte(nil), n.disk...)
		n.disk[off] ^= mask
	}
	return nil
}

// find walks to a node. The caller holds the lock, here and below.
func (m *Mem) find(op, name string) (*node, error) {
	if m.dead {
		return nil, ErrCrashed
	}
	fail := func(err error) (*node, error) { return nil, &fs.PathError{Op: op, Path: name, Err: err} }
	if !fs.ValidPath(name) {
		return fail(fs.ErrInvalid)
	}
	n := m.st.root
	for rest := name; rest != "." && rest != ""; {
		var first string
		first, rest, _ = strings.Cut(rest, "/")
		if !n.dir {
			return fail(syscall.ENOTDIR)
		}
		if n = n.entries[first]; n == nil {
			return fail(fs.ErrNotExist)
		}
	}
	return n, nil
}

func (m *Mem) file(op, name string) (*node, error) {
	n, err := m.find(op, name)
	if err == nil && n.dir {
		return nil, &fs.PathError{Op: op, Path: name, Err: syscall.EISDIR}
	}
	return n, err
}

func (m *Mem) folder(op, name string) (*node, error) {
	n, err := m.find(op, name)
	if err == nil && !n.dir {
		return nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
	}
	return n, err
}

// add puts n into the folder that name says.
func (m *Mem) add(op, name string, n *node) error {
	d, err := m.folder(op, path.Dir(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	if !fs.ValidPath(name) || base == "." {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if d.entries[base] != nil {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrExist}
	}
	d.entries[base] = n
	d.pending = append(d.pending, entry{base, n})
	n.names++
	return nil
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	n := &node{}
	if err := m.add("create", name, n); err != nil {
		return nil, err
	}
	n.opens++
	return &memFile{m: m, n: n, name: name, write: true}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	n, err := m.find("open", name)
	if err != nil {
		return nil, err
	}
	n.opens++
	return &memFile{m: m, n: n, name: name}, nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (Info, error) {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	n, err := m.find("stat", name)
	if err != nil {
		return Info{}, err
	}
	return n.info(path.Base(name)), nil
}

func (n *node) info(name string) Info {
	if n.dir {
		return Info{Name: name, Kind: Dir}
	}
	return Info{Name: name, Size: int64(len(n.data)) + n.reserved}
}

// List implements FS.
func (m *Mem) List(name string) ([]Info, error) {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	d, err := m.folder("list", name)
	if err != nil {
		return nil, err
	}
	list := make([]Info, 0, len(d.entries))
	for name, n := range d.entries {
		list = append(list, n.info(name))
	}
	return list, nil
}

// Mkdir implements FS.
func (m *Mem) Mkdir(name string) error {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	return m.add("mkdir", name, newDir())
}

// Link implements FS.
func (m *Mem) Link(old, name string) error {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	n, err := m.file("link", old)
	if err != nil {
		return err
	}
	return m.add("link", name, n)
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	n, err := m.file("remove", name)
	if err != nil {
		return err
	}
	return m.take("remove", name, n)
}

// Rmdir implements FS.
func (m *Mem) Rmdir(name string) error {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	n, err := m.folder("rmdir", name)
	switch {
	case err != nil:
		return err
	case n == m.st.root:
		return &fs.PathError{Op: "rmdir", Path: name, Err: fs.ErrInvalid}
	case len(n.entries) > 0:
		return &fs.PathError{Op: "rmdir", Path: name, Err: syscall.ENOTEMPTY}
	}
	return m.take("rmdir", name, n)
}

// take takes the name of n out of its folder.
func (m *Mem) take(op, name string, n *node) error {
	d, err := m.folder(op, path.Dir(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	delete(d.entries, base)
	d.pending = append(d.pending, entry{base, nil})
	n.names--
	m.st.free(n)
	return nil
}

// free gives the bytes of n back once nothing leads to it.
func (st *memState) free(n *node) {
	if n.names == 0 && n.opens == 0 {
		st.used -= int64(len(n.data)) + n.reserved
		n.reserved = 0
	}
}

// SyncDir implements FS.
func (m *Mem) SyncDir(name string) error {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	d, err := m.folder("sync", name)
	if err != nil {
		return err
	}
	for _, e := range d.pending {
		e.apply(d.onDisk)
		// The entry is written anew, and with it whatever a failed sync left.
		d.doubt = slices.DeleteFunc(d.doubt, func(old entry) bool { return old.name == e.name })
	}
	d.pending = nil
	return nil
}

func (e entry) apply(to map[string]*node) {
	if e.n == nil {
		delete(to, e.name)
	} else {
		to[e.name] = e.n
	}
}

// syncDirFailed makes the unsynced entries of a folder look clean, as a kernel
// does that could not write them: no later SyncDir saves them.
func (m *Mem) syncDirFailed(name string) {
	m.st.mu.Lock()
	defer m.st.mu.Unlock()
	if d, err := m.folder("sync", name); err == nil {
		d.doubt = append(d.doubt, d.pending...)
		d.pending = nil
	}
}

// memFile is an open file of a Mem.
type memFile struct {
	m      *Mem
	n      *node
	name   string
	write  bool
	closed bool
}

func (f *memFile) usable(op string) error {
	switch {
	case f.m.dead:
		return ErrCrashed
	case f.closed:
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	case f.n.dir:
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EISDIR}
	case op != "read" && !f.write:
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EBADF}
	}
	return nil
}

func (f *memFile) Write(p []byte) (int, error) {
	st := f.m.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := f.usable("write"); err != nil {
		return 0, err
	}
	var err error
	if room := st.limit - st.used; st.limit > 0 && int64(len(p)) > room {
		p, err = p[:max(0, room)], &fs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	if len(p) == 0 {
		return 0, err
	}
	n := f.n
	if n.unsynced == nil {
		n.unsynced = map[int]struct{}{}
	}
	for page := len(n.data) / pageSize; page <= (len(n.data)+len(p)-1)/pageSize; page++ {
		n.unsynced[page] = struct{}{}
		delete(n.suspect, page)
	}
	n.data = append(n.data, p...)
	st.used += int64(len(p))
	return len(p), err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.st.mu.Lock()
	defer f.m.st.mu.Unlock()
	if err := f.usable("read"); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, &fs.PathError{Op: "read", Path: f.name, Err: fs.ErrInvalid}
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	k := copy(p, f.n.data[off:])
	if k < len(p) {
		return k, io.EOF
	}
	return k, nil
}

func (f *memFile) Sync() error {
	f.m.st.mu.Lock()
	defer f.m.st.mu.Unlock()
	if err := f.usable("sync"); err != nil {
		return err
	}
	n := f.n
	disk := make([]byte, len(n.data))
	copy(disk, n.disk)
	for page := range n.unsynced {
		lo, hi := page*pageSize, min((page+1)*pageSize, len(n.data))
		copy(disk[lo:hi], n.data[lo:hi])
	}
	n.disk, n.unsynced = disk, nil
	return nil
}

// syncFailed makes the unsynced pages look clean, as a kernel does that could not
// write them: no later Sync saves them.
func (f *memFile) syncFailed() {
	f.m.st.mu.Lock()
	defer f.m.st.mu.Unlock()
	if f.n.suspect == nil {
		f.n.suspect = map[int]struct{}{}
	}
	for page := range f.n.unsynced {
		f.n.suspect[page] = struct{}{}
	}
	f.n.unsynced = nil
}

// Allocate implements Allocator. The bytes show in the length but cannot be read.
func (f *memFile) Allocate(n int64) error {
	st := f.m.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := f.usable("allocate"); err != nil {
		return err
	}
	if st.limit > 0 && n > st.limit-st.used {
		return &fs.PathError{Op: "allocate", Path: f.name, Err: syscall.ENOSPC}
	}
	f.n.reserved += n
	st.used += n
	return nil
}

func (f *memFile) Close() error {
	st := f.m.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if f.m.dead {
		return ErrCrashed
	}
	if f.closed {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.closed = true
	f.n.opens--
	st.free(f.n)
	return nil
}
