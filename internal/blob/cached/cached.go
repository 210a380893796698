// Package cached is a blob.Store before another, far one, that keeps what was
// read of it last in a file on the local disk. Blobs never change, so what is
// kept is never wrong; it may be of a blob that another node has deleted since,
// which package blob allows for a while and the depot never asks for.
//
// The file has no name and is as long as the cache may be, in blocks of 1 MiB;
// what lies where is known to memory alone, so a start begins with nothing and
// no crash leaves anything. Every 64 KiB have a checksum: a local disk that
// turns bits costs another request, and no alarm. What the disk does not take is
// handed out all the same.
package cached

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/singleflight"

	"kuva/internal/blob"
)

const (
	block = 1 << 20
	piece = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Config says what is cached, and where.
type Config struct {
	Store blob.Store
	// Dir is the folder of the file, which must be there.
	Dir string
	// Size is the most that the file may have, in bytes.
	Size int64
	// Prefix begins the keys of what is cached: "pack/" for packs alone.
	Prefix string
	Log    *slog.Logger // nil drops it
}

// Store is a blob.Store with a cache.
type Store struct {
	blob.Store
	cfg    Config
	file   *os.File
	flight singleflight.Group
	full   sync.Once // the disk took something no more, once

	mu      sync.Mutex
	index   map[place]*list.Element // of *kept
	recent  list.List               // the last used in front
	free    []int64                 // blocks of the file
	deletes uint64

	hits, misses atomic.Int64
}

// place is one block of one blob.
type place struct {
	key string
	n   int64
}

// kept is a block in the file.
type kept struct {
	place
	at   int64 // block of the file
	size int
	sums [block / piece]uint32
	uses int // readers now
}

// Open makes a cache before cfg.Store. Close closes both.
func Open(cfg Config) (*Store, error) {
	f, err := os.CreateTemp(cfg.Dir, ".cache-*")
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("cache: %w", err), f.Close())
	}
	s := &Store{Store: cfg.Store, cfg: cfg, file: f, index: map[place]*list.Element{}}
	for at := cfg.Size/block - 1; at >= 0; at-- {
		s.free = append(s.free, at)
	}
	return s, nil
}

// Unwrap gives the store behind the cache.
func (s *Store) Unwrap() blob.Store { return s.Store }

// Close gives the room back and closes the store behind.
func (s *Store) Close() error {
	err := s.file.Close()
	if c, ok := s.Store.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	return err
}

// Uses counts the blocks that came from the disk and those that had to be
// fetched.
func (s *Store) Uses() (hits, misses int64) { return s.hits.Load(), s.misses.Load() }

// ReadAt implements blob.Store.
func (s *Store) ReadAt(ctx context.Context, key string, p []byte, off int64) (n int, err error) {
	if len(p) == 0 || off < 0 || !strings.HasPrefix(key, s.cfg.Prefix) {
		return s.Store.ReadAt(ctx, key, p, off)
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("read %s: %w", key, err)
	}
	for n < len(p) {
		at := off + int64(n)
		want := p[n:min(len(p), n+block-int(at%block))]
		got, err := s.read(ctx, place{key, at / block}, want, int(at%block))
		if err != nil {
			return 0, err
		}
		if n += got; got < len(want) {
			return n, io.EOF
		}
	}
	return n, nil
}

