package blob

import (
	"fmt"
	"strings"
)

// maxKey is the most bytes that a key may have.
const maxKey = 200

// CheckKey says, with ErrKey, what is wrong with a key. No key may also be a folder
// of another ("a" beside "a/b"); that, only a store can see.
func CheckKey(key string) error {
	if len(key) == 0 || len(key) > maxKey {
		return fmt.Errorf("%w: %d bytes long, 1 to %d are allowed", ErrKey, len(key), maxKey)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("%w: %q has the part %q", ErrKey, key, part)
		}
	}
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '/':
		default:
			return fmt.Errorf("%w: %q has the byte %q", ErrKey, key, c)
		}
	}
	return nil
}

// CheckPrefix says, with ErrKey, what is wrong with a prefix for List: it is empty,
// or a key and a slash.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	folder, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("%w: prefix %q does not end in a slash", ErrKey, prefix)
	}
	return CheckKey(folder)
}
