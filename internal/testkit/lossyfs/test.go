package lossyfs

import (
	"testing"

	"kuva/internal/testkit"
)

// Test mounts a new file system for the time of the test, or ends the test
// where this machine cannot (testkit.NotRun).
func Test(t testing.TB, config Config) *FS {
	t.Helper()
	if err := Usable(); err != nil {
		testkit.NotRun(t, err.Error())
	}
	f, err := Mount(testkit.Mountpoint(t, "lossyfs"), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}
