package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"

	"kuva/internal/blob/fsys"
)

const reserveName = "reserve"

// ReleaseReserve gives the reserve's room to whoever writes next, so that a
// collector can rewrite packs on a full disk. The caller sees to it that it is
// the collector: uploads are to be refused until RefillReserve has succeeded.
func (s *Store) ReleaseReserve() error {
	if s.cfg.ReadOnly {
		return ErrReadOnly
	}
	s.reserve.Lock()
	defer s.reserve.Unlock()
	if err := s.fs.Remove(reserveName); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("release reserve: %w", err)
	}
	// Room that was freed can be had on some file systems (ext4) only after the
	// journal was written. Whether that works is seen by who writes.
	_ = s.fs.SyncDir(".")
	return nil
}

// RefillReserve takes the reserve's room again. blob.ErrFull if there is not
// enough; then nothing is taken. If the reserve is whole it does nothing.
func (s *Store) RefillReserve() error {
	if s.cfg.ReadOnly {
		return ErrReadOnly
	}
	if s.cfg.Reserve < 0 {
		return nil
	}
	s.reserve.Lock()
	defer s.reserve.Unlock()
	fi, err := s.fs.Stat(reserveName)
	if err == nil && fi.Size == s.cfg.Reserve {
		return nil
	}
	if err == nil {
		err = s.fs.Remove(reserveName)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("refill reserve: %w", err)
	}
	f, err := s.fs.Create(reserveName)
	if err != nil {
		return fmt.Errorf("refill reserve: %w", full(err))
	}
	err = fill(f, s.cfg.Reserve)
	if err := errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, s.fs.Remove(reserveName))
		return fmt.Errorf("refill reserve: %w", full(err))
	}
	return nil
}

// fill takes n bytes of room: at once where the system can, else by writing what no
// file system can squeeze.
func fill(f fsys.File, n int64) error {
	if a, ok := f.(fsys.Allocator); ok {
		if err := a.Allocate(n); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	rnd := rand.NewChaCha8([32]byte{})
	b := make([]byte, 1<<20)
	for n > 0 {
		rnd.Read(b)
		k, err := f.Write(b[:min(n, int64(len(b)))])
		if err != nil {
			return err
		}
		n -= int64(k)
	}
	return f.Sync()
}
