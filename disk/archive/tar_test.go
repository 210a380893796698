package archive_test

import (
	stdtar "archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kuva/disk"
	"kuva/disk/archive"
	"kuva/disk/disktest"
	"kuva/internal/testkit"
)

func read(t testing.TB, format string, b []byte) (*archive.Archive, error) {
	t.Helper()
	return archive.Read(t.Context(), format, bytes.NewReader(b), int64(len(b)), nil)
}

// isMalformed and isRefused judge an error.
func isMalformed(err error) bool {
	var m *disk.Malformed
	return errors.As(err, &m)
}

func isRefused(err error, reason disk.Reason) bool {
	var r *disk.Refused
	return errors.As(err, &r) && r.Reason == reason
}

// TestTarLikeGo reads what Go's own writer makes of random members.
func TestTarLikeGo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var b bytes.Buffer
		w := stdtar.NewWriter(&b)
		type want struct {
			name string
			body []byte
			kind archive.Kind
		}
		var list []want
		for i := range rapid.IntRange(0, 6).Draw(rt, "members") {
			h := &stdtar.Header{Mode: 0o644, Format: rapid.SampledFrom([]stdtar.Format{stdtar.FormatUSTAR, stdtar.FormatPAX, stdtar.FormatGNU}).Draw(rt, "format")}
			h.Name = fmt.Sprint(i) + rapid.SampledFrom([]string{"a", "ä", strings.Repeat("d/", 60) + "x", strings.Repeat("long", 100)}).Draw(rt, "name")
			m := want{name: h.Name}
			switch rapid.IntRange(0, 4).Draw(rt, "kind") {
			case 0:
				h.Typeflag, h.Linkname, m.kind = stdtar.TypeSymlink, "../../etc/passwd", archive.Link
			case 1:
				h.Typeflag, m.kind = stdtar.TypeDir, archive.Dir
				h.Name += "/"
				m.name = h.Name
			default:
				h.Typeflag = stdtar.TypeReg
				m.body = rapid.SliceOfN(rapid.Byte(), 0, 1500).Draw(rt, "body")
				h.Size = int64(len(m.body))
			}
			if err := w.WriteHeader(h); err != nil {
				continue // the name does not fit the format
			}
			if _, err := w.Write(m.body); err != nil {
				rt.Fatal(err)
			}
			list = append(list, m)
		}
		if err := w.Close(); err != nil {
			rt.Fatal(err)
		}
		a, err := read(t, "tar", b.Bytes())
		if err != nil || len(a.Members) != len(list) {
			rt.Fatalf("%v, %v", a, err)
		}
		for i, m := range list {
			got := &a.Members[i]
			if got.Name != m.name || got.Kind != m.kind || got.Number != i+1 || got.Size != int64(len(m.body)) {
				rt.Fatalf("%+v, want %q", got, m.name)
			}
			if m.kind != archive.File {
				continue
			}
			d, err := a.Disk(got)
			if err != nil {
				rt.Fatal(err)
			}
			if body := disktest.ReadAll(t, d); !bytes.Equal(body, m.body) {
				rt.Fatalf("%q has other bytes", m.name)
			}
		}
	})
}

