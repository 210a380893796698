package regf

import (
	"strconv"
	"unicode/utf16"

	"kuva/guest/internal/names"
)

// name decodes the name of a key or value: Latin-1 if compressed, otherwise
// UTF-16.
func name(b []byte, compressed bool) string {
	if compressed {
		return names.Latin1(b)
	}
	return names.LE(b)
}

// same compares names as Windows does.
func same(a, b string) bool { return a == b || names.Upper(a) == names.Upper(b) }

// hash is what "lh" lists hold for a name.
func hash(s string) uint32 {
	var h uint32
	for _, u := range utf16.Encode([]rune(names.Upper(s))) {
		h = h*37 + uint32(u)
	}
	return h
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
