package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"
	"sync/atomic"

	"kuva/internal/blob"
	"kuva/internal/blob/fsys"
)

// maxIdle is how many folders are remembered that nobody is adding to. One that
// was forgotten costs a sync when it is used again.
const maxIdle = 4096

// folders knows of each folder in use whether its entry is durable, and keeps
// folders from being removed while somebody adds to them.
type folders struct {
	fs   fsys.FS
	keep bool // do not remove empty ones: other processes may be adding

	mu sync.Mutex
	m  map[string]*folder
}

// folder is one of them. Once made, every entry in it is one of three: durable;
// made by this process, which waits for the sync or takes the entry back; or, if
// doubt is set, one that was there before and of which nothing is known. Doubt ends
// with the process: there is no call that would end it.
type folder struct {
	name  string
	users int // guarded by folders.mu; above 0 it is not removed

	making sync.Mutex
	made   bool  // it is there and its entry, and those above it, are durable
	broken error // it is there, perhaps not durably
	doubt  error // why its old entries are in doubt; guarded by making until made

	syncing sync.Mutex
	begun   atomic.Uint64 // syncs that have begun
	failed  atomic.Uint64 // syncs that have failed
	err     error         // what the last of those said; guarded by syncing
}

// failures is to be asked before an entry is made, and handed to sync after.
func (f *folder) failures() uint64 { return f.failed.Load() }

// sync makes an entry durable that was made before the call. Syncs that are asked
// for together are done once. It fails if any sync failed since failures was
// asked: that one may have swallowed our entry.
func (f *folder) sync(fsys fsys.FS, before uint64) error {
	begun := f.begun.Load() // one that begins later covers our entry
	f.syncing.Lock()
	defer f.syncing.Unlock()
	if f.begun.Load() == begun {
		f.begun.Add(1)
		if err := fsys.SyncDir(f.name); err != nil {
			f.err = err
			f.failed.Add(1)
		}
	}
	if f.failed.Load() != before {
		return f.err
	}
	return nil
}

// hold makes a folder and those above it, durably, and keeps them until release,
// which is due after an error too.
func (fo *folders) hold(name string) (*folder, error) {
	fo.mu.Lock()
	if fo.m == nil {
		fo.m = map[string]*folder{}
	}
	var chain []*folder // from name up to the root
	for at := name; ; at = path.Dir(at) {
		f := fo.m[at]
		if f == nil {
			f = &folder{name: at}
			fo.m[at] = f
		}
		f.users++
		chain = append(chain, f)
		if at == "." {
			break
		}
	}
	fo.mu.Unlock()
	var parent *folder
	for i := len(chain) - 1; i >= 0; i-- {
		if err := chain[i].make(fo.fs, parent); err != nil {
			return nil, err
		}
		parent = chain[i]
	}
	return parent, nil
}

func (fo *folders) release(name string) {
	fo.mu.Lock()
	defer fo.mu.Unlock()
	for at := name; ; at = path.Dir(at) {
		fo.m[at].users--
		if at == "." {
			break
		}
	}
	if len(fo.m) <= maxIdle {
		return
	}
	for at, f := range fo.m {
		if f.users == 0 && f.made && f.doubt == nil {
			delete(fo.m, at)
		}
	}
}

// make sees to it that f is there and durable, given that its parent is; the root
// has no parent and is there.
func (f *folder) make(fsys fsys.FS, parent *folder) error {
	f.making.Lock()
	defer f.making.Unlock()
	if f.made {
		return nil
	}
	if f.broken != nil {
		if err := fsys.Rmdir(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return f.broken
		}
		f.broken = nil // what is made anew is synced anew
	}
	there := parent == nil
	if parent != nil {
		before := parent.failures()
		err := fsys.Mkdir(f.name)
		if there = errors.Is(err, fs.ErrExist); !there {
			if err == nil {
				err = parent.sync(fsys, before)
			}
			if err != nil {
				// Even a mkdir that failed may have made it.
				if gone := fsys.Rmdir(f.name); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
					f.broken = fmt.Errorf("folder %s: not durable: %w", f.name, err)
				}
				return err
			}
		}
	}
	if there {
		if err := f.adopt(fsys, parent); err != nil {
			return err
		}
	}
	f.made = true
	return nil
}

// adopt takes a folder that is there. Whoever made it, or the entries in it, may
// have been killed before the sync, so what is in it is synced once.
func (f *folder) adopt(fsys fsys.FS, parent *folder) error {
	if parent != nil {
		fi, err := fsys.Stat(f.name)
		if err != nil {
			return err
		}
		if !isFolder(fi) {
			return fmt.Errorf("%w: %s is a blob", blob.ErrKey, f.name)
		}
		if parent.doubt != nil {
			f.broken = fmt.Errorf("folder %s: perhaps not durable: %w", f.name, parent.doubt)
			return f.broken
		}
	}
	if err := f.sync(fsys, f.failures()); err != nil {
		f.doubt = fmt.Errorf("sync of %s has failed (restart when the disk is well): %w", f.name, err)
	}
	return nil
}

func isFolder(fi fsys.Info) bool { return fi.Kind == fsys.Dir }

// prune removes a folder and those above it as far as they are empty and nobody
// adds to them. Nothing depends on it.
func (fo *folders) prune(name string) {
	if fo.keep {
		return
	}
	fo.mu.Lock()
	defer fo.mu.Unlock()
	for ; name != blobsDir; name = path.Dir(name) {
		if f := fo.m[name]; f != nil && f.users > 0 {
			return
		}
		if err := fo.fs.Rmdir(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
		delete(fo.m, name)
	}
}
