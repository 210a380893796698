package imagev2

import (
	"strings"

	"kuva"
)

// decodePointer takes a JSON pointer apart as the reference does: it begins
// with "/", has no empty part and no escapes but ~0 and ~1. White space around
// a part is dropped. It returns at least one part and no empty one.
func decodePointer(pointer string) ([]string, error) {
	rest, ok := strings.CutPrefix(pointer, "/")
	if !ok {
		return nil, badPointer(pointer)
	}
	// No path of an image is deeper than two parts; a third one is kept only
	// to be refused.
	parts := strings.SplitN(rest, "/", 3)
	for i, part := range parts {
		name, err := unescape(part)
		if err != nil {
			return nil, badPointer(pointer)
		}
		if name == "" {
			return nil, badPointer(pointer)
		}
		parts[i] = name
	}
	return parts, nil
}

func badPointer(pointer string) error {
	return kuva.E(kuva.CodeInvalid, "imagev2.pointer", "pointer", clip(pointer))
}

// unescape replaces ~1 and ~0 in one pass, so that "~01" is "~1", not "/".
func unescape(part string) (string, error) {
	if !strings.Contains(part, "~") {
		return strings.TrimSpace(part), nil
	}
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		if part[i] != '~' {
			b.WriteByte(part[i])
			continue
		}
		i++
		switch {
		case i < len(part) && part[i] == '0':
			b.WriteByte('~')
		case i < len(part) && part[i] == '1':
			b.WriteByte('/')
		default:
			return "", badPointer(part)
		}
	}
	return strings.TrimSpace(b.String()), nil
}

// clip shortens what a caller sent to a length that fits into a sentence.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
