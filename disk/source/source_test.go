package source_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/disk/source"
	"kuva/disk/wrap"
)

// spool makes files for the test.
func spool(t testing.TB) func(int64) (source.Temp, error) {
	return func(int64) (source.Temp, error) {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err == nil {
			t.Cleanup(func() { f.Close() })
		}
		return f, err
	}
}

func open(t testing.TB, b []byte, o source.Options) (*source.Source, error) {
	t.Helper()
	if o.Spool == nil {
		o.Spool = spool(t)
	}
	return source.Open(t.Context(), bytes.NewReader(b), int64(len(b)), o)
}

// file is a disk as a file of a format.
func file(t testing.TB, format string, d disk.Disk) []byte {
	t.Helper()
	v, err := formats.ByName(format).Layout(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return disktest.ReadAll(t, v)
}

// member of a test's archive.
type member struct {
	name string
	body []byte
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.body)), Mode: 0o644, Format: tar.FormatUSTAR}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, method uint16, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.CreateHeader(&zip.FileHeader{Name: m.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(m.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sample is a disk of some data and holes.
func sample(seed uint64) disk.Disk {
	return disktest.NewSynthetic(3<<20, seed, disk.Extent{Off: 4096, Len: 300_000}, disk.Extent{Off: 2 << 20, Len: 70_000})
}

func iso() []byte {
	b := make([]byte, 40<<10)
	copy(b[16*2048:], "\x01CD001\x01")
	return b
}

func TestLayers(t *testing.T) {
	src := sample(1)
	qcow2, raw := file(t, "qcow2", src), file(t, "raw", src)
	v, err := formats.ByName("vhd").Layout(t.Context(), src, disk.Settings{"subformat": "fixed"})
	if err != nil {
		t.Fatal(err)
	}
	fixed := disktest.ReadAll(t, v)
	for _, tt := range []struct {
		name   string
		file   []byte
		layers string
		iso    bool
	}{
		{"plain", qcow2, "qcow2", false},
		{"raw", raw, "raw", false},
		{"iso", iso(), "iso", true},
		{"gzip", gz(t, raw), "gzip raw", false},
		{"tar", tarOf(t, member{"readme.txt", []byte("see")}, member{"disk.qcow2", qcow2}), "tar qcow2", false},
		{"tar of one", tarOf(t, member{"nameless", raw}), "tar raw", false},
		{"tar of raw", tarOf(t, member{"disk.raw", raw}, member{"._disk.raw", []byte("x")}, member{"manifest.json", []byte("{}")}), "tar raw", false},
		{"tar.gz", gz(t, tarOf(t, member{"disk.raw", raw})), "gzip tar raw", false},
		{"zip stored", zipOf(t, zip.Store, member{"d.qcow2", qcow2}), "zip qcow2", false},
		{"zip deflated", zipOf(t, zip.Deflate, member{"d/d.qcow2", qcow2}, member{"d/a.txt", nil}), "zip qcow2", false},
		{"zip.gz", gz(t, zipOf(t, zip.Deflate, member{"d.qcow2", qcow2})), "gzip zip qcow2", false},
		{"fixed VHD", zipOf(t, zip.Deflate, member{"disk.vhd", fixed}, member{"readme", []byte("see")}), "zip vhd", false},
		{"disk and disc", tarOf(t, member{"tools.iso", iso()}, member{"disk.qcow2", qcow2}), "tar qcow2", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := open(t, tt.file, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(s.Layers, " "); got != tt.layers {
				t.Errorf("layers %q, want %q", got, tt.layers)
			}
			if tt.iso {
				if s.Disk.Size() != int64(len(tt.file)) {
					t.Errorf("%d bytes", s.Disk.Size())
				}
				return
			}
			if off, err := disk.Compare(t.Context(), s.Disk, src); off >= 0 || err != nil || s.Disk.Size() != src.Size() {
				t.Errorf("differs at %d, %v; %d bytes", off, err, s.Disk.Size())
			}
		})
	}
}

func TestChoice(t *testing.T) {
	a, b := sample(2), sample(3)
	two := tarOf(t, member{"a.qcow2", file(t, "qcow2", a)}, member{"notes", []byte("x")}, member{"b.img", file(t, "raw", b)})
	s, err := open(t, two, source.Options{})
	var refused *disk.Refused
	if !errors.As(err, &refused) || refused.Reason != disk.ReasonChoice {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`there are several disks; 1: "a.qcow2", qcow2, %d bytes; 2: "b.img", raw, %d bytes`, s.Choices[0].Size, b.Size())
	if refused.Detail != want {
		t.Errorf("%q, want %q", refused.Detail, want)
	}
	for n, d := range []disk.Disk{a, b} {
		s, err := open(t, two, source.Options{Choice: n + 1})
		if err != nil {
			t.Fatal(err)
		}
		if off, err := disk.Compare(t.Context(), s.Disk, d); off >= 0 || err != nil || s.Chosen != n+1 {
			t.Errorf("disk %d: differs at %d, %v", n+1, off, err)
		}
	}
	if _, err := open(t, two, source.Options{Choice: 3}); !errors.As(err, &refused) || refused.Reason != disk.ReasonChoice {
		t.Errorf("disk 3: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	raw := file(t, "raw", sample(4))
	for _, tt := range []struct {
		name   string
		file   []byte
		o      source.Options
		reason disk.Reason
	}{
		{"twice compressed", gz(t, gz(t, raw)), source.Options{}, disk.ReasonNested},
		{"compressed in an archive", tarOf(t, member{"disk.raw.gz", gz(t, raw)}), source.Options{}, disk.ReasonNested},
		{"archive in an archive", zipOf(t, zip.Store, member{"a.tar", tarOf(t, member{"disk.raw", raw})}), source.Options{}, disk.ReasonNested},
		{"compressed beside a text", tarOf(t, member{"disk.raw.gz", gz(t, raw)}, member{"a.txt", []byte("a")}), source.Options{}, disk.ReasonNested},
		{"no disk", tarOf(t, member{"a.txt", []byte("a")}, member{"b.txt", []byte("b")}), source.Options{}, disk.ReasonNoDisk},
		{"output", gz(t, raw), source.Options{Limits: wrap.Limits{Output: 1 << 20}}, disk.ReasonLimit},
		{"output of a member", zipOf(t, zip.Deflate, member{"a.raw", raw}), source.Options{Limits: wrap.Limits{Output: 1 << 20}}, disk.ReasonLimit},
		{"ratio", gz(t, bytes.Repeat([]byte("a"), 66<<20)), source.Options{}, disk.ReasonLimit},
		{"ratio of a member", zipOf(t, zip.Deflate, member{"a.raw", bytes.Repeat([]byte("a"), 66<<20)}), source.Options{}, disk.ReasonLimit},
		{"descriptor alone", []byte(`<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"></Envelope>`), source.Options{}, disk.ReasonDataFile},
		{"unknown format", []byte("QED\x00" + strings.Repeat("x", 600)), source.Options{}, disk.ReasonUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := open(t, tt.file, tt.o)
			var refused *disk.Refused
			if !errors.As(err, &refused) || refused.Reason != tt.reason {
				t.Errorf("%v, want %s", err, tt.reason)
			}
		})
	}
	if _, err := source.Open(t.Context(), bytes.NewReader(gz(t, raw)), int64(len(gz(t, raw))), source.Options{}); err == nil {
		t.Error("unpacked without a place")
	}
}
