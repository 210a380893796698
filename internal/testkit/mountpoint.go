package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Mountpoint makes an empty folder to mount something on for the time of the
// test, and removes it at its end, after the cleanups registered later have
// unmounted what was there. The first call in a process unmounts what test
// processes that were killed have left mounted.
func Mountpoint(t testing.TB, kind string) string {
	t.Helper()
	sweepOnce.Do(sweep)
	dir, err := os.MkdirTemp("", fmt.Sprintf("kuva-%s-%d-", kind, os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) }) // never RemoveAll: it may still be mounted
	return dir
}

var (
	sweepOnce sync.Once
	ours      = regexp.MustCompile(`^kuva-[a-z]+-(\d+)-\d+$`)
)

func sweep() {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return // no Linux, nothing of ours is mounted
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		m := ours.FindStringSubmatch(filepath.Base(fields[1]))
		if m == nil || filepath.Dir(fields[1]) != filepath.Clean(os.TempDir()) {
			continue
		}
		if pid, err := strconv.Atoi(m[1]); err != nil || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue // its process lives
		}
		if syscall.Unmount(fields[1], syscall.MNT_DETACH) == nil {
			os.Remove(fields[1])
		}
	}
}
