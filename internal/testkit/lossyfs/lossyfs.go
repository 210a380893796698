// Package lossyfs is a file system for tests that forgets what was never
// synced, as a disk does when the power goes. A program under test runs on it
// unchanged, as a process of its own; the test kills the program, calls
// Crash, and starts the program again on what a real machine could have kept.
//
// The file system lives in memory and is mounted by FUSE. It remembers two
// states of everything: what programs see, and what would survive.
//
//	                 seen by programs          survives a crash
//	file             every write, truncate     pages and length of the last fsync or fdatasync
//	                                           of that file, on any descriptor, or of a write
//	                                           through O_SYNC or O_DSYNC
//	directory        every create, link,       names of the last fsync of that directory
//	                 rename, unlink, mkdir
//	mode, time       the latest                the latest; programs rarely depend on them
//
// That is what POSIX promises and no more: fsync of a new file does not keep
// its name, fsync of a directory keeps the names in it and not the bytes
// behind them, and two names may survive in any order. One promise is added,
// because every file system in use gives it and programs rest on it: a
// renamed file is never lost under both names. Where the removal of the old
// name survives, so does a new one.
//
// sync(2) and syncfs(2) keep nothing here: the kernel does not tell a FUSE
// file system of them. Shared mappings work; their pages count as written
// when the kernel writes them back, at msync or fsync for certain.
//
// A test that mounts this must not use the files by mmap in its own process:
// a page fault that waits for a server in the same process can stop both.
package lossyfs

import (
	"errors"
	"fmt"
	"log"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Config sets what a file system forgets. The zero value is an honest disk.
type Config struct {
	// IgnoreSync says of a path, relative to the mount and with slashes,
	// whether its fsync is answered and then forgotten. It makes mutants: a
	// program that never syncs its packs, its directories or its database.
	// It is called with the lock of the file system held and must not use it.
	IgnoreSync func(path string, dir bool) bool
}

// FS is one file system, mounted or not. Its methods may be called from many
// goroutines, save Crash and Close, which no other call may overlap.
type FS struct {
	config Config
	dir    string

	mu      sync.Mutex // guards everything below and every inode
	root    *inode
	lastIno uint64
	dirty   map[*inode]struct{} // has pages or names that were not synced
	cut     bool                // the power is off: every operation fails
	cutIn   int                 // operations left before the cut, 0 for none planned
	cutDone chan struct{}
	stats   Stats

	server *fuse.Server
}

// Stats counts what the programs have done since the mount was made, over all
// crashes.
type Stats struct {
	Writes       int64 // calls that changed the bytes or the length of a file
	FileSyncs    int64
	DirSyncs     int64
	IgnoredSyncs int64 // syncs that Config.IgnoreSync swallowed
	NameChanges  int64 // create, link, rename, unlink, mkdir, rmdir
}

// Mount makes an empty file system and mounts it on dir, which must exist and
// be empty. It needs /dev/fuse and either root or fusermount3.
func Mount(dir string, config Config) (*FS, error) {
	f := &FS{config: config, dir: dir, dirty: map[*inode]struct{}{}}
	f.root = f.newInode(syscall.S_IFDIR | 0o755)
	if err := f.mount(); err != nil {
		return nil, err
	}
	return f, nil
}

// Dir is the folder that the file system is mounted on.
func (f *FS) Dir() string { return f.dir }

// Stats returns the counts so far.
func (f *FS) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}

func (f *FS) mount() error {
	// Nothing changes but through this mount, so the kernel may remember
	// names and attributes for as long as it likes.
	long := time.Hour
	options := &fs.Options{
		EntryTimeout:    &long,
		AttrTimeout:     &long,
		NegativeTimeout: &long,
		RootStableAttr:  &fs.StableAttr{Mode: syscall.S_IFDIR, Ino: f.root.ino},
		MountOptions: fuse.MountOptions{
			FsName:        "lossyfs",
			Name:          "lossyfs",
			DirectMount:   true,
			MaxWrite:      1 << 20,
			DisableXAttrs: true,
			Logger:        log.Default(),
		},
	}
	server, err := fs.Mount(f.dir, &node{fs: f, inode: f.root}, options)
	if err != nil {
		return fmt.Errorf("mount %s: %w", f.dir, err)
	}
	f.server = server
	return nil
}

func (f *FS) unmount() error {
	if f.server == nil {
		return nil
	}
	// The files of a process that was just killed are closed before its
	// parent is told, but other children of it may take a moment longer.
	var err error
	for range 3 {
		if err = f.server.Unmount(); err == nil {
			f.server.Wait()
			f.server = nil
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("unmount %s: a program still uses it: %w", f.dir, err)
}

// Close unmounts the file system and forgets it. Closing twice is safe. It
// fails while a program has a file open in it.
func (f *FS) Close() error { return f.unmount() }

// Cut switches the power off: every operation from now on fails with EIO, so
// that nothing more can be kept or promised. Crash switches it on again.
func (f *FS) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cutLocked()
}

func (f *FS) cutLocked() {
	if f.cut {
		return
	}
	f.cut = true
	if f.cutDone != nil {
		close(f.cutDone)
		f.cutDone = nil
	}
}

// CutAfter switches the power off when n more writes, syncs and changes of
// names have been carried out, n at least 1, and closes the channel then.
func (f *FS) CutAfter(n int) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	done := make(chan struct{})
	if f.cut {
		close(done)
		return done
	}
	f.cutIn, f.cutDone = max(n, 1), done
	return done
}

// acted is called after each operation that counts for CutAfter.
func (f *FS) acted() {
	if f.cutIn > 0 {
		if f.cutIn--; f.cutIn == 0 {
			f.cutLocked()
		}
	}
}

// Crash unmounts the file system, drops what a power cut may drop, and mounts
// the rest. The programs that used it must have ended: their last unwritten
// mappings are flushed to the file system first, and then dropped with the
// rest. Seed 0 drops everything that was not synced. Any other seed decides,
// for every page, length and name by itself, whether it was kept, and tears
// some pages between sectors of 512 bytes; the same history and seed give the
// same disk.
func (f *FS) Crash(seed int64) error {
	if err := f.unmount(); err != nil {
		return err
	}
	f.mu.Lock()
	f.drop(seed)
	f.cut, f.cutIn = false, 0
	if f.cutDone != nil {
		close(f.cutDone)
		f.cutDone = nil
	}
	f.mu.Unlock()
	return f.mount()
}

// Usable returns an error where this machine cannot mount the file system.
func Usable() error {
	fd, err := syscall.Open("/dev/fuse", syscall.O_RDWR, 0)
	if err != nil {
		return errors.New("/dev/fuse cannot be opened: FUSE is missing or not allowed here")
	}
	return syscall.Close(fd)
}
