package blob_test

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"testing"

	"kuva/internal/blob"
	"kuva/internal/blob/dir"
	"kuva/internal/blob/mem"
)

// The stores that have a reserve.
var (
	_ blob.ReserveReleaser = (*dir.Store)(nil)
	_ blob.ReserveRefiller = (*dir.Store)(nil)
	_ blob.ReserveReleaser = (*mem.Store)(nil)
	_ blob.ReserveRefiller = (*mem.Store)(nil)
)

// FuzzCheckKey holds that a key that passes is a path that stays below its root and
// has one spelling, and that whoever makes a prefix of it gets one that passes.
func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"a", "pack/r/1/0a", "..", "a/../b", "a//b", "/a", "a/", "A", "a\x00", strings.Repeat("k", 201)} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		err := blob.CheckKey(key)
		if err != nil {
			if !errors.Is(err, blob.ErrKey) {
				t.Fatal(err)
			}
			return
		}
		if !fs.ValidPath(key) || key == "." || path.Clean(key) != key || strings.ToLower(key) != key || len(key) > 200 {
			t.Fatalf("%q passes", key)
		}
		if err := blob.CheckPrefix(key + "/"); err != nil {
			t.Fatal(err)
		}
		if blob.CheckPrefix(key) == nil {
			t.Fatalf("%q passes as a prefix", key)
		}
	})
}
