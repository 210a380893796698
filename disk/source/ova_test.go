package source_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/disk/source"
)

// descriptor tells of disks a, b, … in files of these names; boot is the
// address of each on the controller.
func descriptor(names []string, more string, boot ...int) []byte {
	var files, disks, items strings.Builder
	for i, name := range names {
		id := string(rune('a' + i))
		fmt.Fprintf(&files, `<File ovf:id="f%s" ovf:href=%q %s/>`, id, name, more)
		fmt.Fprintf(&disks, `<Disk ovf:diskId=%q ovf:fileRef="f%s" ovf:capacity="3" ovf:capacityAllocationUnits="byte * 2^20" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>`, id, id)
		if i < len(boot) {
			fmt.Fprintf(&items, `<Item><rasd:AddressOnParent>%d</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/%s</rasd:HostResource><rasd:InstanceID>%d</rasd:InstanceID><rasd:Parent>1</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>`, boot[i], id, i+2)
		}
	}
	return []byte(`<?xml version="1.0"?>
<Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
<References>` + files.String() + `</References><DiskSection><Info/>` + disks.String() + `</DiskSection><VirtualSystem ovf:id="vm"><VirtualHardwareSection><Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>20</rasd:ResourceType></Item>` +
		items.String() + `</VirtualHardwareSection></VirtualSystem></Envelope>`)
}

// packed is a disk as a streamOptimized VMDK.
func packed(t testing.TB, d disk.Disk) []byte {
	t.Helper()
	return streamed(t, "vmdk", d)
}

