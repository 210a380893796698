package imagev2

import (
	"slices"
	"strings"
	"testing"

	"kuva"
)

func TestDecodePointer(t *testing.T) {
	good := map[string][]string{
		"/name":           {"name"},
		"/a~1b":           {"a/b"},
		"/a~0b":           {"a~b"},
		"/a~01":           {"a~1"}, // not a slash: one pass
		"/~1":             {"/"},
		"/ name ":         {"name"},
		"/locations/-":    {"locations", "-"},
		"/locations/0":    {"locations", "0"},
		"/a/b/c/d":        {"a", "b", "c/d"}, // as deep as is needed to refuse it
		"/os.path with ä": {"os.path with ä"},
	}
	for pointer, want := range good {
		got, err := decodePointer(pointer)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v; want %q", pointer, got, err, want)
		}
	}
	bad := []string{"", "name", "/", "//", "/a/", "/a//b", "//a", "/ /a", "/a/ ", "/  ", "/a~", "/a~2", "/~", "/~~", "/a/b~", " /a"}
	for _, pointer := range bad {
		if got, err := decodePointer(pointer); kuva.CodeOf(err) != kuva.CodeInvalid {
			t.Errorf("%q: got %q, %v; want a refusal", pointer, got, err)
		}
	}
}

func FuzzPointer(f *testing.F) {
	for _, s := range []string{"/name", "/a~1b/~0", "/locations/-", "", "/~01", "/\xff", "/a/ /b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, pointer string) {
		parts, err := decodePointer(pointer)
		if err != nil {
			return
		}
		if len(parts) == 0 || len(parts) > 3 || slices.Contains(parts, "") || !strings.HasPrefix(pointer, "/") {
			t.Fatalf("%q became %q", pointer, parts)
		}
		if len(parts) == 3 {
			return
		}
		// What was taken apart can be put together and means the same.
		again := ""
		for _, part := range parts {
			again += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(part)
		}
		if back, err := decodePointer(again); err != nil || !slices.Equal(back, parts) {
			t.Fatalf("%q became %q, then %q, %v", pointer, parts, back, err)
		}
	})
}

func TestClip(t *testing.T) {
	long := clip(strings.Repeat("ä", 100))
	if len(long) > 70 || !strings.HasSuffix(long, "…") || strings.ContainsRune(long, '\uFFFD') {
		t.Errorf("clip gave %q", long)
	}
	if got := clip("\xff"); got != "\uFFFD" {
		t.Errorf("clip gave %q for a byte that is no text", got)
	}
}
