package rest

import (
	"net/http"
	"testing"

	"kuva"
)

func TestParseSpan(t *testing.T) {
	tests := []struct {
		header string // Range, or with a leading "C:" Content-Range
		size   int64
		want   Span
		code   kuva.Code
	}{
		{"", 10, Span{0, 10, false}, ""},
		{"", 0, Span{0, 0, false}, ""},
		{"bytes=0-4", 10, Span{0, 5, true}, ""},
		{"bytes=0-0", 10, Span{0, 1, true}, ""},
		{"bytes=9-9", 10, Span{9, 1, true}, ""},
		{"bytes=4-", 10, Span{4, 6, true}, ""},
		{"bytes=4-99", 10, Span{4, 6, true}, ""},
		{"bytes=0-99999999999999999999999", 10, Span{0, 10, true}, ""},
		{"bytes=-3", 10, Span{7, 3, true}, ""},
		{"bytes=-10", 10, Span{0, 10, true}, ""},
		{"bytes=-99", 10, Span{0, 10, true}, ""},
		{"Bytes = 1 - 2", 10, Span{1, 2, true}, ""},
		{"bytes=10-", 10, Span{}, kuva.CodeRange},
		{"bytes=99999999999999999999999-", 10, Span{}, kuva.CodeRange},
		{"bytes=5-4", 10, Span{}, kuva.CodeRange},
		{"bytes=-0", 10, Span{}, kuva.CodeRange},
		{"bytes=-", 10, Span{}, kuva.CodeRange},
		{"bytes=", 10, Span{}, kuva.CodeRange},
		{"bytes", 10, Span{}, kuva.CodeRange},
		{"bytes=a-b", 10, Span{}, kuva.CodeRange},
		{"bytes=1-2x", 10, Span{}, kuva.CodeRange},
		{"bytes=+1-2", 10, Span{}, kuva.CodeRange},
		{"bytes=1--2", 10, Span{}, kuva.CodeRange},
		{"lines=1-2", 10, Span{}, kuva.CodeRange},
		{"1-2", 10, Span{}, kuva.CodeRange},
		{"bytes=0-", 0, Span{}, kuva.CodeRange},
		{"bytes=-1", 0, Span{}, kuva.CodeRange},
		{"bytes=0-1,3-4", 10, Span{}, kuva.CodeInvalid},
		{"bytes=0-1,", 10, Span{}, kuva.CodeInvalid},
		{"C:bytes 0-4/10", 10, Span{0, 5, true}, ""},
		{"C:bytes 0-4/*", 10, Span{0, 5, true}, ""},
		{"C:bytes 9-9/*", 10, Span{9, 1, true}, ""},
		{"C:bytes 0-10/*", 10, Span{}, kuva.CodeRange},
		{"C:bytes 0-4/11", 10, Span{}, kuva.CodeRange},
		{"C:bytes */10", 10, Span{}, kuva.CodeRange},
		{"C:bytes 4-0/10", 10, Span{}, kuva.CodeRange},
		{"C:bytes 0-4", 10, Span{}, kuva.CodeRange},
		{"C:bytes=0-4/10", 10, Span{}, kuva.CodeRange},
		{"C:bytes 0-/10", 10, Span{}, kuva.CodeRange},
	}
	for _, test := range tests {
		h := http.Header{}
		if value, ok := cutPrefix(test.header, "C:"); ok {
			h.Set("Content-Range", value)
		} else if test.header != "" {
			h.Set("Range", test.header)
		}
		got, err := ParseSpan(h, test.size)
		if kuva.CodeOf(err) != test.code || got != test.want {
			t.Errorf("%q of %d: got %+v, %v; want %+v, %q", test.header, test.size, got, err, test.want, test.code)
		}
	}
	two := http.Header{"Range": {"bytes=0-1", "bytes=2-3"}}
	if _, err := ParseSpan(two, 10); kuva.CodeOf(err) != kuva.CodeInvalid {
		t.Errorf("two headers gave %v", err)
	}
	both := http.Header{"Range": {"bytes=0-1"}, "Content-Range": {"bytes 4-5/10"}}
	if s, err := ParseSpan(both, 10); err != nil || s.Off != 0 {
		t.Errorf("Range must win over Content-Range: %+v, %v", s, err)
	}
}

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):], true
	}
	return s, false
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-4", "bytes=-3", "bytes=4-", "bytes=0-1,2-3", "bytes 0-4/10", "bytes 0-4/*", "x"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, value string, size int64) {
		if size < 0 {
			return
		}
		for _, field := range []string{"Range", "Content-Range"} {
			s, err := ParseSpan(http.Header{field: {value}}, size)
			if err != nil {
				if c := kuva.CodeOf(err); c != kuva.CodeRange && c != kuva.CodeInvalid {
					t.Fatalf("%s %q: %v", field, value, err)
				}
				continue
			}
			if s.Off < 0 || s.N < 0 || s.Off > size-s.N || s.Part && s.N == 0 {
				t.Fatalf("%s %q of %d gave %+v", field, value, size, s)
			}
		}
	})
}
