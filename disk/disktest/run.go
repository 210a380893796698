package disktest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"kuva/disk"
)

// Variant is one kind of file of a format.
type Variant struct {
	Name     string
	Settings disk.Settings // for Layout and Stream
	Stream   bool          // compressed: Stream is tested instead of Layout

	QEMU        string // qemu-img's name of the format
	QEMUOptions string // what -o takes to make such a file; "-" if qemu-img cannot
	Compress    bool   // qemu-img convert needs -c
	QEMUCheck   bool   // qemu-img check knows the format

	// MaxSize is the largest disk, tested with a few extents; 0 to leave it.
	MaxSize int64
	// Size says how large a disk of n bytes becomes; nil means whole sectors.
	Size func(n int64) int64
	// QEMUSize is Size as qemu-img info tells it; nil means the same.
	QEMUSize func(n int64) int64
	// NoEmpty: the format has no disks of 0 bytes.
	NoEmpty bool
}

func (v *Variant) size(n int64) int64 {
	if v.Size != nil {
		return v.Size(n)
	}
	return (n + 511) &^ 511
}

func (v *Variant) qemuSize(n int64) int64 {
	if v.QEMUSize != nil {
		return v.QEMUSize(n)
	}
	return v.size(n)
}

// Run tests a format both ways in each variant.
func Run(t *testing.T, f *disk.Format, variants ...Variant) {
	for i, v := range variants {
		t.Run(v.Name, func(t *testing.T) {
			samples := Samples()
			if i > 0 { // the first stands for those that differ little
				for _, name := range []string{"empty", "one byte", "one sector", "full", "end of block"} {
					delete(samples, name)
				}
			}
			if v.NoEmpty {
				delete(samples, "nothing")
			}
			t.Run("write", func(t *testing.T) {
				for _, name := range names(samples) {
					t.Run(name, func(t *testing.T) { testWrite(t, f, v, samples[name]) })
				}
			})
			if v.QEMUOptions != "-" {
				t.Run("read", func(t *testing.T) {
					for _, name := range names(samples) {
						t.Run(name, func(t *testing.T) { testRead(t, f, v, samples[name]) })
					}
				})
			}
			t.Run("random", func(t *testing.T) { testRandom(t, f, v) })
			if v.MaxSize > 0 && !v.Stream {
				t.Run("largest", func(t *testing.T) { testLargest(t, f, v) })
			}
		})
	}
}

