package iso_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/disk/iso"
	"kuva/internal/testkit"
)

// disc has these descriptors from sector 16 on.
func disc(descriptors ...string) []byte {
	b := make([]byte, 40*2048+100)
	for i, d := range descriptors {
		copy(b[(16+i)*2048:], "\x00"+d+"\x01")
	}
	copy(b[30*2048:], "content")
	return b
}

func TestProbe(t *testing.T) {
	for _, tt := range []struct {
		name string
		file []byte
		want bool
	}{
		{"ISO 9660", disc("CD001", "CD001"), true},
		{"UDF bridge", disc("CD001", "CD001", "BEA01", "NSR02", "TEA01"), true},
		{"UDF", disc("BEA01", "NSR03", "TEA01"), true},
		{"UDF with boot", disc("BEA01", "BOOT2", "NSR02", "TEA01"), true},
		{"NSR first", disc("NSR02"), false},
		{"an area of nothing", disc("BEA01", "TEA01"), false},
		{"descriptors without end", bytes.Repeat(disc("BEA01")[16*2048:17*2048], 200), false},
		{"no descriptor", disc(), false},
		{"too short", disc("CD001")[:16*2048+1000], false},
		{"nothing", nil, false},
	} {
		ok, err := iso.Probe(bytes.NewReader(tt.file), int64(len(tt.file)))
		if ok != tt.want || err != nil {
			t.Errorf("%s: %t, %v", tt.name, ok, err)
		}
	}
}

// TestOpen: a disc is its file, also one that boots from a stick.
func TestOpen(t *testing.T) {
	file := disc("CD001")
	file[446], file[450], file[458], file[510], file[511] = 0x80, 0x17, 64, 0x55, 0xaa
	d, v, err := formats.Open(t.Context(), bytes.NewReader(file), int64(len(file)), disk.OpenOptions{})
	if err != nil || v.Name != "iso" || len(v.Partitions) != 1 {
		t.Fatal(v, err)
	}
	disktest.Sound(t, d, file)
	if _, err := iso.Open(t.Context(), bytes.NewReader(file), 1000, disk.OpenOptions{}); err == nil {
		t.Error("1,000 bytes are opened")
	}
	var refused *disk.Refused
	if _, err := iso.Open(t.Context(), bytes.NewReader(file), int64(len(file)), disk.OpenOptions{Parent: d}); !errors.As(err, &refused) || refused.Reason != disk.ReasonBacking {
		t.Errorf("with a parent: %v", err)
	}
	if _, err := iso.Open(t.Context(), bytes.NewReader(file), int64(len(file)), disk.OpenOptions{Budget: disk.NewBudget(disk.Limits{Size: 1000})}); !errors.As(err, &refused) || refused.Reason != disk.ReasonTooLarge {
		t.Errorf("too large: %v", err)
	}
}

// TestReal opens what genisoimage and xorriso make: with Joliet and UDF beside
// ISO 9660, and with a partition table in front.
func TestReal(t *testing.T) {
	testkit.Need(t, "genisoimage", "xorriso")
	for _, tt := range []struct {
		program string
		args    []string
		hybrid  bool
	}{
		{"genisoimage", []string{"-quiet", "-R", "-J"}, false},
		{"genisoimage", []string{"-quiet", "-udf"}, false},
		{"xorriso", []string{"-as", "mkisofs", "-quiet", "-r", "--protective-msdos-label"}, true},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "hello"), []byte("hello"), 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "disc.iso")
		if out, err := exec.Command(testkit.Program(tt.program), append(tt.args, "-o", path, dir)...).CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", tt.program, tt.args, err, out)
		}
		f, size := disktest.File(t, path)
		d, v, err := formats.Open(t.Context(), f, size, disk.OpenOptions{})
		if err != nil || v.Name != "iso" || d.Size() != size || tt.hybrid != (len(v.Partitions) > 0) {
			t.Errorf("%s %v: %+v, %v", tt.program, tt.args, v, err)
		}
	}
}

func FuzzProbe(f *testing.F) {
	f.Add(disc("CD001")[:17*2048])
	f.Add(disc("BEA01", "NSR02")[:18*2048])
	f.Fuzz(func(t *testing.T, b []byte) {
		ok, err := iso.Probe(bytes.NewReader(b), int64(len(b)))
		if err != nil || ok && len(b) < 17*2048 {
			t.Error(ok, err)
		}
	})
}
