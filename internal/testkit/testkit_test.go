package testkit

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What a killed test process left mounted goes when the next one starts.
func TestSweep(t *testing.T) {
	NeedRoot(t)
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dead, err := os.MkdirTemp("", "kuva-sweep-"+strconv.Itoa(gone.Process.Pid)+"-")
	if err != nil {
		t.Fatal(err)
	}
	alive := Mountpoint(t, "sweep")
	for _, dir := range []string{dead, alive} {
		if err := syscall.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
			t.Fatal(err)
		}
	}
	defer syscall.Unmount(alive, 0)
	sweep()
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the mount of a dead process is still there: %v", err)
		syscall.Unmount(dead, 0)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mounts), alive) {
		t.Error("the mount of a living process was taken away")
	}
}

func TestProgram(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	if Program("ldconfig") == "" {
		t.Error("a program in /usr/sbin is not found")
	}
	if p := Program("no-such-program"); p != "" {
		t.Errorf("found %s", p)
	}
}