// testWrite lays a disk out, reads it back, and asks qemu-img.
func testWrite(t *testing.T, f *disk.Format, v Variant, src *Synthetic) {
	file := filepath.Join(t.TempDir(), "image")
	if v.Stream {
		writeStream(t, f, v, src, file)
	} else {
		view, err := f.Layout(t.Context(), src, v.Settings)
		if err != nil {
			t.Fatal(err)
		}
		WriteFile(t, file, view)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		Sound(t, view, b)
		again, err := f.Layout(t.Context(), src, v.Settings)
		if err != nil {
			t.Fatal(err)
		}
		if off, err := disk.Compare(t.Context(), view, again); off >= 0 || err != nil {
			t.Fatalf("laid out again the file differs at %d, %v", off, err)
		}
	}
	d, err := OpenFile(t, f, file, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := v.size(src.Size())
	same(t, d, src, want)
	readAnywhere(t, d, src)
	lies(t, d, file)
	clean(t, f, file)

	if got, want := qemuSize(t, v.QEMU, file), v.qemuSize(src.Size()); got != want {
		t.Errorf("qemu-img info: %d bytes, want %d", got, want)
	}
	if v.QEMUCheck {
		if code, out := QEMU(t, "check", "-f", v.QEMU, file); code != 0 {
			t.Errorf("qemu-img check: code %d\n%s", code, out)
		}
	}
	plain := filepath.Join(t.TempDir(), "raw")
	WriteFile(t, plain, src)
	if code, out := QEMU(t, "compare", "-f", "raw", "-F", v.QEMU, plain, file); code != 0 {
		t.Errorf("qemu-img compare: code %d\n%s", code, out)
	}
}

// writeStream writes a compressed file, to a file and to a pipe.
func writeStream(t *testing.T, f *disk.Format, v Variant, src disk.Disk, file string) {
	t.Helper()
	s, err := f.Stream(t.Context(), src, v.Settings)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	n, err := s.WriteTo(t.Context(), out)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil || int64(len(b)) != n {
		t.Fatalf("%d bytes written, %d in the file, %v", n, len(b), err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(5)) // workers follow it
	var pipe bytes.Buffer
	if s, err = f.Stream(t.Context(), src, v.Settings); err != nil {
		t.Fatal(err)
	}
	if n, err := s.WriteTo(t.Context(), struct{ io.Writer }{&pipe}); err != nil || n != int64(pipe.Len()) {
		t.Fatalf("%d bytes written, %d came, %v", n, pipe.Len(), err)
	}
	if !bytes.Equal(pipe.Bytes(), b) {
		t.Fatal("a pipe gets other bytes than a file")
	}
}

// testRead opens what qemu-img made.
func testRead(t *testing.T, f *disk.Format, v Variant, src *Synthetic) {
	dir := t.TempDir()
	plain, file := filepath.Join(dir, "raw"), filepath.Join(dir, "image")
	WriteFile(t, plain, src)
	args := []string{"convert", "-f", "raw", "-O", v.QEMU}
	if v.Compress {
		args = append(args, "-c")
	}
	if v.QEMUOptions != "" {
		args = append(args, "-o", v.QEMUOptions)
	}
	MustQEMU(t, append(args, plain, file)...)
	d, err := OpenFile(t, f, file, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, d, src, qemuSize(t, v.QEMU, file))
	readAnywhere(t, d, src)
	lies(t, d, file)
	clean(t, f, file)
}

// lies looks where the extents say that data lie, and adds up what they say.
func lies(t testing.TB, d disk.Disk, file string) {
	t.Helper()
	f, size := File(t, file)
	var sum int64
	for e, err := range d.Extents(t.Context(), 0, d.Size()) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != disk.Data {
			continue
		}
		sum += e.Len
		if e.At == disk.Nowhere {
			continue
		}
		if e.At < 0 || e.At+e.Len > size {
			t.Fatalf("%+v lies out of the file of %d bytes", e, size)
		}
		got, want := make([]byte, e.Len), make([]byte, e.Len)
		if err := errors.Join(disk.ReadFull(f, got, e.At), disk.ReadFull(d, want, e.Off)); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%+v does not lie there, %v", e, err)
		}
	}
	if n, err := disk.Allocated(t.Context(), d); n != sum || err != nil {
		t.Errorf("%d bytes are allocated, %v; the extents have %d", n, err, sum)
	}
}

// testRandom draws disks and goes round without files.
func testRandom(t *testing.T, f *disk.Format, v Variant) {
	rapid.Check(t, func(rt *rapid.T) {
		src := DrawDisk(rt, 3<<20)
		if v.NoEmpty && src.Size() == 0 {
			return
		}
		var r io.ReaderAt
		var size int64
		if v.Stream {
			var b bytes.Buffer
			s, err := f.Stream(t.Context(), src, v.Settings)
			if err != nil {
				rt.Fatal(err)
			}
			if _, err := s.WriteTo(t.Context(), &b); err != nil {
				rt.Fatal(err)
			}
			r, size = bytes.NewReader(b.Bytes()), int64(b.Len())
		} else {
			view, err := f.Layout(t.Context(), src, v.Settings)
			if err != nil {
				rt.Fatal(err)
			}
			r, size = view, view.Size()
		}
		d, err := f.Open(t.Context(), r, size, disk.OpenOptions{})
		if err != nil {
			rt.Fatal(err)
		}
		if d.Size() != v.size(src.Size()) {
			rt.Fatalf("%d bytes became %d", src.Size(), d.Size())
		}
		if off, err := disk.Compare(t.Context(), src, d); off >= 0 || err != nil {
			rt.Fatalf("differs at %d, %v", off, err)
		}
		if f.Check != nil {
			report, err := f.Check(t.Context(), r, size, disk.OpenOptions{})
			if err != nil || !report.Clean() {
				rt.Fatalf("check: %v\n%+v", err, report)
			}
		}
	})
}

