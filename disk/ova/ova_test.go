package ova

import (
	"archive/tar"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/ovf"
	"kuva/internal/testkit"
)

func sample() disk.Disk {
	return disktest.NewSynthetic(9<<20+512, 1, disk.Extent{Off: 4096, Len: 300_000}, disk.Extent{Off: 7 << 20, Len: 1 << 20})
}

// pipe writes a package into a pipe.
func pipe(t testing.TB, d disk.Disk, s disk.Settings, keep int) []byte {
	t.Helper()
	w, err := Stream(t.Context(), d, s)
	if err != nil {
		t.Fatal(err)
	}
	if keep >= 0 {
		w.(*stream).keep = keep
	}
	var b bytes.Buffer
	if n, err := w.WriteTo(t.Context(), struct{ io.Writer }{&b}); err != nil || n != int64(b.Len()) {
		t.Fatalf("%d bytes of %d, %v", n, b.Len(), err)
	}
	return b.Bytes()
}

// save writes a package into a file.
func save(t testing.TB, d disk.Disk, s disk.Settings) string {
	t.Helper()
	w, err := Stream(t.Context(), d, s)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "image.ova"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := w.WriteTo(t.Context(), f); err != nil {
		t.Fatal(n, err)
	}
	return f.Name()
}

// TestSame: a file, a pipe that is kept in memory and one that is packed twice
// get the same bytes.
func TestSame(t *testing.T) {
	file, err := os.ReadFile(save(t, sample(), nil))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, pipe(t, sample(), nil, -1)) {
		t.Error("a pipe gets other bytes than a file")
	}
	if !bytes.Equal(file, pipe(t, sample(), nil, 1000)) {
		t.Error("packed twice there are other bytes")
	}
}

// TestWitnesses lets GNU tar unpack a package, sha256sum compare its files with
// the manifest, and qemu-img the disk.
func TestWitnesses(t *testing.T) {
	testkit.Need(t, "tar", "sha256sum", "qemu-img")
	for _, controller := range []string{"sata", "ide", "scsi"} {
		dir := t.TempDir()
		src := sample()
		file := save(t, src, disk.Settings{"controller": controller, "name": "My machine"})
		run := func(name string, args ...string) string {
			t.Helper()
			cmd := exec.Command(testkit.Program(name), args...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, out)
			}
			return string(out)
		}
		names := strings.Fields(run("tar", "xvf", file))
		if want := []string{"My-machine.ovf", "My-machine-disk001.vmdk", "My-machine.mf"}; !slices.Equal(names, want) {
			t.Errorf("the files are %q, want %q", names, want)
		}
		if out := run("sha256sum", "--strict", "-c", "My-machine.mf"); strings.Count(out, ": OK") != 2 {
			t.Errorf("sha256sum says %s", out)
		}
		plain := filepath.Join(dir, "raw")
		disktest.WriteFile(t, plain, src)
		if code, out := disktest.QEMU(t, "compare", "-f", "raw", "-F", "vmdk", plain, filepath.Join(dir, names[1])); code != 0 {
			t.Errorf("qemu-img compare: code %d\n%s", code, out)
		}
		if code, out := disktest.QEMU(t, "check", "-f", "vmdk", filepath.Join(dir, names[1])); code != 0 {
			t.Errorf("qemu-img check: code %d\n%s", code, out)
		}
	}
}

// TestDescriptor reads what is written, with names that need care.
func TestDescriptor(t *testing.T) {
	file := pipe(t, sample(), disk.Settings{
		"name": `A<b> & "ç" ../x`, "cpus": "3", "memory": "2G", "os_id": "96", "os_type": "Debian_64", "firmware": "efi",
	}, -1)
	r := tar.NewReader(bytes.NewReader(file))
	h, err := r.Next()
	if err != nil || h.Name != "A-b-----------x.ovf" && strings.ContainsAny(h.Name, "/ <") {
		t.Fatal(h, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ovf.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Warnings) > 0 {
		t.Error(d.Warnings)
	}
	s := d.Systems[0]
	if s.Name != `A<b> & "ç" ../x` || s.CPUs != 3 || s.Memory != 2<<30 || s.OSID != "96" || s.OS != "Debian_64" {
		t.Errorf("%+v", s)
	}
	if d.Boot() != "vmdisk1" || d.Disks[0].Capacity != 9<<20+512 || d.Files[0].Size <= 0 || !bytes.Contains(text, []byte(`"efi"`)) {
		t.Errorf("%+v", d)
	}
	h, err = r.Next()
	if err != nil || h.Name != d.Files[0].Href || h.Size != d.Files[0].Size {
		t.Errorf("the disk is %+v, %v; the descriptor says %+v", h, err, d.Files[0])
	}
	if err := xml.Unmarshal(text, new(struct{})); err != nil {
		t.Error(err)
	}
}

func TestLongSize(t *testing.T) {
	s := &stream{machine: &machine{base: "a", controller: "sata"}}
	short, _, err := s.front(1)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{1<<33 - 1, 1 << 33, 1 << 41} {
		long, _, err := s.front(size)
		if err != nil || len(long) != len(short) {
			t.Fatalf("%d bytes in front of %d, %d in front of 1; %v", len(long), size, len(short), err)
		}
		r := tar.NewReader(bytes.NewReader(long))
		for range 2 {
			h, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(h.Name, ".vmdk") && h.Size != size {
				t.Errorf("%d bytes became %d", size, h.Size)
			}
		}
	}
}

func TestSettings(t *testing.T) {
	for _, s := range []disk.Settings{
		{"name": ""},
		{"name": strings.Repeat("x", 81)},
		{"name": "a\nb"},
		{"name": "\xff"},
		{"cpus": "0"},
		{"cpus": "x"},
		{"memory": "1000"},
		{"memory": "0"},
		{"controller": "floppy"},
		{"firmware": "x"},
		{"os_id": "-1"},
		{"uuid": "x"},
		{"nothing": "x"},
	} {
		_, err := Stream(t.Context(), sample(), s)
		var refused *disk.Refused
		if !errors.As(err, &refused) || refused.Reason != disk.ReasonSetting {
			t.Errorf("%v: %v", s, err)
		}
	}
	if _, err := Stream(t.Context(), disktest.NewSynthetic(0, 1), nil); err == nil {
		t.Error("a disk of no bytes is written")
	}
	for name, want := range map[string]string{"": "image", "..": "image", "-rf": "rf", "a/b": "a-b", "ok_1.2": "ok_1.2"} {
		if got := fileName(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}