// TestSparse reads what GNU tar makes of a file with holes, in all four ways.
func TestSparse(t *testing.T) {
	testkit.Need(t, "tar")
	dir := t.TempDir()
	var extents []disk.Extent
	for i := range int64(40) {
		extents = append(extents, disk.Extent{Off: i << 18, Len: 5000})
	}
	src := disktest.NewSynthetic(40<<18, 3, extents...)
	disktest.WriteFile(t, filepath.Join(dir, "disk.raw"), src)
	for _, way := range [][]string{
		{"--format=gnu"}, {"--format=posix", "--sparse-version=0.0"}, {"--format=posix", "--sparse-version=0.1"}, {"--format=posix", "--sparse-version=1.0"},
	} {
		t.Run(strings.Join(way, " "), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "a.tar")
			cmd := exec.Command(testkit.Program("tar"), append(way, "-S", "-C", dir, "-cf", file, "disk.raw")...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a, err := read(t, "tar", b)
			if err != nil || len(a.Members) != 1 {
				t.Fatal(a, err)
			}
			m := &a.Members[0]
			if m.Name != "disk.raw" || m.Packed >= m.Size {
				t.Errorf("%+v", m)
			}
			d, err := a.Disk(m)
			if err != nil {
				t.Fatal(err)
			}
			disktest.Sound(t, d, disktest.ReadAll(t, src))
			if n, err := disk.Allocated(t.Context(), d); err != nil || n >= src.Size()/4 {
				t.Errorf("%d bytes are data, %v", n, err)
			}
			for e, err := range d.Extents(t.Context(), 0, d.Size()) {
				if err != nil {
					t.Fatal(err)
				}
				if e.Kind != disk.Data {
					continue
				}
				got := make([]byte, e.Len)
				if err := disk.ReadFull(d, got, e.Off); err != nil || !bytes.Equal(got, b[e.At:e.At+e.Len]) {
					t.Fatalf("%+v does not lie there, %v", e, err)
				}
			}
		})
	}
}

// header makes a tar header of a member; change may spoil it before the sum.
func header(name string, kind byte, size string, change func(h []byte)) []byte {
	h := make([]byte, 512)
	copy(h, name)
	copy(h[100:], "0000644\x00")
	copy(h[124:136], size)
	h[156] = kind
	copy(h[257:], "ustar\x0000")
	if change != nil {
		change(h)
	}
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00", sum))
	return h
}

func octal(n int) string { return fmt.Sprintf("%011o", n) }

// padded fills a body up to whole blocks.
func padded(body string) []byte { return append([]byte(body), make([]byte, -len(body)&511)...) }

func pax(records ...string) []byte {
	var text string
	for _, r := range records {
		n := len(r) + 3
		for len(fmt.Sprint(n))+len(r)+2 != n {
			n++
		}
		text += fmt.Sprintf("%d %s\n", n, r)
	}
	return append(header("pax", 'x', octal(len(text)), nil), padded(text)...)
}

