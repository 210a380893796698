package chunk

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestPack(t *testing.T) {
	for _, p := range [][]byte{
		bytes.Repeat([]byte("kuva"), Size/4), bytes.Repeat([]byte("ab"), 40), make([]byte, Size),
	} {
		packed, ok := Pack([]byte("before"), p)
		if !ok || len(packed) >= len(p) || string(packed[:6]) != "before" {
			t.Fatalf("%d bytes became %d, %t", len(p), len(packed), ok)
		}
		out, err := Unpack([]byte("front"), packed[6:], len(p))
		if err != nil || !bytes.Equal(out, append([]byte("front"), p...)) {
			t.Fatalf("%d bytes came back: %v", len(out), err)
		}
		for _, n := range []int{len(p) - 1, len(p) + 1, 0} {
			if _, err := Unpack(nil, packed[6:], n); err == nil {
				t.Errorf("%d bytes were taken for %d", len(p), n)
			}
		}
	}
	random := make([]byte, Size)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for _, p := range [][]byte{nil, []byte("short"), random} {
		if _, ok := Pack(nil, p); ok {
			t.Errorf("packing %d bytes pays", len(p))
		}
	}
}

// TestUnpackBomb: a few packed bytes that hold gigabytes cost no memory.
func TestUnpackBomb(t *testing.T) {
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	bomb := e.EncodeAll(make([]byte, 256<<20), nil)
	var many bytes.Buffer // no size in front
	s, _ := zstd.NewWriter(&many, zstd.WithWindowSize(1<<20))
	for range 64 {
		_, _ = s.Write(make([]byte, 1<<20))
	}
	_ = s.Close()
	for _, b := range [][]byte{bomb, many.Bytes(), bytes.Repeat(e.EncodeAll(make([]byte, Size), nil), 100)} {
		got := testing.AllocsPerRun(1, func() {
			if out, err := Unpack(make([]byte, 0, Size), b, Size); err == nil {
				t.Errorf("%d bytes came of %d", len(out), len(b))
			}
		})
		if got > 100 {
			t.Errorf("%v allocations", got)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	packed, _ := Pack(nil, bytes.Repeat([]byte("kuva"), 1000))
	f.Add(packed, 4000)
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0xff, 0xff, 0xff, 0xff}, 10)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > Size {
			return
		}
		if out, err := Unpack(nil, b, n); err == nil && len(out) != n {
			t.Fatalf("%d bytes instead of %d", len(out), n)
		}
	})
}
