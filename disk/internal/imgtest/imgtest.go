// Package imgtest makes disks for the tests of formats, and asks qemu-img what
// it thinks of the files.
package imgtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"kuva/disk"
	"kuva/disk/internal/blocks"
)

// Pattern is a disk of any size whose bytes follow from their offsets within
// its Data extents and are zero elsewhere.
type Pattern struct {
	Length int64
	Map    []disk.Extent // in order, without gaps
}

// Sparse makes a disk with data in some places.
func Sparse(size int64, data ...[2]int64) *Pattern {
	p := &Pattern{Length: size}
	at := int64(0)
	for _, d := range data {
		p.add(d[0]-at, disk.Hole)
		p.add(d[1], disk.Data)
		at = d[0] + d[1]
	}
	p.add(size-at, disk.Hole)
	return p
}

func (p *Pattern) add(n int64, k disk.Kind) {
	if n <= 0 {
		return
	}
	off := int64(0)
	if len(p.Map) > 0 {
		off = p.Map[len(p.Map)-1].End()
	}
	p.Map = append(p.Map, disk.Extent{Off: off, Len: n, Kind: k, At: disk.Nowhere})
}

// Random makes a disk with stretches of all kinds, up to most bytes each.
func Random(seed uint64, size, most int64) *Pattern {
	rng := rand.New(rand.NewPCG(seed, 7))
	p := &Pattern{Length: size}
	for off := int64(0); off < size; {
		n := min(size-off, 1+rng.Int64N(1+rng.Int64N(most)))
		p.add(n, disk.Kind(rng.IntN(3)))
		off += n
	}
	return p
}

// Size implements disk.Disk.
func (p *Pattern) Size() int64 { return p.Length }

// ReadAt implements io.ReaderAt.
func (p *Pattern) ReadAt(b []byte, off int64) (int, error) {
	return disk.ReadAtFunc(b, off, p.Length, func(b []byte, off int64) error {
		clear(b)
		for e := range p.Extents(context.Background(), off, int64(len(b))) {
			if e.Kind != disk.Data {
				continue
			}
			for i := e.Off; i < e.End(); i++ {
				// Half of the sectors compress well.
				v := uint64(i/8+1) * 0x9e3779b97f4a7c15
				if i>>9&1 == 0 {
					v = uint64(i/64 + 1)
				}
				b[i-off] = byte(v >> (i % 8 * 8))
			}
		}
		return nil
	})
}

// Extents implements disk.Disk.
func (p *Pattern) Extents(_ context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, p.Length)
		i, _ := slices.BinarySearchFunc(p.Map, off, func(e disk.Extent, off int64) int {
			if e.End() <= off {
				return -1
			}
			return 1
		})
		for ; n > 0; i++ {
			e := p.Map[i]
			e.Len = min(n, e.End()-off)
			e.Off = off
			if !yield(e, nil) {
				return
			}
			off, n = off+e.Len, n-e.Len
		}
	}
}

// Same says in which way got is no sound copy of want; got may be longer by
// zeros, up to size bytes.
func Same(t testing.TB, got, want disk.Disk, size int64) {
	t.Helper()
	if got.Size() != size {
		t.Fatalf("size %d, want %d", got.Size(), size)
	}
	at := int64(0)
	for e, err := range got.Extents(t.Context(), 0, got.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Off != at || e.Len <= 0 {
			t.Fatalf("extent %+v where %d comes", e, at)
		}
		at = e.End()
	}
	if at != size {
		t.Fatalf("extents end at %d of %d", at, size)
	}
	if off, err := disk.Compare(t.Context(), got, want); err != nil || off >= 0 {
		t.Fatalf("other byte at %d, %v", off, err)
	}
	if n, err := got.ReadAt(make([]byte, 1), size); n != 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("behind the end: %d, %v", n, err)
	}
	if _, err := got.ReadAt(make([]byte, 1), -1); err == nil {
		t.Fatal("a negative offset is read")
	}
}