// TestTarHostile (S-139, S-151): what breaks the rules is malformed, what is
// too much refused, and nothing else comes out.
func TestTarHostile(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	end := make([]byte, 1024)
	file := func(name string) []byte { return join(header(name, '0', octal(3), nil), padded("abc")) }
	binarySize := func(b ...byte) func([]byte) {
		return func(h []byte) {
			clear(h[124:136])
			copy(h[124:], b)
		}
	}
	oldSparse := func(numbers ...string) func([]byte) {
		return func(h []byte) {
			for i, n := range numbers {
				copy(h[386+12*i:], n)
			}
			copy(h[483:], octal(4096))
		}
	}
	const malformed = "malformed"
	for _, tt := range []struct {
		name string
		file []byte
		want string // malformed, a reason, or how many members there are
	}{
		{"good", join(file("a"), file("b"), end), "2"},
		{"no end", join(file("a"), file("b")), "2"},
		{"last not filled up", join(file("a"), header("b", '0', octal(3), nil), []byte("abc")), "2"},
		{"something behind the end", join(file("a"), end, []byte("garbage")), "1"},
		{"empty", end, "0"},
		{"nothing", nil, malformed},
		{"cut in a header", file("a")[:700], "1"},
		{"cut in the second header", join(file("a"), file("b")[:100]), malformed},
		{"cut in a body", file("a")[:513], malformed},
		{"wrong sum", join(append([]byte("X"), file("a")[1:]...), end), malformed},
		{"old style", join(header("a", 0, octal(3), func(h []byte) { clear(h[257:265]) }), padded("abc"), end), "1"},
		{"paths", join(file("/etc/passwd"), file("../../x"), file("C:\\x"), end), "3"},
		{"link and file through it", join(header("d", '2', octal(0), nil), file("d/x"), end), "2"},
		{"size of a link", join(header("d", '1', octal(77777), nil), end), "1"},
		{"twice", join(file("a"), file("a"), end), malformed},
		{"twice in other words", join(file("a"), file("./x/../a"), end), malformed},
		{"file and link", join(file("a"), header("a", '2', octal(0), nil), end), malformed},
		{"directory twice", join(header("d/", '5', octal(0), nil), header("d/", '5', octal(0), nil), end), "2"},
		{"negative size", join(header("a", '0', "-0000000003\x00", nil), padded("abc"), end), malformed},
		{"negative binary size", join(header("a", '0', "", binarySize(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfd)), padded("abc"), end), malformed},
		{"binary size", join(header("a", '0', "", binarySize(0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3)), padded("abc"), end), "1"},
		{"2^63", join(header("a", '0', "", binarySize(0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0)), padded("abc"), end), malformed},
		{"2^63-1", join(header("a", '0', "", binarySize(0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)), padded("abc"), end), malformed},
		{"2^95", join(header("a", '0', "", binarySize(0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)), padded("abc"), end), malformed},
		{"size of letters", join(header("a", '0', "abc", nil), end), malformed},
		{"longer than the file", join(header("a", '0', octal(99999), nil), end), malformed},
		{"pax size", join(pax("size=3", "path=b"), header("a", '0', octal(0), nil), padded("abc"), end), "1"},
		{"pax size negative", join(pax("size=-3"), file("a"), end), malformed},
		{"pax size too long", join(pax("size=99999999999999999999"), file("a"), end), malformed},
		{"pax record without end", join(header("pax", 'x', octal(8), nil), padded("99 a=b\n"), file("a"), end), malformed},
		{"pax record of nothing", join(header("pax", 'x', octal(4), nil), padded("0 =\n"), file("a"), end), malformed},
		{"pax alone", join(pax("path=b"), end), malformed},
		{"pax at the end of the file", pax("path=b"), malformed},
		{"pax header too long", join(header("pax", 'x', octal(2<<20), nil), make([]byte, 2<<20), file("a"), end), "limit"},
		{"many pax headers", join(bytes.Repeat(pax("comment="+strings.Repeat("x", 400)), 1200), file("a"), end), "limit"},
		{"global size", join(header("g", 'g', octal(9), nil), padded("9 size=3\n"), file("a"), end), "feature"},
		{"global between", join(pax("size=3"), header("g", 'g', octal(14), nil), padded("14 comment=ab\n"), header("a", '0', octal(0), nil), padded("abc"), end), "1"},
		{"name too long", join(header("L", 'L', octal(5000), nil), padded(strings.Repeat("n", 5000)), file("a"), end), "limit"},
		{"too many members", many(archive.MaxMembers + 1), "limit"},
		{"volumes", join(header("a", 'M', octal(3), nil), padded("abc"), end), "feature"},
		{"sparse", join(header("a", 'S', octal(512), oldSparse(octal(0), octal(512))), make([]byte, 512), end), "1"},
		{"sparse backwards", join(header("a", 'S', octal(512), oldSparse(octal(512), octal(256), octal(0), octal(256))), make([]byte, 512), end), malformed},
		{"sparse overlap", join(header("a", 'S', octal(1024), oldSparse(octal(0), octal(600), octal(512), octal(424))), make([]byte, 1024), end), malformed},
		{"sparse over the end", join(header("a", 'S', octal(512), oldSparse(octal(4000), octal(512))), make([]byte, 512), end), malformed},
		{"sparse with less data", join(header("a", 'S', octal(512), oldSparse(octal(0), octal(1024))), make([]byte, 512), end), malformed},
		{"sparse with more data", join(header("a", 'S', octal(1024), oldSparse(octal(0), octal(512))), make([]byte, 1024), end), malformed},
		{"pax sparse without map", join(pax("GNU.sparse.size=9"), file("a"), end), malformed},
		{"pax sparse odd map", join(pax("GNU.sparse.size=9", "GNU.sparse.map=0,3,4"), file("a"), end), malformed},
		{"pax sparse overflow", join(pax("GNU.sparse.size=9223372036854775807", "GNU.sparse.map=9223372036854775807,3"), file("a"), end), malformed},
		{"pax sparse negative", join(pax("GNU.sparse.size=9", "GNU.sparse.map=-1,3"), file("a"), end), malformed},
		{"pax sparse out of order", join(pax("GNU.sparse.size=9", "GNU.sparse.numbytes=1"), file("a"), end), malformed},
		{"pax sparse of version 2", join(pax("GNU.sparse.major=2", "GNU.sparse.minor=0"), file("a"), end), "feature"},
		{"pax sparse of too many", join(pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9"), header("a", '0', octal(512), nil), padded("99999999\n"), end), "limit"},
		{"pieces without end", pieces(archive.MaxPieces/40_000 + 1), "limit"},
		{"pax sparse cut", join(pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9"), header("a", '0', octal(512), nil), padded("500\n"), end), malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := read(t, "tar", tt.file)
			var ok bool
			switch tt.want {
			case malformed:
				ok = isMalformed(err)
			case "limit", "feature":
				ok = isRefused(err, disk.Reason(tt.want))
			default:
				ok = err == nil && fmt.Sprint(len(a.Members)) == tt.want
			}
			if !ok {
				t.Errorf("%v, %v; want %s", a, err, tt.want)
			}
		})
	}
}

// pieces makes n members of 40,000 pieces each.
func pieces(n int) []byte {
	var text strings.Builder
	text.WriteString("40000\n")
	for i := range 40_000 {
		fmt.Fprintf(&text, "%d\n1\n", 2*i)
	}
	data := append(padded(text.String()), make([]byte, 40_448)...)
	var b bytes.Buffer
	for i := range n {
		b.Write(pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=80000", fmt.Sprint("GNU.sparse.name=", i)))
		b.Write(header("a", '0', octal(len(padded(text.String()))+40_000), nil))
		b.Write(data)
	}
	return b.Bytes()
}

func many(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		b.Write(header(fmt.Sprint(i), '0', octal(0), nil))
	}
	return b.Bytes()
}

func TestBudget(t *testing.T) {
	b := many(1000)
	for _, l := range []disk.Limits{{Memory: 1000}, {Read: 1000}, {Steps: 10}} {
		if _, err := archive.Read(t.Context(), "tar", bytes.NewReader(b), int64(len(b)), disk.NewBudget(l)); !isRefused(err, disk.ReasonLimit) {
			t.Errorf("%+v: %v", l, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Read(ctx, "tar", bytes.NewReader(b), int64(len(b)), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := archive.Read(t.Context(), "cpio", bytes.NewReader(b), int64(len(b)), nil); !isRefused(err, disk.ReasonUnsupported) {
		t.Errorf("cpio: %v", err)
	}
}

// drain reads all that an archive offers, within reason.
func drain(t *testing.T, a *archive.Archive, size int64) {
	sum := int64(0)
	for i := range a.Members {
		m := &a.Members[i]
		if m.Size < 0 || m.Packed < 0 || m.Packed > 0 && (m.Off < 0 || m.Off > size-m.Packed) {
			t.Fatalf("%+v lies out of %d bytes", m, size)
		}
		r, err := a.Unpack(m)
		if err != nil {
			continue
		}
		n, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		if err == nil && n != min(m.Size, 1<<20) {
			t.Fatalf("%+v gives %d bytes", m, n)
		}
		if sum += n; sum > 16<<20 {
			return
		}
	}
}

func FuzzTar(f *testing.F) {
	f.Add(bytes.Join([][]byte{pax("path=b", "size=3"), header("a", '0', octal(0), nil), padded("abc"), make([]byte, 1024)}, nil))
	f.Add(bytes.Join([][]byte{pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9"), header("a", '0', octal(515), nil), padded("1\n2\n3\n"), padded("abc")}, nil))
	f.Add(header("a", 'S', octal(0), func(h []byte) { copy(h[483:], octal(4096)) }))
	f.Add(binary.BigEndian.AppendUint64(nil, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := read(t, "tar", b)
		if err != nil {
			var refused *disk.Refused
			if !isMalformed(err) && !errors.As(err, &refused) {
				t.Errorf("%v is no error of ours", err)
			}
			return
		}
		drain(t, a, int64(len(b)))
	})
}
