// Package dir keeps blobs as files below one folder.
//
//	DIR/blobs/pack/7f…/12/a3…   one file for each blob, its path is its key
//	DIR/tmp/…                   blobs that are being written
//	DIR/reserve                 room that the collector may use when the disk is full
//	DIR/lock                    held while the store is open
//
// A blob is written under a random name in tmp, synced, given its own name by a
// hard link, which never replaces, and its folder synced. So under its own name
// there is always a whole file; what a crash leaves in tmp is removed by the next
// Open. Folders appear with the first blob in them and go with the last.
//
// Three things that look superfluous are not:
//
//   - A folder that exists need not be durable: a process that was killed may
//     have made it and never synced its parent. So each folder's entry is synced
//     once in each process before a blob in it is reported stored.
//   - After a failed sync of a folder a later one may say yes and have saved
//     nothing. So whoever made an entry while a sync failed takes the entry back
//     and fails.
//     What it cannot know is that a sync failed in a process before it: after an
//     I/O error that also kept the entry from being taken back, restart the
//     machine, not only the service.
//   - A blob that is linked but not synced is seen by no reader: what is seen
//     might otherwise be gone after a loss of power.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kuva/internal/blob"
	"kuva/internal/blob/fsys"
)

const (
	blobsDir = "blobs"
	tmpDir   = "tmp"
	lockName = "lock"
)

// Config says where and how the blobs are kept. Only Dir, or FS, is needed.
type Config struct {
	// Dir is the folder, made if it is not there.
	Dir string
	// FS is used instead of Dir if it is not nil. It stays open.
	FS fsys.FS
	// OpenFiles is how many files are kept open for reading: 0 means 128.
	OpenFiles int
	// Reserve is how many bytes are held back for the collector: 0 means
	// 64 MiB, below 0 none.
	Reserve int64
	// Shared lets several processes that all say so use the folder at once.
	// Folders then stay when they are empty.
	Shared bool
	// ReadOnly opens a folder that another process may be using. Create, Delete
	// and the reserve's methods fail with ErrReadOnly, and nothing is locked.
	ReadOnly bool
}

// ErrReadOnly means that the store was opened for reading.
var ErrReadOnly = errors.New("store is open for reading only")

// Store is a blob.Store in a folder. Two parts of the contract are better than it
// must be: List does not lag, and a Delete is late only across a loss of power,
// since it is not synced: a blob may then be back. Reads that run beside a
// Delete may still succeed.
type Store struct {
	fs      fsys.FS
	cfg     Config
	lock    io.Closer // nil without one
	root    io.Closer // nil if the caller brought the FS
	closed  atomic.Bool
	files   *cache
	folders folders
	commits commits
	reserve sync.Mutex // one at a time fills or frees it
}

