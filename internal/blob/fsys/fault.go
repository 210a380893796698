package fsys

import (
	"errors"
	"io"
	"slices"
	"sync"
)

// Op names a call of FS or File.
type Op string

// The calls. Read, write, sync, close and allocate are a File's.
const (
	OpCreate   Op = "create"
	OpOpen     Op = "open"
	OpStat     Op = "stat"
	OpList     Op = "list"
	OpMkdir    Op = "mkdir"
	OpLink     Op = "link"
	OpRemove   Op = "remove"
	OpRmdir    Op = "rmdir"
	OpSyncDir  Op = "syncdir"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpSync     Op = "sync"
	OpClose    Op = "close"
	OpAllocate Op = "allocate"
)

// Failure says which calls fail, and how.
type Failure struct {
	At    int   // the first call that fails, counted from 1 since Arm
	Times int   // how many fail; 0 means one, below 0 all from then on
	Ops   []Op  // which calls are counted; none means all
	Err   error // what they return: syscall.EIO, syscall.ENOSPC …
	Done  bool  // the call was done all the same, and only the answer is wrong
}

// Fault is another FS with calls that fail. A sync that fails without being done
// leaves a Mem's bytes suspect for ever, as on a real kernel.
type Fault struct {
	// OnCall is called before each call, failing or not; set it before use. It may
	// panic or crash the file system below: a crash point for every call.
	OnCall func(op Op, name string)

	inner FS
	mu    sync.Mutex
	fail  *Failure
	calls int
	fired int
}

// NewFault wraps inner. Nothing fails until Arm.
func NewFault(inner FS) *Fault { return &Fault{inner: inner} }

// Unwrap gives the file system below.
func (f *Fault) Unwrap() FS { return f.inner }

// Arm makes calls fail from now on, instead of those that were to fail before.
func (f *Fault) Arm(fail Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.calls, f.fired = &fail, 0, 0
}

// Disarm ends the failing. It tells how many calls failed since Arm.
func (f *Fault) Disarm() (fired int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = nil
	return f.fired
}

// fate says whether a call fails, and whether it is done.
func (f *Fault) fate(op Op, name string) (done bool, err error) {
	if f.OnCall != nil {
		f.OnCall(op, name)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fail := f.fail
	if fail == nil || len(fail.Ops) > 0 && !slices.Contains(fail.Ops, op) {
		return true, nil
	}
	f.calls++
	if f.calls < fail.At || fail.Times >= 0 && f.calls >= fail.At+max(1, fail.Times) {
		return true, nil
	}
	f.fired++
	return fail.Done, fail.Err
}

// call makes one call under its fate.
func call[T any](f *Fault, op Op, name string, do func() (T, error)) (T, error) {
	done, failed := f.fate(op, name)
	var v T
	if done {
		var err error
		if v, err = do(); err != nil {
			return v, err
		}
	}
	return v, failed
}

func (f *Fault) call(op Op, name string, do func() error) error {
	_, err := call(f, op, name, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// Create implements FS.
func (f *Fault) Create(name string) (File, error) {
	return f.file(name, func() (File, error) {
		return call(f, OpCreate, name, func() (File, error) { return f.inner.Create(name) })
	})
}

// Open implements FS.
func (f *Fault) Open(name string) (File, error) {
	return f.file(name, func() (File, error) {
		return call(f, OpOpen, name, func() (File, error) { return f.inner.Open(name) })
	})
}

func (f *Fault) file(name string, open func() (File, error)) (File, error) {
	file, err := open()
	if err != nil {
		if file != nil {
			file.Close() // made, but the caller will never know
		}
		return nil, err
	}
	return &faultFile{f, file, name}, nil
}

// Stat implements FS.
func (f *Fault) Stat(name string) (Info, error) {
	return call(f, OpStat, name, func() (Info, error) { return f.inner.Stat(name) })
}

// List implements FS.
func (f *Fault) List(name string) ([]Info, error) {
	return call(f, OpList, name, func() ([]Info, error) { return f.inner.List(name) })
}

// Mkdir implements FS.
func (f *Fault) Mkdir(name string) error {
	return f.call(OpMkdir, name, func() error { return f.inner.Mkdir(name) })
}

// Link implements FS.
func (f *Fault) Link(old, name string) error {
	return f.call(OpLink, name, func() error { return f.inner.Link(old, name) })
}

// Remove implements FS.
func (f *Fault) Remove(name string) error {
	return f.call(OpRemove, name, func() error { return f.inner.Remove(name) })
}

// Rmdir implements FS.
func (f *Fault) Rmdir(name string) error {
	return f.call(OpRmdir, name, func() error { return f.inner.Rmdir(name) })
}

// SyncDir implements FS.
func (f *Fault) SyncDir(name string) error {
	tried := false
	err := f.call(OpSyncDir, name, func() error { tried = true; return f.inner.SyncDir(name) })
	if m, ok := f.inner.(interface{ syncDirFailed(name string) }); ok && err != nil && !tried {
		m.syncDirFailed(name)
	}
	return err
}

// Lock implements Locker if the FS below does; else every lock is free.
func (f *Fault) Lock(name string, shared bool) (io.Closer, error) {
	if l, ok := f.inner.(Locker); ok {
		return l.Lock(name, shared)
	}
	return io.NopCloser(nil), nil
}

type faultFile struct {
	f     *Fault
	inner File
	name  string
}

func (f *faultFile) Write(p []byte) (int, error) {
	return call(f.f, OpWrite, f.name, func() (int, error) { return f.inner.Write(p) })
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	return call(f.f, OpRead, f.name, func() (int, error) { return f.inner.ReadAt(p, off) })
}

func (f *faultFile) Sync() error {
	tried := false
	err := f.f.call(OpSync, f.name, func() error { tried = true; return f.inner.Sync() })
	if m, ok := f.inner.(interface{ syncFailed() }); ok && err != nil && !tried {
		m.syncFailed()
	}
	return err
}

// Close always closes: a descriptor is gone whatever close says.
func (f *faultFile) Close() error {
	_, failed := f.f.fate(OpClose, f.name)
	if err := f.inner.Close(); err != nil {
		return err
	}
	return failed
}

// Allocate implements Allocator.
func (f *faultFile) Allocate(n int64) error {
	a, ok := f.inner.(Allocator)
	if !ok {
		return errors.ErrUnsupported
	}
	return f.f.call(OpAllocate, f.name, func() error { return a.Allocate(n) })
}