func streamed(t testing.TB, format string, d disk.Disk) []byte {
	t.Helper()
	s, err := formats.ByName(format).Stream(t.Context(), d, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := s.WriteTo(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func manifest(members ...member) member {
	var b strings.Builder
	for _, m := range members {
		fmt.Fprintf(&b, "SHA256(%s)= %x\n", m.name, sha256.Sum256(m.body))
	}
	return member{"m.mf", []byte(b.String())}
}

func TestOVA(t *testing.T) {
	one, two := sample(5), sample(6)
	a, b := member{"a.vmdk", packed(t, one)}, member{"b.vmdk", packed(t, two)}
	ovfOf := func(names []string, more string, boot ...int) member {
		return member{"m.ovf", descriptor(names, more, boot...)}
	}
	both := []string{"a.vmdk", "b.vmdk"}
	second := ovfOf(both, "", 1, 0)
	chunk := func(n int) member {
		return member{fmt.Sprintf("a.vmdk.%09d", n), a.body[n*1000 : min(len(a.body), (n+1)*1000)]}
	}
	var chunks []member
	for n := 0; n*1000 < len(a.body); n++ {
		chunks = append(chunks, chunk(n))
	}
	for _, tt := range []struct {
		name   string
		file   []byte
		o      source.Options
		disk   disk.Disk // or
		reason disk.Reason
	}{
		{"the only one", tarOf(t, ovfOf(both[:1], "", 0), a), source.Options{}, one, ""},
		{"the first on the controller", tarOf(t, second, a, b), source.Options{}, two, ""},
		{"chosen", tarOf(t, second, a, b), source.Options{Choice: 1}, one, ""},
		{"nothing says which", tarOf(t, ovfOf(both, ""), a, b), source.Options{}, nil, disk.ReasonChoice},
		{"both at one place", tarOf(t, ovfOf(both, "", 0, 0), a, b), source.Options{}, nil, disk.ReasonChoice},
		{"no such disk", tarOf(t, second, a, b), source.Options{Choice: 3}, nil, disk.ReasonChoice},
		{"descriptor behind", tarOf(t, a, b, second), source.Options{}, two, ""},
		{"in a folder", tarOf(t, member{"box/m.ovf", second.body}, member{"box/a.vmdk", a.body}, member{"box/b.vmdk", b.body}), source.Options{}, two, ""},
		{"in a zip", zipOf(t, zip.Deflate, second, a, b), source.Options{}, two, ""},
		{"in gzip", gz(t, tarOf(t, second, a, b)), source.Options{}, two, ""},
		{"in pieces", tarOf(t, append([]member{ovfOf(both[:1], `ovf:chunkSize="1000"`, 0)}, chunks...)...), source.Options{}, one, ""},
		{"a piece is missing", tarOf(t, ovfOf(both[:1], fmt.Sprintf(`ovf:chunkSize="1000" ovf:size="%d"`, len(a.body)), 0), chunk(0), chunk(2)), source.Options{}, nil, disk.ReasonDataFile},
		{"not in the package", tarOf(t, second, a), source.Options{}, nil, disk.ReasonDataFile},
		{"in another folder", tarOf(t, second, a, member{"x/b.vmdk", b.body}), source.Options{}, nil, disk.ReasonDataFile},
		{"on the host", tarOf(t, ovfOf([]string{"/etc/passwd"}, "", 0), a), source.Options{}, nil, disk.ReasonDataFile},
		{"on the net", tarOf(t, ovfOf([]string{"http://127.0.0.1/a.vmdk"}, "", 0), a), source.Options{}, nil, disk.ReasonDataFile},
		{"above", tarOf(t, ovfOf([]string{"../a.vmdk"}, "", 0), a), source.Options{}, nil, disk.ReasonDataFile},
		{"compressed", tarOf(t, ovfOf(both[:1], `ovf:compression="gzip"`, 0), a), source.Options{}, nil, disk.ReasonNested},
		{"a parent", tarOf(t, member{"m.ovf", bytes.Replace(second.body, []byte(`ovf:diskId="b"`), []byte(`ovf:diskId="b" ovf:parentRef="a"`), 1)}, a, b), source.Options{}, nil, disk.ReasonBacking},
		{"manifest", tarOf(t, second, manifest(second, a, b), a, b), source.Options{}, two, ""},
		{"manifest of another descriptor", tarOf(t, second, manifest(member{"m.ovf", nil}), a, b), source.Options{}, nil, "malformed"},
		{"broken manifest", tarOf(t, second, member{"m.mf", []byte("x")}, a, b), source.Options{}, nil, "malformed"},
		{"broken descriptor", tarOf(t, member{"m.ovf", second.body[:300]}, a, b), source.Options{}, nil, "malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := open(t, tt.file, tt.o)
			var refused *disk.Refused
			var malformed *disk.Malformed
			switch {
			case tt.reason == "malformed":
				if !errors.As(err, &malformed) {
					t.Error(err)
				}
			case tt.reason != "":
				if !errors.As(err, &refused) || refused.Reason != tt.reason {
					t.Errorf("%v, want %s", err, tt.reason)
				}
			case err != nil:
				t.Error(err)
			default:
				if off, err := disk.Compare(t.Context(), s.Disk, tt.disk); off >= 0 || err != nil {
					t.Errorf("differs at %d, %v", off, err)
				}
				if s.Descriptor == nil || s.Layers[len(s.Layers)-1] != "vmdk" {
					t.Errorf("%+v", s)
				}
			}
		})
	}
}

func TestVerify(t *testing.T) {
	a := member{"a.vmdk", packed(t, sample(5))}
	d := member{"m.ovf", descriptor([]string{"a.vmdk"}, "", 0)}
	for _, tt := range []struct {
		name  string
		file  []byte
		files int
		ok    bool
	}{
		{"none", tarOf(t, d, a), 0, true},
		{"good", tarOf(t, d, a, manifest(d, a)), 2, true},
		{"other disk", tarOf(t, d, a, manifest(d, member{"a.vmdk", nil})), 1, false},
		{"missing file", tarOf(t, d, a, manifest(member{"b.vmdk", nil})), 0, false},
		{"file of the host", tarOf(t, d, a, manifest(member{"../../../etc/passwd", nil})), 0, false},
	} {
		s, err := open(t, tt.file, source.Options{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := s.Verify(t.Context())
		var malformed *disk.Malformed
		if n != tt.files || tt.ok && err != nil || !tt.ok && !errors.As(err, &malformed) {
			t.Errorf("%s: %d, %v", tt.name, n, err)
		}
	}
}

// TestWritten reads what the packages write.
func TestWritten(t *testing.T) {
	src := sample(7)
	for format, layers := range map[string]string{"ova": "ova vmdk", "raw.gz": "gzip raw", "raw.zst": "zstd raw"} {
		b := streamed(t, format, src)
		s, err := open(t, b, source.Options{})
		if err != nil {
			t.Fatal(format, err)
		}
		if off, err := disk.Compare(t.Context(), s.Disk, src); off >= 0 || err != nil || strings.Join(s.Layers, " ") != layers {
			t.Errorf("%s: differs at %d, %v; %q", format, off, err, s.Layers)
		}
		if n, err := s.Verify(t.Context()); err != nil || (n == 2) != (format == "ova") {
			t.Errorf("%s: %d, %v", format, n, err)
		}
		if _, err := formats.ByName(format).Open(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{}); err == nil {
			t.Errorf("%s is opened without unpacking", format)
		}
	}
}

// TestSpool: what is unpacked has holes, progress is told, and errors of the
// place come through.
func TestSpool(t *testing.T) {
	src := disktest.NewSynthetic(20<<20, 9, disk.Extent{Off: 5 << 20, Len: 100_000})
	b := gz(t, disktest.ReadAll(t, src))
	path := filepath.Join(t.TempDir(), "spool")
	var last, total int64
	s, err := open(t, b, source.Options{
		Spool: func(size int64) (source.Temp, error) {
			if size != -1 {
				t.Errorf("the size of a stream is %d", size)
			}
			f, err := os.Create(path)
			if err == nil {
				t.Cleanup(func() { f.Close() })
			}
			return f, err
		},
		Progress: func(d, n int64) { last, total = d, n },
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != total || total != int64(len(b)) {
		t.Errorf("%d of %d of %d bytes", last, total, len(b))
	}
	n, err := disk.Allocated(t.Context(), s.Disk)
	if err != nil || n > 1<<20 {
		t.Errorf("%d bytes of 100,000 are stored, %v", n, err)
	}
	if off, err := disk.Compare(t.Context(), s.Disk, src); off >= 0 || err != nil {
		t.Errorf("differs at %d, %v", off, err)
	}
	mine := errors.New("mine")
	if _, err := open(t, b, source.Options{Spool: func(int64) (source.Temp, error) { return nil, mine }}); err != mine {
		t.Error(err)
	}
	if _, err := open(t, b, source.Options{Spool: func(int64) (source.Temp, error) { return full{}, nil }}); err != errFull {
		t.Error(err)
	}
}

// TestCutSource: a source that ends before its time does not make a short disk.
func TestCutSource(t *testing.T) {
	raw := file(t, "raw", disktest.NewSynthetic(3<<20, 9, disk.Extent{Off: 0, Len: 3 << 20}))
	for _, b := range [][]byte{gz(t, raw), zipOf(t, zip.Deflate, member{"disk.raw", raw}), tarOf(t, member{"disk.raw", raw})} {
		for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, errFull} {
			s, err := source.Open(t.Context(), cut{bytes.NewReader(b), int64(len(b)) / 2, end}, int64(len(b)), source.Options{Spool: spool(t)})
			if err == nil {
				_, err = s.Disk.ReadAt(make([]byte, 1<<20), 2<<20)
			}
			if err == nil {
				t.Errorf("%d bytes that end with %v are taken for whole", len(b), end)
			}
		}
	}
}

// cut reads the first n bytes and the last KiB.
type cut struct {
	r   *bytes.Reader
	n   int64
	err error
}

func (c cut) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > c.n && off < c.r.Size()-1024 {
		return 0, c.err
	}
	return c.r.ReadAt(p, off)
}

// full is a file on a full disk.
type full struct{}

var errFull = errors.New("no space left")

func (full) ReadAt([]byte, int64) (int, error)  { return 0, errFull }
func (full) WriteAt([]byte, int64) (int, error) { return 0, errFull }
func (full) Truncate(int64) error               { return errFull }

// memory is a spool of at most 1 MiB.
type memory struct{ b []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, off) }

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > 1<<20 {
		return 0, errFull
	}
	m.grow(int(off) + len(p))
	return copy(m.b[off:], p), nil
}

func (m *memory) grow(n int) {
	if n > len(m.b) {
		m.b = append(m.b, make([]byte, n-len(m.b))...)
	}
}

func (m *memory) Truncate(n int64) error {
	if n > 1<<20 {
		return errFull
	}
	m.grow(int(n))
	m.b = m.b[:n]
	return nil
}

func FuzzOpen(f *testing.F) {
	small := disktest.NewSynthetic(70_000, 1, disk.Extent{Off: 0, Len: 512})
	a, d := member{"a.vmdk", packed(f, small)}, member{"m.ovf", descriptor([]string{"a.vmdk"}, "", 0)}
	f.Add(tarOf(f, d, a, manifest(d, a)))
	f.Add(gz(f, tarOf(f, member{"disk.raw", file(f, "qcow2", small)[:1000]})))
	f.Add(zipOf(f, zip.Deflate, d, a))
	f.Add(streamed(f, "raw.zst", small))
	f.Add(iso())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := open(t, b, source.Options{Spool: func(int64) (source.Temp, error) { return &memory{}, nil }})
		var refused *disk.Refused
		var malformed *disk.Malformed
		if err != nil {
			if !errors.As(err, &refused) && !errors.As(err, &malformed) && !errors.Is(err, errFull) {
				t.Errorf("%v is no error of ours", err)
			}
			return
		}
		if s.Disk.Size() < 0 || s.Format == nil || len(s.Layers) == 0 {
			t.Errorf("%+v", s)
		}
		_, _ = s.Verify(t.Context())
	})
}
