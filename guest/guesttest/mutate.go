package guesttest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/tree"
)

var update = flag.Bool("update", false, "make the seeds of the fuzz targets anew, with native tools")

const blockSize = 4096

// Image is a small disk in memory: the blocks of 4 KiB that are not all zero.
type Image struct {
	size   int64
	blocks map[int64][]byte
	used   []int64 // the numbers of the blocks, sorted
}

// Seed loads testdata/NAME.gz, which the flag -update has made first, as a
// copy of the image whose path build gives.
func Seed(t testing.TB, name string, build func() string) *Image {
	t.Helper()
	file := filepath.Join("testdata", name+".gz")
	if *update {
		saveSeed(t, build(), file)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	s := &Image{blocks: map[int64][]byte{}}
	if err := binary.Read(r, binary.LittleEndian, &s.size); err != nil {
		t.Fatal(err)
	}
	for {
		var n int64
		if err := binary.Read(r, binary.LittleEndian, &n); err != nil {
			break
		}
		b := make([]byte, blockSize)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		s.blocks[n] = b
	}
	s.used = slices.Sorted(maps.Keys(s.blocks))
	if len(s.used) == 0 {
		t.Fatalf("%s is empty", file)
	}
	return s
}

// NewImage makes one of bytes.
func NewImage(t testing.TB, b []byte) *Image {
	t.Helper()
	s := &Image{size: int64(len(b)), blocks: map[int64][]byte{}}
	for n := int64(0); n*blockSize < int64(len(b)); n++ {
		p := make([]byte, blockSize)
		if copy(p, b[n*blockSize:]); !disk.IsZero(p) {
			s.blocks[n] = p
		}
	}
	if s.used = slices.Sorted(maps.Keys(s.blocks)); len(s.used) == 0 {
		t.Fatal("the image is empty")
	}
	return s
}

// saveSeed writes the size, and number and bytes of every block with data.
func saveSeed(t testing.TB, image, file string) {
	t.Helper()
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression)
	s := NewImage(t, b)
	binary.Write(w, binary.LittleEndian, s.size)
	for _, n := range s.used {
		binary.Write(w, binary.LittleEndian, n)
		w.Write(s.blocks[n])
	}
	err = errors.Join(w.Close(), os.MkdirAll("testdata", 0o755), os.WriteFile(file, out.Bytes(), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

// Mutate gives a copy with some bytes changed, as the input says: eight bytes
// are a block, an offset in it, how many bytes to change, and the new bytes.
func (s *Image) Mutate(input []byte) *Image {
	c := &Image{size: s.size, blocks: maps.Clone(s.blocks), used: s.used}
	fresh := map[int64]bool{}
	for len(input) >= 8 {
		n := c.used[int(binary.LittleEndian.Uint16(input))%len(c.used)]
		off := int(binary.LittleEndian.Uint16(input[2:])) % blockSize
		if !fresh[n] {
			c.blocks[n] = bytes.Clone(c.blocks[n])
			fresh[n] = true
		}
		copy(c.blocks[n][off:], input[5:6+input[4]%3])
		input = input[8:]
	}
	return c
}

// With gives a copy with other bytes at off, which must be in a block that is
// not all zero.
func (s *Image) With(off int64, p []byte) *Image {
	c := &Image{size: s.size, blocks: maps.Clone(s.blocks), used: s.used}
	b := bytes.Clone(c.blocks[off/blockSize])
	copy(b[off%blockSize:], p)
	c.blocks[off/blockSize] = b
	return c
}

// Size implements disk.Disk.
func (s *Image) Size() int64 { return s.size }

// ReadAt implements disk.Disk.
func (s *Image) ReadAt(p []byte, off int64) (int, error) {
	return disk.ReadAtFunc(p, off, s.size, func(p []byte, off int64) error {
		for len(p) > 0 {
			in := off % blockSize
			n := min(int64(len(p)), blockSize-in)
			clear(p[:n])
			if b, ok := s.blocks[off/blockSize]; ok {
				copy(p[:n], b[in:])
			}
			p, off = p[n:], off+n
		}
		return nil
	})
}

// Extents implements disk.Disk.
func (s *Image) Extents(_ context.Context, off, n int64) iter.Seq2[disk.Extent, error] {
	return func(yield func(disk.Extent, error) bool) {
		if off, n := disk.Clamp(off, n, s.size); n > 0 {
			yield(disk.Extent{Off: off, Len: n, At: disk.Nowhere}, nil)
		}
	}
}

// FuzzBudget is small enough that one input takes some milliseconds.
func FuzzBudget(t testing.TB) *budget.Budget {
	return budget.New(t.Context(), budget.Limits{Read: 16 << 20, Steps: 1 << 18, Memory: 16 << 20})
}

// FuzzReader opens changed copies of the seeds and reads everything: what comes
// of it must be an error of the kinds that readers may give, or none.
func FuzzReader[R tree.Reader](f *testing.F, seeds []*Image, open func(disk.Disk, *budget.Budget) (R, error)) {
	f.Add(uint8(0), []byte{})
	f.Add(uint8(1), []byte{0, 0, 0, 4, 2, 255, 255, 255, 1, 0, 8, 0, 1, 0, 0, 0})
	f.Add(uint8(2), []byte{3, 0, 0, 0, 0, 9, 9, 9, 5, 0, 100, 1, 2, 1, 2, 3, 9, 0, 17, 0, 1, 0, 1, 0})
	f.Fuzz(func(t *testing.T, n uint8, input []byte) {
		if len(input) > 512 {
			return
		}
		b := FuzzBudget(t)
		r, err := open(seeds[int(n)%len(seeds)].Mutate(input), b)
		if err != nil {
			if !Sane(err) {
				t.Fatalf("open: %v", err)
			}
			return
		}
		c, err := ReadAll(tree.New(r, b))
		c.Errors = append(c.Errors, err)
		if s, ok := any(r).(tree.Spacer); ok {
			end := int64(0)
			for e, err := range s.Free() {
				c.Errors = append(c.Errors, err)
				if err == nil && (e.Len <= 0 || e.Off < end) {
					t.Fatalf("free %+v behind %d", e, end)
				}
				end = e.Off + e.Len
			}
		}
		for _, err := range c.Errors {
			if !Sane(err) {
				t.Fatal(err)
			}
		}
	})
}

// MakeSmallTree makes some dozens of files of all kinds, for seeds.
func MakeSmallTree(t testing.TB, dir string) {
	t.Helper()
	m := maker{t: t, dir: dir, rng: newRand()}
	for i := range 120 {
		m.write("many/some-longer-name-of-a-file-"+string(rune('a'+i%26))+string(rune('a'+i/26)), nil)
	}
	for _, n := range []int{1, 60, 100, 160, 1000, 5000} {
		m.write("sizes/"+string(rune('a'+n%26)), bytes.Repeat([]byte("x"), n))
	}
	var at []int64
	for i := range 12 {
		at = append(at, int64(i)*8192)
	}
	m.sparse("pieces", 12*8192+100, 10, at...)
	m.symlink("links/short", "../sizes/a")
	m.symlink("links/long", string(bytes.Repeat([]byte("./"), 100))+"x")
	m.write("xattr", nil)
	m.xattr("xattr", "user.kuva", "value")
	m.xattr("xattr", "user.large", string(bytes.Repeat([]byte("v"), 600)))
	m.must(os.Link(m.path("xattr"), m.path("hard")))
}
