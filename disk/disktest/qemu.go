package disktest

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/internal/testkit"
)

// QEMU runs qemu-img and gives its exit code and what it printed. The test is
// not run where the program is missing.
func QEMU(t testing.TB, args ...string) (code int, out string) {
	t.Helper()
	testkit.Need(t, "qemu-img")
	b, err := exec.Command(testkit.Program("qemu-img"), args...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(b)
	}
	if err != nil {
		t.Fatalf("qemu-img: %v", err)
	}
	return 0, string(b)
}

// MustQEMU runs qemu-img and fails the test unless it succeeds.
func MustQEMU(t testing.TB, args ...string) string {
	t.Helper()
	code, out := QEMU(t, args...)
	if code != 0 {
		t.Fatalf("qemu-img %s: code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// qemuSize is the virtual size that qemu-img info tells.
func qemuSize(t testing.TB, format, file string) int64 {
	t.Helper()
	var info struct {
		Size int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal([]byte(MustQEMU(t, "info", "--output=json", "-f", format, file)), &info); err != nil {
		t.Fatal(err)
	}
	return info.Size
}

// WriteFile writes all bytes of a disk or view into a new file.
func WriteFile(t testing.TB, file string, d disk.Disk) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := disk.Copy(t.Context(), f, d, disk.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
}

// OpenFile opens a file as a disk of a format; the file is closed after the test.
func OpenFile(t testing.TB, f *disk.Format, file string, o disk.OpenOptions) (disk.Disk, error) {
	t.Helper()
	r, size := File(t, file)
	return f.Open(t.Context(), r, size, o)
}

// File opens a file until the end of the test.
func File(t testing.TB, file string) (*os.File, int64) {
	t.Helper()
	r, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	info, err := r.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return r, info.Size()
}
