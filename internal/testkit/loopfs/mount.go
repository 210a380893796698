package loopfs

import (
	"testing"

	"kuva/internal/testkit"
)

// With mounts an image of any file system that the kernel knows, calls f with
// the folder, and unmounts it again before it returns, so that the image can
// be read. options may be empty. It needs root and ends the test by
// testkit.NotRun for anybody else.
func With(t testing.TB, image, options string, f func(dir string)) {
	t.Helper()
	testkit.NeedRoot(t)
	testkit.Need(t, "mount", "umount")
	if options == "" {
		options = "loop"
	} else {
		options = "loop," + options
	}
	dir := testkit.Mountpoint(t, "loopfs")
	run(t, "mount", "-o", options, image, dir)
	defer func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	}()
	f(dir)
}
