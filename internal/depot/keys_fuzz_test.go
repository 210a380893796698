package depot

import (
	"testing"
)

// FuzzBlobKeys: a key that parses is the key of what it was parsed to.
func FuzzBlobKeys(f *testing.F) {
	p := PackRef{Realm: 1, Epoch: 2, ID: 3}
	for _, key := range []string{p.Key(), recipeKey(1, 2, 3), cardKey("a-b", 7), "card//00000000000000000001", "pack/1/2/3", "recipe/x", "card/a/-0000000000000000001", ""} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		n := 0
		if p, ok := parsePackKey(key); ok {
			n++
			if p.Key() != key {
				t.Errorf("%q is not %+v", key, p)
			}
		}
		if realm, object, gen, ok := parseRecipeKey(key); ok {
			n++
			if recipeKey(realm, object, gen) != key {
				t.Errorf("%q is not %d %d %d", key, realm, object, gen)
			}
		}
		if image, version, ok := parseCardKey(key); ok {
			n++
			if cardKey(image, version) != key || version <= 0 || image == "" {
				t.Errorf("%q is not %q %d", key, image, version)
			}
		}
		if n > 1 {
			t.Errorf("%q is of %d kinds", key, n)
		}
	})
}