// testLargest lays out a disk of the format's largest size with a little data
// at its start, in the middle and at its end, and samples it.
func testLargest(t *testing.T, f *disk.Format, v Variant) {
	size := v.MaxSize
	var extents []disk.Extent
	for _, off := range []int64{0, size / 3, size/2 - 700, size - 3000} {
		extents = append(extents, disk.Extent{Off: off, Len: 3000})
	}
	src := NewSynthetic(size, 11, extents...)
	view, err := f.Layout(t.Context(), src, v.Settings)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.Open(t.Context(), view, view.Size(), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, d, src, v.size(size))
	if v.Name != "raw" {
		if _, err := f.Layout(t.Context(), NewSynthetic(1<<62, 12), v.Settings); err == nil {
			t.Error("a disk of 2^62 bytes is laid out")
		}
	}
	if view.Size() > 1<<30 {
		return // too large a file for qemu-img here
	}
	file := filepath.Join(t.TempDir(), "image")
	WriteFile(t, file, view)
	clean(t, f, file)
	if got, want := qemuSize(t, v.QEMU, file), v.qemuSize(size); got != want {
		t.Errorf("qemu-img info: %d bytes, want %d", got, want)
	}
	if v.QEMUCheck {
		if code, out := QEMU(t, "check", "-f", v.QEMU, file); code != 0 {
			t.Errorf("qemu-img check: code %d\n%s", code, out)
		}
	}
}

// same compares a disk with what it was made from, which may be shorter.
func same(t testing.TB, d, src disk.Disk, size int64) {
	t.Helper()
	if d.Size() != size {
		t.Errorf("the disk has %d bytes, want %d", d.Size(), size)
	}
	if off, err := disk.Compare(t.Context(), d, src); off >= 0 || err != nil {
		t.Fatalf("the disk differs at %d, %v", off, err)
	}
}

// clean asks the format's own check.
func clean(t testing.TB, f *disk.Format, file string) {
	t.Helper()
	if f.Check == nil {
		return
	}
	r, size := File(t, file)
	report, err := f.Check(t.Context(), r, size, disk.OpenOptions{})
	if err != nil || !report.Clean() {
		t.Errorf("check: %v\n%+v", err, report)
	}
}

// readAnywhere reads ranges of all lengths at all alignments from four
// goroutines at once.
func readAnywhere(t testing.TB, d, src disk.Disk) {
	t.Helper()
	if src.Size() == 0 {
		return
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), uint64(src.Size())))
			for range 60 {
				off := rng.Int64N(src.Size())
				n := 1 + rng.Int64N(min(src.Size()-off, 1<<(1+rng.IntN(20))))
				got, want := make([]byte, n), make([]byte, n)
				if err := disk.ReadFull(src, want, off); err != nil {
					t.Error(err)
					return
				}
				if err := disk.ReadFull(d, got, off); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes at %d differ, or %v", n, off, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Sound reads a disk of known bytes in every way that Disk promises.
func Sound(t testing.TB, d disk.Disk, want []byte) {
	t.Helper()
	size := int64(len(want))
	if d.Size() != size {
		t.Fatalf("size %d, want %d", d.Size(), size)
	}
	got := make([]byte, size+1)
	if n, err := d.ReadAt(got, 0); int64(n) != size || err != io.EOF || !bytes.Equal(got[:size], want) {
		t.Fatalf("read whole: %d bytes, %v, or other bytes", n, err)
	}
	if n, err := d.ReadAt(got[:1], size); n != 0 || err != io.EOF {
		t.Errorf("read behind the end: %d, %v", n, err)
	}
	if _, err := d.ReadAt(got[:1], -1); err == nil {
		t.Error("a negative offset is read")
	}
	rng := rand.New(rand.NewPCG(1, uint64(size)))
	for range 200 {
		if size == 0 {
			break
		}
		off := rng.Int64N(size)
		n := 1 + rng.Int64N(min(size-off, 1<<(1+rng.IntN(18))))
		if err := disk.ReadFull(d, got[:n], off); err != nil || !bytes.Equal(got[:n], want[off:off+n]) {
			t.Fatalf("%d bytes at %d differ, or %v", n, off, err)
		}
	}
	for _, r := range [][2]int64{{0, size}, {size / 3, size / 2}, {size, 1}} {
		at, end := r[0], min(size, r[0]+r[1])
		for e, err := range d.Extents(t.Context(), r[0], r[1]) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Off != at || e.Len <= 0 || e.End() > end {
				t.Fatalf("extent %+v where %d comes", e, at)
			}
			at = e.End()
			if e.Kind != disk.Data && !disk.IsZero(want[e.Off:e.End()]) {
				t.Fatalf("%+v holds data", e)
			}
		}
		if at != end {
			t.Fatalf("extents of %v end at %d", r, at)
		}
	}
}
