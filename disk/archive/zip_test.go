package archive_test

import (
	stdzip "archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kuva/disk"
	"kuva/disk/archive"
	"kuva/internal/testkit"
)

var le = binary.LittleEndian

// TestZipLikeGo reads what Go's own writer makes of random members.
func TestZipLikeGo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var b bytes.Buffer
		prefix := rapid.SampledFrom([]string{"", "#!/bin/sh\nexit\n"}).Draw(rt, "prefix")
		b.WriteString(prefix)
		w := stdzip.NewWriter(&b)
		bodies := map[string][]byte{}
		for i := range rapid.IntRange(0, 6).Draw(rt, "members") {
			name := fmt.Sprint(i) + rapid.SampledFrom([]string{"a", "ä", "d/", strings.Repeat("long", 100)}).Draw(rt, "name")
			f, err := w.CreateHeader(&stdzip.FileHeader{Name: name, Method: rapid.SampledFrom([]uint16{stdzip.Store, stdzip.Deflate}).Draw(rt, "method")})
			if err != nil {
				rt.Fatal(err)
			}
			body := rapid.SliceOfN(rapid.Byte(), 0, 1500).Draw(rt, "body")
			if strings.HasSuffix(name, "/") {
				body = nil
			}
			if _, err := f.Write(body); err != nil {
				rt.Fatal(err)
			}
			bodies[name] = body
		}
		if err := w.SetComment(rapid.SampledFrom([]string{"", "a comment"}).Draw(rt, "comment")); err != nil {
			rt.Fatal(err)
		}
		if err := w.Close(); err != nil {
			rt.Fatal(err)
		}
		a, err := read(t, "zip", b.Bytes())
		if err != nil || len(a.Members) != len(bodies) {
			rt.Fatalf("%v, %v", a, err)
		}
		for i := range a.Members {
			m := &a.Members[i]
			if m.Kind == archive.Dir {
				continue
			}
			r, err := a.Unpack(m)
			if err != nil {
				rt.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, bodies[m.Name]) {
				rt.Fatalf("%q has other bytes, %v", m.Name, err)
			}
			if d, err := a.Disk(m); (err == nil) != m.Stored() || err == nil && d.Size() != m.Size {
				rt.Fatalf("%q: %v, %v", m.Name, d, err)
			}
		}
	})
}

