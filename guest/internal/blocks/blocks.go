// Package blocks reads the structures of a file system: small pieces of a
// disk, many of them again and again, all of them counted.
package blocks

import (
	"errors"
	"io"
	"sync"

	"kuva/disk"
	"kuva/guest/budget"
)

// cacheBytes is how much of structures a Reader keeps.
const cacheBytes = 4 << 20

// Reader reads pieces of a disk and keeps those that were read lately. It is
// safe for concurrent use.
type Reader struct {
	format string // for errors
	d      disk.Disk
	b      *budget.Budget

	mu       sync.Mutex
	young    map[key][]byte
	old      map[key][]byte // the generation before
	youngLen int
}

type key struct {
	off int64
	n   int
}

// New makes a Reader; format names the file system in errors. b may be nil.
func New(format string, d disk.Disk, b *budget.Budget) *Reader {
	return &Reader{format: format, d: d, b: b, young: map[key][]byte{}}
}

// Budget is what the reader counts in.
func (r *Reader) Budget() *budget.Budget { return r.b }

// Disk is where it reads.
func (r *Reader) Disk() disk.Disk { return r.d }

// Size is the disk's.
func (r *Reader) Size() int64 { return r.d.Size() }

// Get gives the n bytes at off. They are shared and must not be changed. What
// lies outside the disk is a *disk.Malformed.
func (r *Reader) Get(off int64, n int) ([]byte, error) {
	if err := r.b.Step(1); err != nil {
		return nil, err
	}
	k := key{off, n}
	r.mu.Lock()
	p, ok := r.young[k]
	if !ok {
		if p, ok = r.old[k]; ok {
			r.keep(k, p)
		}
	}
	r.mu.Unlock()
	if ok {
		return p, nil
	}
	p = make([]byte, n)
	if err := r.ReadFull(p, off); err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.keep(k, p)
	r.mu.Unlock()
	return p, nil
}

// keep puts a piece into the young generation, which becomes the old one when
// it is full. The caller holds mu.
func (r *Reader) keep(k key, p []byte) {
	if r.youngLen+len(p) > cacheBytes/2 {
		r.old, r.young, r.youngLen = r.young, map[key][]byte{}, 0
	}
	if _, ok := r.young[k]; !ok {
		r.young[k] = p
		r.youngLen += len(p)
	}
}

// ReadFull fills p from off, past the cache.
func (r *Reader) ReadFull(p []byte, off int64) error {
	if off < 0 || off > r.d.Size() || int64(len(p)) > r.d.Size()-off {
		return disk.Malform(r.format, "%d bytes at %d lie outside the volume of %d", len(p), off, r.d.Size())
	}
	err := r.b.ReadFull(r.d, p, off)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return disk.Malform(r.format, "%d bytes at %d are missing", len(p), off)
	}
	return err
}
