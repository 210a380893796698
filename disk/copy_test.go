package disk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"kuva/disk"
	"kuva/disk/raw"
)

// plain is a disk in memory whose extents are given; bytes outside of Data
// extents are zero.
type plain struct {
	bytes   []byte
	extents []disk.Extent
}

func (p *plain) Size() int64 { return int64(len(p.bytes)) }

func (p *plain) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(p.bytes).ReadAt(b, off)
}

func (p *plain) Extents(_ context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		off, n := disk.Clamp(off, n, p.Size())
		for _, e := range p.extents {
			lo, hi := max(off, e.Off), min(off+n, e.End())
			if lo < hi && !yield(disk.Extent{Off: lo, Len: hi - lo, Kind: e.Kind, At: disk.Nowhere}, nil) {
				return
			}
		}
	}
}

// drawDisk makes a disk of up to max bytes with some extents.
func drawDisk(t *rapid.T, label string, maxSize int64) *plain {
	size := rapid.Int64Range(0, maxSize).Draw(t, label+" size")
	p := &plain{bytes: make([]byte, size)}
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, label+" seed"), 1))
	for off := int64(0); off < size; {
		n := min(size-off, 1+rng.Int64N(1<<(1+rng.IntN(21))))
		kind := disk.Kind(rng.IntN(3))
		p.extents = append(p.extents, disk.Extent{Off: off, Len: n, Kind: kind, At: disk.Nowhere})
		if kind == disk.Data && rng.IntN(4) > 0 {
			for i := off; i < off+n; i++ {
				p.bytes[i] = byte(rng.Uint32())
			}
		}
		off += n
	}
	return p
}

// sound reads a disk in every way and compares it with what it should hold.
func sound(t interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}, d disk.Disk, want []byte,
) {
	if d.Size() != int64(len(want)) {
		t.Fatalf("size %d, want %d", d.Size(), len(want))
	}
	got, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("other bytes, or %v", err)
	}
	if n, err := d.ReadAt(make([]byte, 1), d.Size()); n != 0 || !errors.Is(err, io.EOF) {
		t.Fatalf("behind the end: %d, %v", n, err)
	}
	if _, err := d.ReadAt(make([]byte, 1), -1); err == nil {
		t.Fatal("a negative offset is read")
	}
	for _, r := range [][2]int64{{0, d.Size()}, {d.Size() / 3, d.Size() / 2}} {
		at := r[0]
		for e, err := range d.Extents(context.Background(), r[0], r[1]) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Off != at || e.Len <= 0 {
				t.Fatalf("extent %+v where %d comes", e, at)
			}
			at = e.End()
			if e.Kind != disk.Data && !disk.IsZero(want[e.Off:e.End()]) {
				t.Fatalf("%+v holds data", e)
			}
		}
		if at != r[0]+r[1] {
			t.Fatalf("extents of %v end at %d", r, at)
		}
	}
}

