package regf

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// name decodes the name of a key or value: Latin-1 if compressed, otherwise
// UTF-16.
func name(b []byte, compressed bool) string {
	if !compressed {
		return utf16le(b)
	}
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// utf16le decodes text; an odd byte at the end is left out.
func utf16le(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = le16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

func untilNUL(s string) string {
	before, _, _ := strings.Cut(s, "\x00")
	return before
}

// same compares names as Windows does: unit by unit, in upper case.
func same(a, b string) bool {
	if len(a) == len(b) && a == b {
		return true
	}
	return upper(a) == upper(b)
}

func upper(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff {
			return r
		}
		return unicode.ToUpper(r)
	}, s)
}

// hash is what "lh" lists hold for a name.
func hash(s string) uint32 {
	var h uint32
	for _, u := range utf16.Encode([]rune(upper(s))) {
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
