// Package fsys is the file system as the directory store needs it: few calls,
// each with its durability said. There are three of a kind: OS, the real one; Mem,
// which can lose power and then keeps only what a disk must keep; Fault, which
// wraps another and makes calls fail.
package fsys

import (
	"errors"
	"io"
)

// FS is a tree of files and folders. Names are slash paths below its root, "." the
// root itself; nothing outside is reachable, by no name and no symbolic link.
// Errors answer to errors.Is with fs.ErrNotExist, fs.ErrExist and the system's
// numbers (syscall.ENOSPC …). All methods may be called at the same time.
//
// Durability: nothing survives a loss of power but what was synced. A file's
// bytes are made durable by its Sync, an entry in a folder (made by Create, Link,
// Mkdir, taken by Remove and Rmdir) by SyncDir of that folder, and each is lost or kept on
// its own. After a sync failed, the bytes or entries that it was to save are
// suspect for ever: a second sync may say yes without saving them.
type FS interface {
	// Create makes an empty file for writing, mode 0600. fs.ErrExist if the
	// name is taken.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Stat describes a file or folder, a symbolic link as itself.
	Stat(name string) (Info, error)
	// List describes what is in a folder, in no order.
	List(name string) ([]Info, error)
	// Mkdir makes a folder, mode 0700. fs.ErrExist if the name is taken.
	Mkdir(name string) error
	// Link gives a file a second name. fs.ErrExist if that is taken: it never
	// replaces.
	Link(old, name string) error
	// Remove takes a name of a file, EISDIR if it is a folder. The bytes go with
	// the last name and the last open File.
	Remove(name string) error
	// Rmdir takes an empty folder, ENOTDIR if it is none.
	Rmdir(name string) error
	// SyncDir makes the entries of a folder durable.
	SyncDir(name string) error
}

// File is an open file. ReadAt may be called at the same time as everything but
// Close.
type File interface {
	io.ReaderAt
	// Write appends. It may write less than it was given, with an error.
	io.Writer
	// Sync makes the bytes written so far, and the length, durable.
	Sync() error
	Close() error
}

// Info describes an entry of a folder.
type Info struct {
	Name string // the last element of its path
	Size int64  // bytes, of a file
	Kind Kind
}

// Kind is what an entry is.
type Kind uint8

// The kinds of entries. Other is what a store did not make: a symbolic link, a
// device.
const (
	Regular Kind = iota
	Dir
	Other
)

// Allocator is a File that can take n bytes of room at its end without writing
// them. errors.ErrUnsupported if the file system cannot.
type Allocator interface {
	Allocate(n int64) error
}

// Locker is an FS that knows of other processes. Lock takes the lock of a file,
// made if need be, and holds it until Close or until the process ends; shared
// ones get on with each other. ErrLocked if another one is in the way; it
// does not wait.
type Locker interface {
	Lock(name string, shared bool) (io.Closer, error)
}

// ErrLocked means that somebody else holds a lock.
var ErrLocked = errors.New("in use by another process")
