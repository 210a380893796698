package identity

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"kuva"
)

// checkNames holds a name and a description to what may be stored: a name has
// visible characters, neither has control characters.
func checkNames(name, description string) error {
	if strings.TrimSpace(name) == "" || len(name) > MaxName || !printable(name, false) {
		return kuva.E(kuva.CodeInvalid, "identity.bad_name", "limit", MaxName)
	}
	if len(description) > MaxDescription || !printable(description, true) {
		return kuva.E(kuva.CodeInvalid, "identity.bad_description", "limit", MaxDescription)
	}
	return nil
}

func printable(s string, lines bool) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && !(lines && (r == '\n' || r == '\r' || r == '\t'))
	}) < 0
}
