package main

import (
	"strings"
	"testing"
	"time"

	"kuva/api"
)

// Names of images are strangers' texts: no file comes to lie elsewhere, hides
// or looks like a flag.
func TestFileName(t *testing.T) {
	for _, c := range []struct{ name, format, want string }{
		{"debian-12", "qcow2", "debian-12.qcow2"},
		{"debian-12.qcow2", "qcow2", "debian-12.qcow2"},
		{"../../etc/passwd", "raw", "passwd.raw"},
		{"..", "raw", "ID.raw"},
		{".bashrc", "", "ID"},
		{"-rf", "raw", "ID.raw"},
		{"", "raw", "ID.raw"},
		{"a\x1b[2Jb", "raw", "a?[2Jb.raw"},
		{strings.Repeat("x", 250), "raw", "ID.raw"},
	} {
		if got := fileName(api.Image{ID: "ID", Name: c.name, DiskFormat: c.format}); got != c.want {
			t.Errorf("%q as %s: got %q, want %q", c.name, c.format, got, c.want)
		}
	}
}

func TestProgressLine(t *testing.T) {
	if got, want := progressLine("upload", 1<<30, 4<<30, 10*time.Second), "upload 1.0 GiB of 4.0 GiB (25 %), 102.4 MiB/s, 30s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := progressLine("upload", 1<<20, -1, time.Second), "upload 1.0 MiB, 1.0 MiB/s"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1 << 62: "4.0 EiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