// Open opens the store and makes it ready: it takes the lock (fsys.ErrLocked if it
// is in use), removes what a crash left behind and fills the reserve as far as
// there is room.
func Open(cfg Config) (*Store, error) {
	if cfg.OpenFiles <= 0 {
		cfg.OpenFiles = 128
	}
	if cfg.Reserve == 0 {
		cfg.Reserve = 64 << 20
	}
	s := &Store{fs: cfg.FS, cfg: cfg}
	if s.fs == nil {
		o, err := fsys.OpenOS(cfg.Dir)
		if err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
		s.fs, s.root = o, o
	}
	s.files = newCache(s.fs, cfg.OpenFiles)
	s.folders.fs = s.fs
	s.folders.keep = cfg.Shared
	if err := s.prepare(); err != nil {
		s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

func (s *Store) prepare() error {
	if s.cfg.ReadOnly {
		_, err := s.fs.Stat(blobsDir)
		return err
	}
	alone, err := s.takeLock()
	if err != nil {
		return err
	}
	if err := s.fs.Mkdir(tmpDir); err != nil && !errors.Is(err, fs.ErrExist) {
		return full(err)
	}
	_, err = s.folders.hold(blobsDir)
	s.folders.release(blobsDir)
	if err != nil {
		return full(err)
	}
	if alone {
		if err := s.clean(); err != nil {
			return err
		}
	}
	if err := s.RefillReserve(); err != nil && !errors.Is(err, blob.ErrFull) {
		return err
	}
	if alone && s.cfg.Shared && s.lock != nil {
		s.lock.Close()
		s.lock, err = s.share()
	}
	return err
}

// takeLock tells whether no other process uses the folder now.
func (s *Store) takeLock() (alone bool, err error) {
	l, ok := s.fs.(fsys.Locker)
	if !ok {
		return true, nil
	}
	s.lock, err = l.Lock(lockName, false)
	if errors.Is(err, fsys.ErrLocked) && s.cfg.Shared {
		s.lock, err = s.share()
		return false, err
	}
	return err == nil, err
}

// share takes the lock as one of many. Another one may have it alone for the moment
// that it takes to clean up.
func (s *Store) share() (io.Closer, error) {
	for wait := time.Millisecond; ; wait *= 2 {
		l, err := s.fs.(fsys.Locker).Lock(lockName, true)
		if !errors.Is(err, fsys.ErrLocked) || wait > time.Second {
			return l, err
		}
		time.Sleep(wait)
	}
}

// clean removes what a crash left in tmp.
func (s *Store) clean() error {
	left, err := s.fs.List(tmpDir)
	if err != nil {
		return err
	}
	for _, fi := range left {
		if err := s.fs.Remove(path.Join(tmpDir, fi.Name)); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the use of the store. Calls that are running may fail; blobs that are
// not committed are gone.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.files.close()
	var err error
	for _, c := range []io.Closer{s.lock, s.root} {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	return err
}

// ready says why a call cannot even begin.
func (s *Store) ready(ctx context.Context, writing bool) error {
	if s.closed.Load() {
		return fs.ErrClosed
	}
	if writing && s.cfg.ReadOnly {
		return ErrReadOnly
	}
	return ctx.Err()
}

// ReadAt implements blob.Store.
func (s *Store) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	if err := s.ready(ctx, false); err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	if err := blob.CheckKey(key); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, fmt.Errorf("read %s: offset %d", key, off)
	}
	f, err := s.files.get(key)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", key, absent(err))
	}
	defer s.files.put(f)
	if s.commits.hidden(key) {
		return 0, fmt.Errorf("read %s: %w", key, blob.ErrNotFound)
	}
	n, err := f.ReadAt(p, off)
	if err == io.EOF || err == nil {
		return n, err
	}
	if errors.Is(err, syscall.EISDIR) {
		err = blob.ErrNotFound // a folder on the way to blobs
	}
	return n, fmt.Errorf("read %s: %w", key, err)
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := s.ready(ctx, false); err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, err)
	}
	if err := blob.CheckKey(key); err != nil {
		return blob.Info{}, err
	}
	fi, err := s.fs.Stat(pathOf(key))
	if err == nil && (fi.Kind != fsys.Regular || s.commits.hidden(key)) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return blob.Info{}, fmt.Errorf("stat %s: %w", key, absent(err))
	}
	return blob.Info{Key: key, Size: fi.Size}, nil
}

// Delete implements blob.Store. It does not wait for the disk.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.ready(ctx, true); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	if err := blob.CheckKey(key); err != nil {
		return err
	}
	name := pathOf(key)
	err := s.fs.Remove(name)
	s.files.forget(key)
	switch {
	case err == nil:
		s.folders.prune(path.Dir(name))
	case errors.Is(err, syscall.EISDIR) || errors.Is(absent(err), blob.ErrNotFound):
		// There is no such blob.
	default:
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func pathOf(key string) string { return blobsDir + "/" + key }

// absent turns what the system says of a missing file into the store's word.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return blob.ErrNotFound
	}
	return err
}

// full adds the store's word to what the system says of a full disk.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", blob.ErrFull, err)
	}
	return err
}