// read fills p from a block's byte on; less than that is up to the blob's end.
func (s *Store) read(ctx context.Context, at place, p []byte, from int) (int, error) {
	if n, ok := s.recall(at, p, from); ok {
		s.hits.Add(1)
		return n, nil
	}
	// Several want it, and one of them may go: so nobody's context.
	fetched := s.flight.DoChan(fmt.Sprint(at.n, " ", at.key), func() (any, error) {
		b := make([]byte, block)
		if n, ok := s.recall(at, b, 0); ok { // another one has just fetched it
			return b[:n], nil
		}
		s.misses.Add(1)
		s.mu.Lock()
		deletes := s.deletes
		s.mu.Unlock()
		n, err := s.Store.ReadAt(context.WithoutCancel(ctx), at.key, b, at.n*block)
		if err != nil && (!errors.Is(err, io.EOF) || errors.Is(err, blob.ErrNotFound)) {
			return nil, err
		}
		if n > 0 {
			s.keep(at, b[:n], deletes)
		}
		return b[:n], nil
	})
	select {
	case r := <-fetched:
		if r.Err != nil {
			return 0, r.Err
		}
		b := r.Val.([]byte)
		return copy(p, b[min(from, len(b)):]), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("read %s: %w", at.key, ctx.Err())
	}
}

// recall reads a block from the file.
func (s *Store) recall(at place, p []byte, from int) (n int, ok bool) {
	s.mu.Lock()
	e := s.index[at]
	if e == nil {
		s.mu.Unlock()
		return 0, false
	}
	k := e.Value.(*kept)
	k.uses++
	s.recent.MoveToFront(e)
	s.mu.Unlock()
	n, ok = s.pieces(k, p, from)
	s.mu.Lock()
	k.uses--
	if e = s.index[at]; !ok && e != nil && e.Value.(*kept) == k {
		s.drop(e)
	} else if k.uses == 0 && (e == nil || e.Value.(*kept) != k) {
		s.free = append(s.free, k.at) // it was dropped meanwhile
	}
	s.mu.Unlock()
	return n, ok
}

// pieces reads and checks the pieces that p lies in.
func (s *Store) pieces(k *kept, p []byte, from int) (n int, ok bool) {
	to := min(from+len(p), k.size)
	if from >= to {
		return 0, true
	}
	first := from / piece * piece
	b := make([]byte, min((to+piece-1)/piece*piece, k.size)-first)
	if _, err := s.file.ReadAt(b, k.at*block+int64(first)); err != nil {
		return 0, false
	}
	for i := 0; i < len(b); i += piece {
		if crc32.Checksum(b[i:min(i+piece, len(b))], castagnoli) != k.sums[(first+i)/piece] {
			return 0, false
		}
	}
	return copy(p, b[from-first:to-first]), true
}

// keep writes a block into the file, in the place of the one that was not used
// for longest.
func (s *Store) keep(at place, b []byte, deletes uint64) {
	s.mu.Lock()
	if len(s.free) == 0 {
		for e := s.recent.Back(); e != nil; e = e.Prev() {
			if e.Value.(*kept).uses == 0 {
				s.drop(e)
				break
			}
		}
	}
	if len(s.free) == 0 { // all are being read
		s.mu.Unlock()
		return
	}
	k := &kept{place: at, at: s.free[len(s.free)-1], size: len(b)}
	s.free = s.free[:len(s.free)-1]
	s.mu.Unlock()
	for i := 0; i < len(b); i += piece {
		k.sums[i/piece] = crc32.Checksum(b[i:min(i+piece, len(b))], castagnoli)
	}
	_, err := s.file.WriteAt(b, k.at*block)
	if err != nil && s.cfg.Log != nil {
		s.full.Do(func() { s.cfg.Log.Warn("the cache's disk takes nothing more", "error", err) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// If something was deleted meanwhile it may have been this.
	if err != nil || s.deletes != deletes || s.index[at] != nil {
		s.free = append(s.free, k.at)
		return
	}
	s.index[at] = s.recent.PushFront(k)
}

// drop forgets a block; its room is free as soon as nobody reads it. The lock
// is held.
func (s *Store) drop(e *list.Element) {
	k := e.Value.(*kept)
	s.recent.Remove(e)
	delete(s.index, k.place)
	if k.uses == 0 {
		s.free = append(s.free, k.at)
	}
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := s.Store.Delete(ctx, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deletes++
	for e := s.recent.Front(); e != nil; {
		next := e.Next()
		if e.Value.(*kept).key == key {
			s.drop(e)
		}
		e = next
	}
	return err
}
