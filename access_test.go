package kuva_test

import (
	"regexp"
	"strings"
	"testing"

	"kuva"
)

func TestAllows(t *testing.T) {
	limited := kuva.Principal{Access: []kuva.AccessRule{
		{Service: "image", Method: "GET", Path: "/v2/images"},
		{Service: "image", Method: "GET", Path: "/v2/images/*"},
		{Service: "image", Method: "PUT", Path: "/v2/images/{image_id}/file"},
		{Service: "image", Method: "DELETE", Path: "/v2/**"},
	}}
	for _, c := range []struct {
		service, method, path string
		want                  bool
	}{
		{"image", "GET", "/v2/images", true},
		{"image", "GET", "/v2/images/", false},
		{"image", "GET", "/v2/images/x", true},
		{"image", "GET", "/v2/images/x/file", false},
		{"image", "PUT", "/v2/images/x/file", true},
		{"image", "PUT", "/v2/images//file", false},
		{"image", "PUT", "/v2/images/a/b/file", false},
		{"image", "DELETE", "/v2/images/a/tags/b", true},
		{"image", "DELETE", "/v3/images", false},
		{"image", "HEAD", "/v2/images", false},
		{"identity", "GET", "/v2/images", false},
	} {
		if got := limited.Allows(c.service, c.method, c.path); got != c.want {
			t.Errorf("%s %s %s: got %v", c.service, c.method, c.path, got)
		}
		if !(kuva.Principal{}).Allows(c.service, c.method, c.path) {
			t.Error("a token without rules was limited")
		}
	}
	if (kuva.Principal{Access: []kuva.AccessRule{}}).Allows("image", "GET", "/") {
		t.Error("no rule allows")
	}
}

// FuzzAllows compares with the regular expression that the reference makes of
// a pattern.
func FuzzAllows(f *testing.F) {
	f.Add("/v2/images/*", "/v2/images/x")
	f.Add("/{a}/**", "/x/y/z")
	f.Add("/***/*", "/a/b")
	f.Add("/{a", "/{a")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if len(pattern) > 64 || len(path) > 256 {
			return
		}
		p := kuva.Principal{Access: []kuva.AccessRule{{Service: "image", Method: "GET", Path: pattern}}}
		got := p.Allows("image", "GET", path)
		if open := strings.LastIndex(pattern, "{"); open > strings.LastIndex(pattern, "}") {
			return // the reference drops the brace; here it matches nothing
		}
		expr := regexp.MustCompile(`\{[^}]*\}|\*\*|\*|(?s:.)`).ReplaceAllStringFunc(pattern, func(s string) string {
			switch {
			case s == "**":
				return "(?s:.*)"
			case s == "*", len(s) > 1 && s[0] == '{':
				return `[^/]+`
			}
			return regexp.QuoteMeta(s)
		})
		re, err := regexp.Compile("^(?:" + expr + ")$")
		if err != nil {
			return
		}
		if want := re.MatchString(path); got != want && isASCII(pattern+path) {
			t.Errorf("%q on %q: got %v", pattern, path, got)
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 127 }) < 0
}
