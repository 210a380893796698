package identity

import (
	"strconv"
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
	return checkDescription(description)
}

func checkDescription(description string) error {
	if len(description) > MaxDescription || !printable(description, true) {
		return kuva.E(kuva.CodeInvalid, "identity.bad_description", "limit", MaxDescription)
	}
	return nil
}

// checkTags holds tags to Keystone's rules: 80 of them, without "/" and ",",
// which would end them in a path and in a filter.
func checkTags(tags []string) error {
	bad := len(tags) > MaxTags
	for _, t := range tags {
		bad = bad || t == "" || len(t) > MaxName || strings.ContainsAny(t, "/,") || !printable(t, false)
	}
	if bad {
		return kuva.E(kuva.CodeInvalid, "identity.bad_tags", "limit", MaxName, "most", MaxTags)
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

func number(n int) string { return strconv.Itoa(n) }
