// Package testkit holds what the tests of several packages share: how a test
// says that this machine lacks something. Only tests import it.
package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// CI tells whether the tests run where everything they need must be there.
func CI() bool { return os.Getenv("CI") == "true" }

// NotRun ends a test that this machine cannot run: with a failure in CI, so
// that nothing goes unnoticed there, and elsewhere with a line that "make
// test" collects at its end.
func NotRun(t testing.TB, reason string) {
	t.Helper()
	if CI() {
		t.Fatalf("cannot run in CI, where it must: %s", reason)
	}
	t.Skip("not run: " + reason)
}

// Need ends the test by NotRun where one of the programs is missing. Programs
// of the system's own folders are found even if PATH lacks them.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	var missing []string
	for _, p := range programs {
		if Program(p) == "" {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		NotRun(t, strings.Join(missing, ", ")+" not installed (make deps)")
	}
}

// NeedRoot ends the test by NotRun for anybody but root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		NotRun(t, "needs root")
	}
}

// Program returns the path of an installed program, "" where there is none.
func Program(name string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode()&0o111 != 0 {
			return p
		}
	}
	return ""
}
