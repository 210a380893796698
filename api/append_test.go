package api

import (
	"encoding/json"
	"testing"
)

// FuzzAppendText: strings are written as encoding/json writes them.
func FuzzAppendText(f *testing.F) {
	for _, s := range []string{"", "debian", `a"b\c`, "<&>", "ü\u2028\x00\xff", "\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendText(nil, s); string(got) != string(want) {
			t.Errorf("%q: %s, encoding/json has %s", s, got, want)
		}
	})
}
