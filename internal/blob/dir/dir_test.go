package dir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"kuva/internal/blob"
	"kuva/internal/blob/blobtest"
	"kuva/internal/blob/fsys"
)

var ctx = context.Background()

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	t.Run("os", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, Config{Dir: t.TempDir()}) })
	})
	t.Run("mem", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, Config{FS: fsys.NewMem()}) })
	})
	t.Run("shared", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, Config{Dir: t.TempDir(), Shared: true}) })
	})
	t.Run("one open file", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Store { return open(t, Config{FS: fsys.NewMem(), OpenFiles: 1}) })
	})
}

func TestFilesLookAsTheDocSays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "too")
	s := open(t, Config{Dir: dir})
	if err := blob.Put(ctx, s, "pack/r/1/x", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "blobs/pack/r/1/x"))
	if err != nil || string(b) != "hello" {
		t.Fatal(b, err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, fi.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("left in tmp: %v", left)
	}
	if fi, err := os.Stat(filepath.Join(dir, "reserve")); err != nil || fi.Size() != 64<<20 {
		t.Errorf("reserve: %v, %v", fi, err)
	}
	if err := s.Delete(ctx, "pack/r/1/x"); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "blobs")); len(left) > 0 {
		t.Errorf("empty folders stay: %v", left)
	}
}

func TestStrangersFilesAreNotBlobs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	blobs := filepath.Join(dir, "blobs")
	for _, err := range []error{
		os.WriteFile(filepath.Join(blobs, "README"), nil, 0o600),
		os.Mkdir(filepath.Join(blobs, "lost+found"), 0o700),
		os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o600),
		os.Symlink(filepath.Join(dir, "secret"), filepath.Join(blobs, "link")),
		os.Symlink(dir, filepath.Join(blobs, "way")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for info, err := range s.List(ctx, "") {
		t.Errorf("listed: %v, %v", info, err)
	}
	for _, key := range []string{"link", "way/secret"} {
		if n, err := s.ReadAt(ctx, key, make([]byte, 1), 0); n > 0 || err == nil {
			t.Errorf("%s was read: %v", key, err)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Config{Dir: dir})
	if err := blob.Put(ctx, s, "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, shared := range []bool{false, true} {
		cfg := Config{Dir: dir, Shared: shared}
		if !shared {
			if _, err := Open(cfg); !errors.Is(err, fsys.ErrLocked) {
				t.Fatalf("second Open: %v", err)
			}
		}
	}
	r := open(t, Config{Dir: dir, ReadOnly: true})
	if _, err := blob.Get(ctx, r, "a", 10); err != nil {
		t.Error(err)
	}
	if err := blob.Put(ctx, r, "b", nil); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if err := r.Delete(ctx, "a"); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stat(ctx, "a"); !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
	one := open(t, Config{Dir: dir, Shared: true})
	two := open(t, Config{Dir: dir, Shared: true})
	w, err := two.Create(ctx, "c")
	if err != nil {
		t.Fatal(err)
	}
	open(t, Config{Dir: dir, Shared: true}) // must not clean up after the living
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := blob.Put(ctx, one, "c", nil); !errors.Is(err, blob.ErrExists) {
		t.Error(err)
	}
	if _, err := Open(Config{Dir: dir}); !errors.Is(err, fsys.ErrLocked) {
		t.Errorf("alone beside shared: %v", err)
	}
}

func TestReadOnlyMakesNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Config{Dir: dir, ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store that is not there: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("made: %v", left)
	}
}