// TestInfoZip reads what zip(1) makes, streamed too, which gives it headers of
// 64 bits and sizes behind the data.
func TestInfoZip(t *testing.T) {
	testkit.Need(t, "zip")
	dir := t.TempDir()
	body := strings.Repeat("some bytes ", 10_000)
	if err := os.WriteFile(filepath.Join(dir, "disk.raw"), []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-q"}, {"-q", "-0"}, {"-q", "-y"}, {"-q", "-fz"}} {
		out := "-"
		if slices.Contains([]string{"-y", "-fz"}, args[len(args)-1]) { // links cannot go into a pipe, and -fz forgets a record
			out = filepath.Join(t.TempDir(), "a.zip")
		}
		cmd := exec.Command(testkit.Program("zip"), append(args, out, "disk.raw", "link")...)
		cmd.Dir = dir
		b, err := cmd.Output()
		if err == nil && out != "-" {
			b, err = os.ReadFile(out)
		}
		if err != nil {
			t.Fatal(args, err)
		}
		a, err := read(t, "zip", b)
		if err != nil || len(a.Members) != 2 {
			t.Fatal(args, a, err)
		}
		if link := a.Members[1].Kind == archive.Link; link != (args[len(args)-1] == "-y") {
			t.Errorf("%v: %+v", args, a.Members[1])
		}
		r, err := a.Unpack(&a.Members[0])
		if err != nil {
			t.Fatal(args, err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != body {
			t.Errorf("%v: %d bytes, %v", args, len(got), err)
		}
	}
	cmd := exec.Command(testkit.Program("zip"), "-q", "-P", "secret", "-", "disk.raw")
	cmd.Dir = dir
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	a, err := read(t, "zip", b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Unpack(&a.Members[0]); !isRefused(err, disk.ReasonEncrypted) {
		t.Errorf("encrypted: %v", err)
	}
}

// zipOf makes an archive of stored members "abc" and says where its parts are.
func zipOf(names ...string) (b []byte, locals, centrals []int, end int) {
	var list []byte
	for _, name := range names {
		locals = append(locals, len(b))
		h := make([]byte, 30)
		copy(h, "PK\x03\x04\x0a")
		le.PutUint32(h[14:], 0x352441c2) // of "abc"
		le.PutUint32(h[18:], 3)
		le.PutUint32(h[22:], 3)
		le.PutUint16(h[26:], uint16(len(name)))
		c := make([]byte, 46)
		copy(c, "PK\x01\x02\x0a\x00\x0a")
		copy(c[16:], h[14:26])
		le.PutUint16(c[28:], uint16(len(name)))
		le.PutUint32(c[42:], uint32(len(b)))
		centrals = append(centrals, len(list))
		list = append(append(list, c...), name...)
		b = append(append(append(b, h...), name...), "abc"...)
	}
	at := len(b)
	for i := range centrals {
		centrals[i] += at
	}
	b = append(b, list...)
	end = len(b)
	e := make([]byte, 22)
	copy(e, "PK\x05\x06")
	le.PutUint16(e[8:], uint16(len(names)))
	le.PutUint16(e[10:], uint16(len(names)))
	le.PutUint32(e[12:], uint32(len(list)))
	le.PutUint32(e[16:], uint32(at))
	return append(b, e...), locals, centrals, end
}

// TestZipHostile (S-139, S-151): headers that disagree, members that overlap
// and all that programs read in different ways is malformed.
func TestZipHostile(t *testing.T) {
	const malformed, unread = "malformed", "listed, malformed when read"
	type spots struct {
		b                []byte
		locals, centrals []int
		end              int
	}
	for _, tt := range []struct {
		name   string
		change func(s *spots)
		want   string
	}{
		{"good", func(s *spots) {}, "2"},
		{"prefix", func(s *spots) { s.b = append([]byte("prefix"), s.b...) }, "2"},
		{"something behind", func(s *spots) { s.b = append(s.b, 0) }, malformed},
		{"two ends", func(s *spots) {
			le.PutUint16(s.b[s.end+20:], 22)
			s.b = append(s.b, s.b[s.end:]...)
			le.PutUint16(s.b[s.end+22+20:], 0)
		}, malformed},
		{"cut", func(s *spots) { s.b = s.b[10:] }, malformed},
		{"no end", func(s *spots) { s.b = s.b[:s.end] }, malformed},
		{"fewer members than counted", func(s *spots) { s.b[s.end+8], s.b[s.end+10] = 3, 3 }, malformed},
		{"more members than counted", func(s *spots) { s.b[s.end+8], s.b[s.end+10] = 1, 1 }, malformed},
		{"list out of the file", func(s *spots) { le.PutUint32(s.b[s.end+16:], 1<<31) }, malformed},
		{"list too long", func(s *spots) { le.PutUint32(s.b[s.end+12:], 1<<31) }, malformed},
		{"several volumes", func(s *spots) { s.b[s.end+4] = 1 }, "feature"},
		{"volume of a member", func(s *spots) { s.b[s.centrals[0]+34] = 1 }, "feature"},
		{"overlap", func(s *spots) {
			le.PutUint32(s.b[s.centrals[1]+42:], uint32(s.locals[0]))
			s.b[s.centrals[1]+46] = 'a'
		}, malformed},
		{"other name", func(s *spots) { s.b[s.locals[0]+30] = 'x' }, malformed},
		{"other length of name", func(s *spots) { s.b[s.locals[0]+26] = 2 }, malformed},
		{"other method", func(s *spots) { s.b[s.locals[0]+8] = 8 }, malformed},
		{"other size", func(s *spots) { s.b[s.locals[0]+22] = 4 }, malformed},
		{"size behind the data", func(s *spots) {
			s.b[s.locals[0]+6] = 8
			clear(s.b[s.locals[0]+14:][:12])
		}, "2"},
		{"stored in two sizes", func(s *spots) { s.b[s.centrals[0]+24] = 4 }, malformed},
		{"header not there", func(s *spots) { s.b[s.locals[0]] = 'X' }, malformed},
		{"header behind the list", func(s *spots) { le.PutUint32(s.b[s.centrals[0]+42:], uint32(s.end)) }, malformed},
		{"data over the list", func(s *spots) {
			le.PutUint32(s.b[s.centrals[1]+20:], 60)
			le.PutUint32(s.b[s.centrals[1]+24:], 60)
			le.PutUint32(s.b[s.locals[1]+18:], 60)
			le.PutUint32(s.b[s.locals[1]+22:], 60)
		}, malformed},
		{"large without a size", func(s *spots) { le.PutUint32(s.b[s.centrals[0]+24:], 1<<32-1) }, malformed},
		{"two of a name", func(s *spots) { s.b[s.locals[1]+30], s.b[s.centrals[1]+46] = 'a', 'a' }, malformed},
		{"wrong sum", func(s *spots) { s.b[s.centrals[0]+16] ^= 1 }, unread},
		{"encrypted", func(s *spots) { s.b[s.centrals[0]+8] = 1 }, "2"},
		{"encrypted names", func(s *spots) { s.b[s.centrals[0]+9] = 0x20 }, "encrypted"},
		{"not deflate", func(s *spots) { s.b[s.centrals[0]+10], s.b[s.locals[0]+8] = 8, 8 }, unread},
		{"list of too many", func(s *spots) { le.PutUint32(s.b[s.end+8:], 0xffffffff) }, "limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &spots{}
			s.b, s.locals, s.centrals, s.end = zipOf("a", "b")
			tt.change(s)
			a, err := read(t, "zip", s.b)
			var ok bool
			switch tt.want {
			case malformed:
				ok = isMalformed(err)
			case unread:
				if err == nil {
					var r io.Reader
					if r, err = a.Unpack(&a.Members[0]); err == nil {
						_, err = io.ReadAll(r)
					}
					ok = isMalformed(err)
				}
			case "limit", "feature", "encrypted":
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

// TestZip64 reads an end and a member with numbers of 64 bits, and refuses
// those that lie.
func TestZip64(t *testing.T) {
	b, _, centrals, end := zipOf("a")
	at := centrals[0]
	list := bytes.Clone(b[at:end])
	le.PutUint32(list[24:], 1<<32-1) // size
	le.PutUint16(list[30:], 12)
	list = append(list, 1, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0)
	e := make([]byte, 56)
	copy(e, "PK\x06\x06")
	le.PutUint64(e[4:], 44)
	le.PutUint64(e[24:], 1)
	le.PutUint64(e[32:], 1)
	le.PutUint64(e[40:], uint64(len(list)))
	le.PutUint64(e[48:], uint64(at))
	l := make([]byte, 20)
	copy(l, "PK\x06\x07")
	le.PutUint64(l[8:], uint64(at+len(list)))
	last := bytes.Clone(b[end:])
	for i := 8; i < 20; i++ {
		last[i] = 0xff
	}
	whole := func() []byte { return bytes.Join([][]byte{b[:at], list, e, l, last}, nil) }
	a, err := read(t, "zip", whole())
	if err != nil || len(a.Members) != 1 || a.Members[0].Size != 3 {
		t.Fatal(a, err)
	}
	for name, change := range map[string]func(){
		"no end":       func() { e[0] = 'X' },
		"list outside": func() { le.PutUint64(e[48:], 1<<63) },
		"many members": func() { le.PutUint64(e[24:], 1<<40); le.PutUint64(e[32:], 1<<40) },
		"size":         func() { le.PutUint64(list[51:], 1<<63) },
	} {
		e2, list2 := bytes.Clone(e), bytes.Clone(list)
		change()
		if _, err := read(t, "zip", whole()); !isMalformed(err) && !isRefused(err, disk.ReasonLimit) {
			t.Errorf("%s: %v", name, err)
		}
		copy(e, e2)
		copy(list, list2)
	}
}

func FuzzZip(f *testing.F) {
	b, _, _, _ := zipOf("a", "b/")
	f.Add(b)
	var buf bytes.Buffer
	w := stdzip.NewWriter(&buf)
	if z, err := w.Create("deflated"); err != nil {
		f.Fatal(err)
	} else if _, err := z.Write(make([]byte, 3000)); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := read(t, "zip", b)
		if err != nil {
			if !isMalformed(err) && !isRefused(err, disk.ReasonFeature) && !isRefused(err, disk.ReasonLimit) && !isRefused(err, disk.ReasonEncrypted) {
				t.Errorf("%v is no error of ours", err)
			}
			return
		}
		drain(t, a, int64(len(b)))
	})
}
