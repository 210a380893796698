package chunk

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/zeebo/blake3"
)

// TestSumVector holds the published vector of the empty input (BLAKE3 team's
// test_vectors.json).
func TestSumVector(t *testing.T) {
	const want = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
	if got := Sum(nil).String(); got != want {
		t.Fatalf("Sum(nil) = %s, want %s", got, want)
	}
}

func TestKeyedIsKeyedBLAKE3(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		var key [32]byte
		var h Hash
		for i := range 32 {
			key[i], h[i] = byte(rnd.Uint32()), byte(rnd.Uint32())
		}
		if got, want := Keyed(&key, h), libraryKeyed(t, key, h); got != want {
			t.Fatalf("Keyed(%x, %v) = %v, want %v", key, h, got, want)
		}
	}
}

func FuzzKeyed(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef"), []byte("fedcba9876543210fedcba9876543210"))
	f.Fuzz(func(t *testing.T, k, m []byte) {
		var key [32]byte
		var h Hash
		copy(key[:], k)
		copy(h[:], m)
		if got, want := Keyed(&key, h), libraryKeyed(t, key, h); got != want {
			t.Fatalf("Keyed(%x, %v) = %v, want %v", key, h, got, want)
		}
	})
}

func libraryKeyed(t *testing.T, key [32]byte, h Hash) (sum Hash) {
	k, err := blake3.NewKeyed(key[:])
	if err != nil {
		t.Fatal(err)
	}
	k.Write(h[:])
	k.Sum(sum[:0])
	return sum
}

func TestNamingAllocatesNothing(t *testing.T) {
	p, key := make([]byte, Size), [32]byte{1}
	var h Hash
	if n := testing.AllocsPerRun(100, func() { h = Keyed(&key, Sum(p)) }); n > 0 {
		t.Errorf("naming a chunk allocates %v times", n)
	}
	_ = h
}

func TestIsZero(t *testing.T) {
	for _, n := range []int{0, 1, 2, 31, 32, 33, 4096, Size} {
		p := make([]byte, n)
		if !IsZero(p) {
			t.Errorf("%d zeros are not zero", n)
		}
		for i := 0; i < n; i += 1 + n/100 {
			p[i] = 0x80
			if IsZero(p) {
				t.Errorf("byte %d of %d is not seen", i, n)
			}
			p[i] = 0
		}
		if n > 0 {
			if p[n-1] = 1; IsZero(p) {
				t.Errorf("last byte of %d is not seen", n)
			}
			for i := range p {
				p[i] = 7
			}
			if IsZero(p) {
				t.Errorf("%d equal bytes are not zeros", n)
			}
		}
	}
}

func TestCutterGrid(t *testing.T) {
	data := bytes.Repeat([]byte{1}, 2*Size+100)
	clear(data[Size : 2*Size])
	var got []Piece
	c := Cutter{Emit: func(p Piece) error { got = append(got, p); return nil }, Buffer: func() []byte { return make([]byte, Size) }}
	if n, err := io.Copy(&c, iotest.OneByteReader(bytes.NewReader(data))); n != int64(len(data)) || err != nil {
		t.Fatal(n, err)
	}
	if err := c.Cut(); err != nil {
		t.Fatal(err)
	}
	if err := c.Cut(); err != nil { // nothing gathered: nothing emitted
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Data == nil || got[1].Data != nil || got[1].Len != Size || got[2].Len != 100 || got[2].Off != 2*Size {
		t.Fatalf("%d pieces: %+v", len(got), got)
	}
	if c.Offset() != int64(len(data)) {
		t.Errorf("offset %d", c.Offset())
	}
}

// TestCutterSkip holds that zeros skipped and zeros written cut alike, and that
// skipping a lot takes no time.
func TestCutterSkip(t *testing.T) {
	var got []Piece
	c := Cutter{Emit: func(p Piece) error { p.Data = bytes.Clone(p.Data); got = append(got, p); return nil }}
	c.Write([]byte{1})
	if err := c.Skip(1 << 50); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte{2})
	c.Cut()
	if len(got) != 3 || got[0].Len != Size || got[1].Len != 1<<50-Size || got[2].Len != 2 || got[2].Data[0] != 0 {
		t.Fatalf("%d pieces, %d %d %d", len(got), got[0].Len, got[1].Len, got[2].Len)
	}
	if err := c.Skip(-1); err == nil {
		t.Error("-1 zeros were taken")
	}
}

