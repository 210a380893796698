package dir_test

import (
	"context"
	"testing"

	"kuva/internal/blob"
	"kuva/internal/blob/dir"
)

// TestPrefetchIsOnlyAdvice: it never fails, whatever it is told, and changes
// nothing of what is read.
func TestPrefetchIsOnlyAdvice(t *testing.T) {
	s, err := dir.Open(dir.Config{Dir: t.TempDir(), Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := context.Background()
	if err := blob.Put(ctx, s, "pack/a", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"pack/a", "pack/b", "pack", "../x", ""} {
		for _, off := range []int64{0, 3, 1 << 50, -1} {
			s.Prefetch(key, off, 4<<20)
		}
	}
	if got, err := blob.Get(ctx, s, "pack/a", 100); err != nil || string(got) != "hello" {
		t.Fatalf("%q %v", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Prefetch("pack/a", 0, 5)
}
