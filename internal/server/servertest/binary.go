// Package servertest runs the real program as tests need it: built once,
// started on a data folder, spoken to over HTTP, killed, stopped, started
// again. What it kept is then judged from outside, as a user would.
//
//	p := servertest.Start(t, servertest.Config{Data: dir})
//	c := p.Login(t, servertest.Admin)
//	id := c.MustCreate(t, servertest.Fields{"name": "one"})
//	c.MustUpload(t, id, servertest.Content(1, 1<<20))
//	p.Kill()
//	p = servertest.Start(t, servertest.Config{Data: dir})
package servertest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// binaryEnv names a program to test in the place of one that is built.
const binaryEnv = "KUVA_TEST_BINARY"

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv(binaryEnv); path != "" {
		return path, nil
	}
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", fmt.Errorf("no source to build from: name the program in %s", binaryEnv)
	}
	dir, err := os.MkdirTemp("", "kuva-binary-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "kuva")
	// Without the race detector, whatever the tests themselves run with: the
	// figures and the time limits are those of the program that users have.
	cmd := exec.Command("go", "build", "-race=false", "-o", binary, "./cmd/kuva")
	cmd.Dir = filepath.Join(filepath.Dir(file), "..", "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/kuva: %w\n%s", err, out)
	}
	return binary, nil
})

// Binary builds the program, once in a process, and returns its path. The
// environment variable KUVA_TEST_BINARY names one that is there already.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Main runs the tests of a package that uses Binary and removes what it built.
// It returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if path, err := build(); err == nil && os.Getenv(binaryEnv) == "" {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	return code
}

// Soak tells whether the long counts are wanted (make soak).
func Soak() bool { return os.Getenv("KUVA_SOAK") == "1" }

// Count is how often a test repeats: ci, or soak with KUVA_SOAK=1.
func Count(ci, soak int) int {
	if Soak() {
		return soak
	}
	return ci
}

// seedEnv fixes the seed of random tests.
const seedEnv = "KUVA_TEST_SEED"

// Seed returns the seed of a random test: a new one, or that of the
// environment variable KUVA_TEST_SEED. A test that fails says how to have the
// same calls again; when they meet the server is chance all the same.
func Seed(t testing.TB) uint64 {
	t.Helper()
	seed := rand.Uint64() >> 1
	if text := os.Getenv(seedEnv); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", seedEnv, err)
		}
		seed = n
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("reproduce: %s=%d go test -run '^%s$' ./internal/server/servertest", seedEnv, seed, t.Name())
		}
	})
	return seed
}
