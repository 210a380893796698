// Package names is about names in formats of Microsoft and of CDs: UTF-16,
// letters without case, characters that no path can hold.
package names

import (
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf16"
)

// LE decodes UTF-16LE; an odd byte at the end is left out.
func LE(b []byte) string { return decode(b, binary.LittleEndian) }

// BE decodes UTF-16BE; an odd byte at the end is left out.
func BE(b []byte) string { return decode(b, binary.BigEndian) }

func decode(b []byte, order binary.ByteOrder) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(u))
}

// Latin1 decodes bytes that are the first 256 characters of Unicode.
func Latin1(b []byte) string {
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// UntilNUL cuts a text at its first NUL.
func UntilNUL(s string) string {
	before, _, _ := strings.Cut(s, "\x00")
	return before
}

// Upper gives the upper-case form by which Windows compares names: character by
// character, none becomes two.
func Upper(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff {
			return r
		}
		return unicode.ToUpper(r)
	}, s)
}

// Element makes a name fit for a path: a slash or NUL, which only hostile disks
// hold, becomes U+FFFD. ok is false for what cannot be a name: nothing, "." and
// "..".
func Element(name string) (_ string, ok bool) {
	if strings.ContainsAny(name, "/\x00") {
		name = strings.NewReplacer("/", "\ufffd", "\x00", "\ufffd").Replace(name)
	}
	return name, name != "" && name != "." && name != ".."
}