func TestCutterStopsAtError(t *testing.T) {
	boom := errors.New("boom")
	calls := 0
	c := Cutter{Emit: func(Piece) error { calls++; return boom }}
	if n, err := c.Write(make([]byte, 3*Size)); n != Size || err != boom {
		t.Fatalf("Write = %d, %v", n, err)
	}
	if _, err := c.Write([]byte{1}); err != boom {
		t.Error(err)
	}
	if err := c.Skip(Size); err != boom {
		t.Error(err)
	}
	if _, err := c.ReadFrom(bytes.NewReader([]byte{1})); err != boom {
		t.Error(err)
	}
	if err := c.Cut(); err != boom || calls != 1 {
		t.Errorf("Cut = %v after %d calls", err, calls)
	}
}

func TestCutterReaderFails(t *testing.T) {
	c := Cutter{Emit: func(Piece) error { return nil }}
	if n, err := c.ReadFrom(iotest.TimeoutReader(iotest.HalfReader(bytes.NewReader(make([]byte, 1000))))); err != iotest.ErrTimeout || n == 0 {
		t.Errorf("ReadFrom = %d, %v", n, err)
	}
	if _, err := c.ReadFrom(stuck{}); err != io.ErrNoProgress {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// FuzzCutter plays a program of writes, zeros and cuts, and compares with a
// cutter that is told everything in single bytes of a plain array.
func FuzzCutter(f *testing.F) {
	f.Add([]byte{0, 200, 1, 2, 10, 0, 3, 0, 0, 1, 255, 255, 2, 0, 0}, false)
	f.Add([]byte{1, 255, 4, 0, 1, 1, 1, 255, 8, 4, 99, 0}, true)
	f.Fuzz(func(t *testing.T, prog []byte, own bool) {
		if len(prog) > 60 {
			return
		}
		var all []byte   // the stream
		var cuts []int64 // where the program cut
		var got []Piece
		c := Cutter{Emit: func(p Piece) error {
			if !own {
				p.Data = bytes.Clone(p.Data)
			}
			got = append(got, p)
			return nil
		}}
		if own {
			c.Buffer = func() []byte { return bytes.Repeat([]byte{0xEE}, Size+1) }
		}
		for ; len(prog) >= 3; prog = prog[3:] {
			n := int(prog[1])<<4 | int(prog[2])<<11
			switch prog[0] % 5 {
			case 0:
				p := bytes.Repeat([]byte{prog[1]}, n)
				all = append(all, p...)
				c.Write(p)
			case 1:
				all = append(all, make([]byte, n)...)
				c.Skip(int64(n))
			case 2:
				all = append(all, make([]byte, n)...)
				c.Write(make([]byte, n))
			case 3:
				cuts = append(cuts, int64(len(all)))
				c.Cut()
			case 4:
				p := bytes.Repeat([]byte{prog[2]}, n)
				all = append(all, p...)
				c.ReadFrom(iotest.HalfReader(bytes.NewReader(p)))
			}
		}
		c.Cut()
		check(t, all, append(cuts, int64(len(all))), got)
	})
}

// check compares pieces with what the grid says, cuts in ascending order.
func check(t *testing.T, all []byte, cuts []int64, got []Piece) {
	var off int64
	for _, p := range got {
		if p.Off != off || p.Len <= 0 {
			t.Fatalf("piece at %d, length %d; want offset %d", p.Off, p.Len, off)
		}
		for cuts[0] <= off {
			cuts = cuts[1:]
		}
		room := min(Size, cuts[0]-off) // the grid's next boundary: earlier pieces were whole steps
		want := all[off : off+p.Len]
		if p.Data != nil && (p.Len != room || !bytes.Equal(p.Data, want) || IsZero(want)) {
			t.Fatalf("chunk at %d, length %d, room %d is wrong", off, p.Len, room)
		}
		if p.Data == nil && (p.Len%Size != 0 && p.Len != room || off+p.Len > cuts[0] || !IsZero(want)) {
			t.Fatalf("hole at %d, length %d, room %d is wrong", off, p.Len, room)
		}
		off += p.Len
	}
	if off != int64(len(all)) {
		t.Fatalf("%d of %d bytes came out", off, len(all))
	}
}

func BenchmarkSum(b *testing.B) {
	p := bytes.Repeat([]byte("kuva"), Size/4)
	b.SetBytes(Size)
	for b.Loop() {
		Sum(p)
	}
}

func BenchmarkKeyed(b *testing.B) {
	key, h := [32]byte{1}, Hash{2}
	b.ReportAllocs()
	for b.Loop() {
		h = Keyed(&key, h)
	}
}

func BenchmarkIsZero(b *testing.B) {
	p := make([]byte, Size)
	b.SetBytes(Size)
	for b.Loop() {
		IsZero(p)
	}
}

func BenchmarkCutter(b *testing.B) {
	p := bytes.Repeat([]byte("kuva"), 8<<10)
	c := Cutter{Emit: func(Piece) error { return nil }}
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		c.Write(p)
	}
}