// Steady reads a view in several ways, all of which must give the same bytes,
// and its extents must tell the truth.
func Steady(t testing.TB, v disk.View) {
	t.Helper()
	whole := make([]byte, v.Size())
	if err := disk.ReadFull(v, whole, 0); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(v.Size()), 1))
	for range 200 {
		off := rng.Int64N(v.Size())
		p := make([]byte, 1+rng.Int64N(min(v.Size()-off, 1+rng.Int64N(100_000))))
		if err := disk.ReadFull(v, p, off); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(p, whole[off:][:len(p)]) {
			t.Fatalf("%d bytes from %d are others", len(p), off)
		}
		at := off
		for e, err := range v.Extents(t.Context(), off, int64(len(p))) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Off != at || e.Len <= 0 || e.End() > off+int64(len(p)) {
				t.Fatalf("extent %+v where %d comes", e, at)
			}
			if e.Kind != disk.Data && !disk.IsZero(whole[e.Off:e.End()]) {
				t.Fatalf("extent %+v holds data", e)
			}
			at = e.End()
		}
		if at != off+int64(len(p)) {
			t.Fatalf("extents end at %d of %d", at, off+int64(len(p)))
		}
	}
}

// Save writes a view to a file with holes.
func Save(t testing.TB, v disk.View, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := disk.Copy(t.Context(), f, v, disk.CopyOptions{}); err != nil {
		t.Fatal(err)
	}
	return path
}

