package kuva_test

import (
	"os"
	"regexp"
	"runtime"
	"testing"
)

// TestToolchain holds the Go that runs to the one that go.mod, the Makefile
// and CI name. An older one is a security matter: net/http of 1.26.8 can be
// crashed from the net, and a toolchain line is ignored without a word where
// GOTOOLCHAIN=local is set.
func TestToolchain(t *testing.T) {
	find := func(file, pattern string) string {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(pattern).FindSubmatch(text)
		if m == nil {
			t.Fatalf("%s names no Go version", file)
		}
		return string(m[1])
	}
	want := "go" + find("go.mod", `(?m)^go (\S+)$`)
	for file, pattern := range map[string]string{
		"Makefile": `(?m)^export GOTOOLCHAIN = (\S+)$`,
		".ci/run":  `GOTOOLCHAIN=(\S+)`,
	} {
		if got := find(file, pattern); got != want {
			t.Errorf("%s says %s, go.mod %s", file, got, want)
		}
	}
	if got := runtime.Version(); got != want {
		t.Errorf("built by %s, want %s: export GOTOOLCHAIN=%s", got, want, want)
	}
}
