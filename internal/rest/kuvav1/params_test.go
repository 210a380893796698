package kuvav1

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"kuva"
	"kuva/internal/job"
)

func TestParseQuery(t *testing.T) {
	tests := []struct {
		raw string
		key string // of the error, "" for none
	}{
		{"", ""},
		{"limit=3&state=running", ""},
		{"limit=", ""},
		{"limit=3&limit=4", "kuvav1.parameter_twice"},
		{"limt=3", "kuvav1.parameter_unknown"},
		{"Limit=3", "kuvav1.parameter_unknown"},
		{"=3", "kuvav1.parameter_unknown"},
		{"limit=%zz", "kuvav1.query"},
		{"limit=3;state=running", "kuvav1.query"},
		{"state=%00", "kuvav1.parameter_value"},
		{"state=%ff", "kuvav1.parameter_value"},
		{"state=a%0Ab", "kuvav1.parameter_value"},
		{"state=" + strings.Repeat("x", 255), ""},
		{"state=" + strings.Repeat("x", 256), "kuvav1.parameter_value"},
	}
	for _, tt := range tests {
		_, err := parseQuery(tt.raw, "limit", "state")
		if keyOf(err) != tt.key {
			t.Errorf("%q: got %v, want %q", tt.raw, err, tt.key)
		}
	}
}

func keyOf(err error) string {
	e, ok := err.(*kuva.Error) //nolint:errorlint // made right here
	if !ok {
		return ""
	}
	return e.Text.Key
}

func TestLimit(t *testing.T) {
	for text, want := range map[string]int{
		"1": 1, "100": 100, "1000": 1000, "1001": 1000, "99999999999999999999999": 1000,
		"0": 0, "-1": 0, "": 0, "x": 0, "1e3": 0, " 1": 0, "0x10": 0,
	} {
		got, err := params{"limit": text}.limit()
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	if got, err := (params{}).limit(); got != defaultPage || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestStates(t *testing.T) {
	got, err := params{"state": "running,pending,running"}.states()
	if err != nil || !slices.Equal(got, []job.State{job.Running, job.Pending}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", ",", "running,", "Running", "running, pending"} {
		if _, err := (params{"state": bad}).states(); keyOf(err) != "kuvav1.state" {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

// FuzzQuery: whatever the query, no panic; what is taken is within bounds, and
// the next page's path carries the same question.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "limit=1", "state=running,failed&kind=image.move", "marker=%C3%A4&limit=9", "limit=1&limit=2", "a;b", "%", "project=a+b%26c&image=x",
	} {
		f.Add(seed)
	}
	names := []string{"state", "image", "kind", "project", "limit", "marker"}
	r := httptest.NewRequest("GET", "/kuva/v1/jobs", nil)
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := parseQuery(raw, names...)
		if err != nil {
			if kuva.CodeOf(err) != kuva.CodeInvalid || !utf8.ValidString(err.(*kuva.Error).Text.In("en")) { //nolint:errorlint // made right here
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		for name, value := range p {
			if !slices.Contains(names, name) || len(value) > maxValue || strings.ContainsAny(value, "\x00\n\r") {
				t.Fatalf("%q: took %q=%q", raw, name, value)
			}
		}
		if n, err := p.limit(); err == nil && (n < 1 || n > maxPage) {
			t.Fatalf("%q: limit %d", raw, n)
		}
		if states, err := p.states(); err == nil && len(states) > len(jobStates) {
			t.Fatalf("%q: states %v", raw, states)
		}
		next, err := url.Parse(*p.next(r, "M"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseQuery(next.RawQuery, names...)
		if err != nil || again["marker"] != "M" {
			t.Fatalf("%q: next page %s: %v", raw, next, err)
		}
		for name, value := range p {
			if name != "marker" && again[name] != value {
				t.Fatalf("%q: next page asks %q=%q", raw, name, again[name])
			}
		}
	})
}