// Open opens a file with a format; it is closed when the test ends.
func Open(t testing.TB, f *disk.Format, path string) disk.Disk {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	st, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if yes, err := f.Probe(file, st.Size()); !yes || err != nil {
		t.Fatalf("%s is not found: %v", f.Name, err)
	}
	d, err := f.Open(t.Context(), file, st.Size(), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Clean checks a file with a format, which must find nothing.
func Clean(t testing.TB, f *disk.Format, path string) *disk.Report {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Check(t.Context(), file, st.Size(), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Clean() {
		t.Fatalf("check: %+v", r)
	}
	return r
}

// Memory is a disk of bytes, all of them data.
func Memory(b []byte) disk.Disk { return blocks.Bytes(b) }

// Image is a changeable file in memory, for tests that break it.
type Image []byte

// Of reads a view into memory.
func Of(t testing.TB, v disk.View) Image {
	t.Helper()
	b := make([]byte, v.Size())
	if err := disk.ReadFull(v, b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// Size is the length.
func (m Image) Size() int64 { return int64(len(m)) }

// Reader reads it.
func (m Image) Reader() io.ReaderAt { return bytes.NewReader(m) }

// Copy makes a copy to break.
func (m Image) Copy() Image { return bytes.Clone(m) }

// Put32 and its like write numbers.
func (m Image) Put32(off int, v uint32, o binary.ByteOrder) { o.PutUint32(m[off:], v) }

// Put64 writes a number.
func (m Image) Put64(off int, v uint64, o binary.ByteOrder) { o.PutUint64(m[off:], v) }

// WantRefused asks for an error with a reason; "" stands for a *Malformed.
func WantRefused(t testing.TB, what string, err error, reason disk.Reason) {
	t.Helper()
	if reason == "" {
		if m := (*disk.Malformed)(nil); !errors.As(err, &m) {
			t.Errorf("%s: %v, want malformed", what, err)
		}
		return
	}
	if r := (*disk.Refused)(nil); !errors.As(err, &r) || r.Reason != reason {
		t.Errorf("%s: %v, want refused (%s)", what, err, reason)
	}
}

// Use opens, checks and reads bytes that may be anything: what fuzz targets
// do. Whatever is wrong must be said by an error. A file that has a parent gets
// one.
func Use(t testing.TB, f *disk.Format, b []byte) {
	if _, err := f.Probe(bytes.NewReader(b), int64(len(b))); err != nil {
		t.Fatal(err)
	}
	err := use(t, f, b, nil)
	if r := (*disk.Refused)(nil); errors.As(err, &r) && r.Reason == disk.ReasonBacking {
		_ = use(t, f, b, Sparse(3<<20, [2]int64{1000, 2 << 20}))
	}
}

// use gives the error of Open.
func use(t testing.TB, f *disk.Format, b []byte, parent disk.Disk) error {
	r := bytes.NewReader(b)
	options := func() disk.OpenOptions {
		limits := disk.Limits{Memory: 16 << 20, Read: 64 << 20, Steps: 1 << 22}
		return disk.OpenOptions{Parent: parent, Budget: disk.NewBudget(limits)}
	}
	if _, err := f.Check(t.Context(), r, r.Size(), options()); err != nil {
		known(t, err)
	}
	d, err := f.Open(t.Context(), r, r.Size(), options())
	if err != nil {
		known(t, err)
		return err
	}
	n, at := 0, int64(0)
	for e, err := range d.Extents(t.Context(), 0, d.Size()) {
		if err != nil {
			known(t, err)
			break
		}
		if e.Off != at || e.Len <= 0 {
			t.Fatalf("extent %+v where %d comes", e, at)
		}
		at = e.End()
		if n++; n > 1000 {
			break
		}
	}
	p := make([]byte, min(d.Size(), 200_000))
	for _, off := range []int64{0, d.Size() - int64(len(p))} {
		if err := disk.ReadFull(d, p, off); err != nil {
			known(t, err)
		}
	}
	return nil
}

func known(t testing.TB, err error) {
	var m *disk.Malformed
	var r *disk.Refused
	if !errors.As(err, &m) && !errors.As(err, &r) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("an error of no kind: %v", err)
	}
}

// Qemu is the path of qemu-img. Without it the test does not run; where CI is
// set it fails.
func Qemu(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("qemu-img")
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatal("qemu-img is missing")
	}
	t.Skip("not run: qemu-img is missing")
	return ""
}

// Run calls qemu-img and gives what it said.
func Run(t testing.TB, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), Qemu(t), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("qemu-img %q: %v: %s%s", args, err, out, stderr.Bytes())
	}
	return out
}

// Judge lets qemu-img look at a file: it must find the size, the bytes of
// want, and where it can check the format nothing wrong.
func Judge(t testing.TB, qemuFormat, path string, want disk.Disk, size int64, check bool) {
	t.Helper()
	var info struct {
		Virtual int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal(Run(t, "info", "--output=json", "-f", qemuFormat, path), &info); err != nil {
		t.Fatal(err)
	}
	if info.Virtual != size {
		t.Fatalf("qemu-img info says %d bytes, want %d", info.Virtual, size)
	}
	if check {
		Run(t, "check", "-f", qemuFormat, path)
	}
	raw := Save(t, want, "raw")
	Run(t, "compare", "-f", qemuFormat, "-F", "raw", path, raw)
}

// FromQemu lets qemu-img write a disk in a format.
func FromQemu(t testing.TB, d disk.Disk, qemuFormat, options string) string {
	t.Helper()
	Qemu(t)
	raw := Save(t, d, "raw")
	path := filepath.Join(t.TempDir(), "file")
	args := []string{"convert", "-f", "raw", "-O", qemuFormat, raw, path}
	if options != "" {
		args = append(args, "-o", options)
	}
	Run(t, args...)
	return path
}

// Golden compares the SHA-256 of a layout with the one that is kept in
// testdata/NAME.sha256, since a released layout never changes. With the
// environment variable UPDATE=1 it is written anew.
func Golden(t testing.TB, name string, b []byte) {
	t.Helper()
	sum := fmt.Sprintf("%x\n", sha256.Sum256(b))
	path := filepath.Join("testdata", name+".sha256")
	if os.Getenv("UPDATE") == "1" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(sum), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sum != string(want) {
		t.Errorf("%s: other bytes than LayoutVersion promises: %s", name, sum)
	}
}
