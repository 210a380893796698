package keyfile

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestCheckFindsEveryFlip: each single bit of a key file counts, even those
// that change only the case of a digit, and those of files that the service
// holds in memory already.
func TestCheckFindsEveryFlip(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	name, err := s.Create(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wrap(ctx, name, []byte("x"), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(ctx, name); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range len(good) * 8 {
		bad := append([]byte{}, good...)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if s.Check(ctx, name) == nil {
			t.Errorf("bit %d flipped: not found", bit)
		}
	}
	if err := os.WriteFile(path, good[:rand.IntN(len(good))], 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Check(ctx, name) == nil {
		t.Error("cut short: not found")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if s.Check(ctx, name) == nil {
		t.Error("removed: not found")
	}
}