func TestCopyAndCompare(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		src := drawDisk(t, "disk", 5<<20)
		f, err := os.Create(filepath.Join(dir, "raw"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var done int64
		n, err := disk.Copy(t.Context(), f, src, disk.CopyOptions{
			Workers:  rapid.IntRange(0, 3).Draw(t, "workers"),
			Full:     rapid.Bool().Draw(t, "full"),
			Progress: func(d, total int64) { done = d },
		})
		if err != nil || n > src.Size() || done != src.Size() {
			t.Fatalf("%d bytes written, %d done, %v", n, done, err)
		}
		d, err := raw.Open(t.Context(), f, src.Size(), disk.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sound(t, d, src.bytes)
		if off, err := disk.Compare(t.Context(), src, d); off != -1 || err != nil {
			t.Fatalf("compare: %d, %v", off, err)
		}
		if src.Size() == 0 {
			return
		}
		i := rapid.Int64Range(0, src.Size()-1).Draw(t, "changed byte")
		if _, err := f.WriteAt([]byte{^src.bytes[i]}, i); err != nil {
			t.Fatal(err)
		}
		if off, err := disk.Compare(t.Context(), d, src); off != i || err != nil {
			t.Fatalf("byte %d changed, compare says %d, %v", i, off, err)
		}
	})
}

// TestCompareSizes: what is behind the shorter disk's end counts as zeros.
func TestCompareSizes(t *testing.T) {
	for _, long := range []string{"abc\x00\x00", "abc\x00x"} {
		a, _ := raw.Open(t.Context(), bytes.NewReader([]byte("abc")), 3, disk.OpenOptions{})
		b, _ := raw.Open(t.Context(), bytes.NewReader([]byte(long)), 5, disk.OpenOptions{})
		want := int64(-1)
		if long[4] != 0 {
			want = 4
		}
		for _, pair := range [][2]disk.Disk{{a, b}, {b, a}} {
			if off, err := disk.Compare(t.Context(), pair[0], pair[1]); off != want || err != nil {
				t.Errorf("%q: %d, %v, want %d", long, off, err, want)
			}
		}
	}
}

func TestCopyErrors(t *testing.T) {
	src := &plain{bytes: make([]byte, 8<<20), extents: []disk.Extent{{Len: 8 << 20}}}
	for i := range src.bytes {
		src.bytes[i] = 1
	}
	boom := errors.New("disk full")
	if _, err := disk.Copy(t.Context(), fullAfter{3 << 20, boom}, src, disk.CopyOptions{}); !errors.Is(err, boom) {
		t.Errorf("target fails: %v", err)
	}
	broken, err := raw.Open(t.Context(), bytes.NewReader(src.bytes[:5<<20]), 8<<20, disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Copy(t.Context(), fullAfter{9 << 20, boom}, broken, disk.CopyOptions{}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("source ends early: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := disk.Copy(ctx, fullAfter{9 << 20, boom}, src, disk.CopyOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// fullAfter is a file on a disk that has so much space.
type fullAfter struct {
	space int64
	err   error
}

func (f fullAfter) Truncate(int64) error { return nil }

func (f fullAfter) WriteAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.space {
		return 0, f.err
	}
	return len(p), nil
}

func TestOverlay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, top := drawDisk(t, "base", 1<<18), drawDisk(t, "top", 1<<18)
		want := make([]byte, top.Size())
		copy(want, base.bytes)
		for _, e := range top.extents {
			if e.Kind != disk.Hole {
				copy(want[e.Off:e.End()], top.bytes[e.Off:e.End()])
			}
		}
		sound(t, disk.Overlay(base, top), want)
	})
}

func TestConcatAndSection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var disks []disk.Disk
		var want []byte
		for range rapid.IntRange(0, 4).Draw(t, "disks") {
			d := drawDisk(t, "disk", 1<<16)
			disks, want = append(disks, d), append(want, d.bytes...)
		}
		all := disk.Concat(disks...)
		sound(t, all, want)
		off := rapid.Int64Range(0, all.Size()).Draw(t, "off")
		n := rapid.Int64Range(0, all.Size()-off).Draw(t, "len")
		sound(t, disk.Section(all, off, n), want[off:off+n])
	})
}

func TestBudget(t *testing.T) {
	b := disk.NewBudget(disk.Limits{Size: 100, Memory: 10, Read: 10, Steps: 10})
	ctx, cancel := context.WithCancel(t.Context())
	var refused *disk.Refused
	for _, f := range []func(n int64) error{b.Alloc, b.Read, func(n int64) error { return b.Steps(ctx, n) }} {
		if err := errors.Join(f(4), f(6)); err != nil {
			t.Error(err)
		}
		for _, n := range []int64{1, -1, 1<<63 - 1} {
			if err := f(n); !errors.As(err, &refused) || refused.Reason != disk.ReasonLimit {
				t.Errorf("%d more: %v", n, err)
			}
		}
	}
	if err := b.CheckSize("x", 100); err != nil {
		t.Error(err)
	}
	if err := b.CheckSize("x", 101); !errors.As(err, &refused) || refused.Reason != disk.ReasonTooLarge {
		t.Error(err)
	}
	cancel()
	if err := b.Steps(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var none *disk.Budget
	if err := none.Alloc(257 << 20); !errors.As(err, &refused) {
		t.Error("no budget has no default limit")
	}
	if err := none.CheckSize("x", 1<<62); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	s := disk.Settings{"a": "64k", "b": "2M", "c": "512", "bad": "9999999999G", "none": "k", "neg": "-1", "word": "two"}
	for key, want := range map[string]int64{"a": 65536, "b": 2 << 20, "c": 512, "missing": 7} {
		if n, err := s.Bytes("x", key, 7); n != want || err != nil {
			t.Errorf("%s: %d, %v", key, n, err)
		}
	}
	var refused *disk.Refused
	for _, key := range []string{"bad", "none", "neg", "word"} {
		if _, err := s.Bytes("x", key, 7); !errors.As(err, &refused) || refused.Reason != disk.ReasonSetting {
			t.Errorf("%s: %v", key, err)
		}
	}
	if w, err := s.OneOf("x", "word", "one", "two"); w != "two" || err != nil {
		t.Errorf("%s, %v", w, err)
	}
	if w, err := s.OneOf("x", "missing", "one", "two"); w != "one" || err != nil {
		t.Errorf("%s, %v", w, err)
	}
	if _, err := s.OneOf("x", "word", "one"); !errors.As(err, &refused) {
		t.Error(err)
	}
	if err := s.Known("x", []disk.Setting{{Key: "a"}}); !errors.As(err, &refused) {
		t.Error(err)
	}
}
