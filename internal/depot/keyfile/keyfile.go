// Package keyfile is the local key service: a folder with one wrapping key a
// file, mode 0600. Whoever loses the folder loses every byte of the store, and
// whoever has it and the store can read all: keep a copy of it, apart from the
// copies of the store.
package keyfile

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"kuva/internal/depot"
)

// Service is a depot.KeyService over a folder.
type Service struct {
	dir string
	mu  sync.Mutex
	got map[string]cipher.AEAD
}

// Open opens the folder, made with mode 0700 where it is not there.
func Open(dir string) (*Service, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	return &Service{dir: dir, got: map[string]cipher.AEAD{}}, nil
}

// A key file is one line: "kuva-key-1 <key, 64 hex> <check, 16 hex>". The check
// (the first 8 bytes of the SHA-256 of name and key) tells damage from a
// wrong key.
const magic = "kuva-key-1"

func check(name string, key []byte) string {
	sum := sha256.Sum256(append([]byte(name+" "), key...))
	return hex.EncodeToString(sum[:8])
}

// Create implements depot.KeyService.
func (s *Service) Create(context.Context) (string, error) {
	b := make([]byte, 16+32)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	name, key := hex.EncodeToString(b[:16]), b[16:]
	f, err := os.OpenFile(filepath.Join(s.dir, "."+name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%s %x %s\n", magic, key, check(name, key)); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	if err := os.Rename(f.Name(), filepath.Join(s.dir, name)); err != nil {
		return "", err
	}
	return name, syncDir(s.dir)
}

// Wrap implements depot.KeyService with AES-256-GCM.
func (s *Service) Wrap(_ context.Context, name string, plain, ad []byte) ([]byte, error) {
	aead, err := s.key(name)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, ad), nil
}

// Unwrap implements depot.KeyService.
func (s *Service) Unwrap(_ context.Context, name string, wrapped, ad []byte) ([]byte, error) {
	aead, err := s.key(name)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, wrapped, ad)
	if err != nil {
		return nil, fmt.Errorf("wrapped key under %s: %w", name, depot.ErrDamaged)
	}
	return plain, nil
}

// Destroy implements depot.KeyService: the file is overwritten, then removed.
// What the disk below keeps of it is beyond reach.
func (s *Service) Destroy(_ context.Context, name string) error {
	if !valid(name) {
		return depot.ErrKeyGone
	}
	s.mu.Lock()
	delete(s.got, name)
	s.mu.Unlock()
	path := filepath.Join(s.dir, name)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 128)); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(s.dir)
}

// Check implements depot.KeyChecker: it reads the file anew and wants it byte
// for byte as Create wrote it.
func (s *Service) Check(_ context.Context, name string) error {
	if !valid(name) {
		return depot.ErrKeyGone
	}
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s", depot.ErrKeyGone, name)
	}
	if err != nil {
		return err
	}
	if f := strings.Fields(string(b)); len(f) == 3 {
		key, err := hex.DecodeString(f[1])
		if err == nil && len(key) == 32 && string(b) == fmt.Sprintf("%s %x %s\n", magic, key, check(name, key)) {
			return nil
		}
	}
	return fmt.Errorf("key file %s: %w", name, depot.ErrDamaged)
}

func (s *Service) key(name string) (cipher.AEAD, error) {
	if !valid(name) {
		return nil, depot.ErrKeyGone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.got[name]; k != nil {
		return k, nil
	}
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", depot.ErrKeyGone, name)
	}
	if err != nil {
		return nil, err
	}
	f := strings.Fields(string(b))
	if len(f) != 3 || f[0] != magic {
		return nil, fmt.Errorf("key file %s: %w", name, depot.ErrDamaged)
	}
	key, err := hex.DecodeString(f[1])
	if err != nil || len(key) != 32 || subtle.ConstantTimeCompare([]byte(check(name, key)), []byte(f[2])) != 1 {
		return nil, fmt.Errorf("key file %s: %w", name, depot.ErrDamaged)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	s.got[name] = aead
	return aead, nil
}

// valid keeps names inside the folder: they come back from the ledger and the
// store.
func valid(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == 32
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
