package formats_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/internal/testkit/diskimage"
	"kuva/internal/testkit/machine"
)

// TestBoot starts a small Linux from every format that QEMU boots, two at a
// time.
func TestBoot(t *testing.T) {
	tiny := diskimage.Tiny(t)
	src, _, err := openDetected(t, tiny.QCOW2)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	two := make(chan struct{}, 2)
	for _, c := range []struct {
		name, format, qemu string
		settings           disk.Settings
		compress           bool
	}{
		{"raw", "raw", "raw", nil, false},
		{"qcow2", "qcow2", "qcow2", nil, false},
		{"qcow2 zstd", "qcow2", "qcow2", disk.Settings{"compression_type": "zstd"}, true},
		{"vmdk", "vmdk", "vmdk", nil, false},
		{"vmdk stream", "vmdk", "vmdk", nil, true},
		{"vhd", "vhd", "vpc", nil, false},
		{"vhd fixed", "vhd", "vpc", disk.Settings{"subformat": "fixed"}, false},
		{"vhdx", "vhdx", "vhdx", nil, false},
		{"vdi", "vdi", "vdi", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, c.name)
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			o := formats.WriteOptions{Settings: c.settings, Compress: c.compress}
			if err := formats.Write(t.Context(), f, src, formats.ByName(c.format), o); err != nil {
				t.Fatal(err)
			}
			two <- struct{}{}
			defer func() { <-two }()
			machine.Boot(t, file, c.qemu, machine.Ready, 3*time.Minute)
		})
	}
}

func openDetected(t *testing.T, file string) (disk.Disk, formats.Verdict, error) {
	t.Helper()
	r, size := disktest.File(t, file)
	return formats.Open(t.Context(), r, size, disk.OpenOptions{})
}
