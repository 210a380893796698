package dir

import (
	"container/list"
	"io/fs"
	"sync"

	"kuva/internal/blob/fsys"
)

// cache keeps the files open that were read last, so that a random read is one
// system call.
type cache struct {
	fs  fsys.FS
	max int

	mu      sync.Mutex
	m       map[string]*openFile
	recent  *list.List // of *openFile, the last used in front
	deletes uint64     // how many times forget was called
	closed  bool
}

// openFile is closed when it is neither in the cache nor in use.
type openFile struct {
	fsys.File
	key  string
	uses int           // readers now
	at   *list.Element // nil if it is not in the cache
}

func newCache(fsys fsys.FS, max int) *cache {
	return &cache{fs: fsys, max: max, m: map[string]*openFile{}, recent: list.New()}
}

// get opens the blob's file for a reader, who gives it back by put.
func (c *cache) get(key string) (*openFile, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, fs.ErrClosed
	}
	if f := c.m[key]; f != nil {
		f.uses++
		c.recent.MoveToFront(f.at)
		c.mu.Unlock()
		return f, nil
	}
	deletes := c.deletes
	c.mu.Unlock()

	file, err := c.fs.Open(pathOf(key))
	if err != nil {
		return nil, err
	}
	f := &openFile{File: file, key: key, uses: 1}

	c.mu.Lock()
	defer c.mu.Unlock()
	// If something was deleted meanwhile it may have been this: kept open it
	// would hold its room on the disk. Somebody else may have opened it too.
	if c.deletes == deletes && c.m[key] == nil && !c.closed {
		c.m[key] = f
		f.at = c.recent.PushFront(f)
		if c.recent.Len() > c.max {
			c.drop(c.recent.Back().Value.(*openFile))
		}
	}
	return f, nil
}

func (c *cache) put(f *openFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.uses--
	f.closeIfIdle()
}

// forget closes the blob's file as soon as its readers are done.
func (c *cache) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deletes++
	if f := c.m[key]; f != nil {
		c.drop(f)
	}
}

func (c *cache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, f := range c.m {
		c.drop(f)
	}
}

func (c *cache) drop(f *openFile) {
	delete(c.m, f.key)
	c.recent.Remove(f.at)
	f.at = nil
	f.closeIfIdle()
}

func (f *openFile) closeIfIdle() {
	if f.uses == 0 && f.at == nil {
		_ = f.Close() // it was only read
	}
}
