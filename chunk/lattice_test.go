package chunk

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// cutBy cuts a file in writes of the lengths that step gives, and holds that
// nothing is lost.
func cutBy(t testing.TB, l Lattice, file []byte, step func(left int) int) (pieces []Hash, sizes map[Hash]int) {
	t.Helper()
	var all []byte
	sizes = map[Hash]int{}
	c := &Cutter{Emit: func(p Piece) error {
		if p.Off != int64(len(all)) || len(p.Data) > Size {
			t.Fatalf("a piece of %d bytes at %d, behind %d", p.Len, p.Off, len(all))
		}
		if p.Data == nil {
			all = append(all, make([]byte, p.Len)...)
			return nil
		}
		all = append(all, p.Data...)
		h := Sum(p.Data)
		pieces, sizes[h] = append(pieces, h), len(p.Data)
		return nil
	}}
	l.To = c
	for rest := file; len(rest) > 0; {
		n := step(len(rest))
		if k, err := l.Write(rest[:n]); k != n || err != nil {
			t.Fatalf("Write(%d) = %d, %v", n, k, err)
		}
		rest = rest[n:]
	}
	if err := errors.Join(l.Flush(), c.Cut()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(all, file) {
		t.Fatal("other bytes came out")
	}
	return pieces, sizes
}

func whole(left int) int { return left }

// TestLatticeFindsEqualDisks lays the blocks of one disk out as formats do and
// counts what of the bytes has pieces in common with the raw file.
func TestLatticeFindsEqualDisks(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const blocks = 1024
	raw := make([]byte, blocks*Block)
	used := make([]bool, blocks)
	for i := 0; i < blocks; { // runs of data with ragged ends, and holes
		for n := r.IntN(40) + 1; n > 0 && i < blocks; n, i = n-1, i+1 {
			end := Block
			if n == 1 {
				end -= 4096 * (1 + r.IntN(10))
			}
			used[i] = true
			for k := 0; k < end; k += 8 {
				raw[i*Block+k] = byte(r.Uint32() | 1)
				raw[i*Block+k+5] = byte(r.Uint32())
			}
		}
		i += r.IntN(20)
	}
	compact := func(block int, begin []byte, prefix []byte) []byte {
		file := bytes.Clone(begin)
		for i := 0; i < blocks; i += block {
			any := false
			for _, u := range used[i : i+block] {
				any = any || u
			}
			if any {
				file = append(append(file, prefix...), raw[i*Block:(i+block)*Block]...)
			}
		}
		return file
	}
	header := bytes.Repeat([]byte{9}, 3*Block)
	broken := compact(1, header, nil)
	broken = append(bytes.Clone(broken[:300*Block]), append(bytes.Repeat([]byte{8}, Block), broken[300*Block:]...)...)
	_, base := cutBy(t, Lattice{}, raw, whole)
	for _, c := range []struct {
		name  string
		l     Lattice
		file  []byte
		least float64
	}{
		{"raw", Lattice{}, raw, 1},
		{"clusters", Lattice{}, compact(1, header, nil), 0.99},
		{"a table between", Lattice{}, broken, 0.97},
		{"blocks of a megabyte", Lattice{}, compact(16, header, nil), 0.99},
		{"blocks that begin anywhere", Lattice{Start: 1000}, compact(16, header[:1000], nil), 0.99},
		{"blocks with bitmaps", Lattice{Start: 1000, Stride: 512 + 32*Block, Prefix: 512}, compact(32, header[:1000], header[:512]), 0.7},
	} {
		_, sizes := cutBy(t, c.l, c.file, whole)
		var same, all float64
		for h, n := range base {
			all += float64(n)
			if _, ok := sizes[h]; ok {
				same += float64(n)
			}
		}
		if same/all < c.least {
			t.Errorf("%s: %.1f %% is found again, want %.0f", c.name, 100*same/all, 100*c.least)
		}
	}
}

// FuzzLattice: pieces do not depend on how the file was divided into writes.
func FuzzLattice(f *testing.F) {
	f.Add(uint64(1), uint16(0), uint16(0), uint16(0), 3*Block)
	f.Add(uint64(2), uint16(1000), uint16(2), uint16(512), 9*Block+77)
	f.Add(uint64(3), uint16(77), uint16(1), uint16(0), 5*Block-1)
	f.Fuzz(func(t *testing.T, seed uint64, start, stride, prefix uint16, size int) {
		if size < 0 || size > 16*Block {
			return
		}
		r := rand.New(rand.NewPCG(seed, 1))
		file := make([]byte, size)
		for at := 0; at < size; at += 1 + r.IntN(3*Block) {
			for k := at; k < min(size, at+r.IntN(2*Block)); k++ {
				file[k] = byte(k*7 ^ k>>8)
			}
		}
		l := Lattice{Start: int64(start)}
		if stride > 0 {
			l.Stride, l.Prefix = int64(stride%8)*Block+Block+int64(prefix), int64(prefix)
		}
		want, _ := cutBy(t, l, file, whole)
		for _, most := range []int{700, 3 * Block} {
			got, _ := cutBy(t, l, file, func(left int) int { return min(left, 1+r.IntN(most)) })
			if len(got) != len(want) {
				t.Fatalf("%d pieces, want %d", len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("piece %d differs", i)
				}
			}
		}
	})
}

// TestLatticeStopsAtError: what the sink says comes back at once.
func TestLatticeStopsAtError(t *testing.T) {
	boom := errors.New("boom")
	c := &Cutter{Emit: func(Piece) error { return boom }}
	l := Lattice{To: c}
	if _, err := l.Write(make([]byte, 3*Size)); err != boom {
		t.Errorf("Write: %v", err)
	}
}

// TestLatticeSkip holds that zeros skipped and zeros written give the same
// pieces.
func TestLatticeSkip(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 60 {
		l := Lattice{}
		switch round % 3 {
		case 1:
			l.Start = 512 * int64(r.IntN(300))
		case 2:
			l.Start, l.Stride, l.Prefix = 1536, 2<<20+512, 512
		}
		var file []byte
		type step struct {
			data []byte
			skip int
		}
		var steps []step
		for range 12 {
			n := (1 + r.IntN(600)) << r.IntN(11)
			s := step{skip: n}
			if r.IntN(2) == 0 {
				s = step{data: make([]byte, n)}
				for i := range s.data {
					s.data[i] = byte(r.Uint32() | 1)
				}
				file = append(file, s.data...)
			} else {
				file = append(file, make([]byte, n)...)
			}
			steps = append(steps, s)
		}
		want, _ := cutBy(t, l, file, whole)
		var got []Hash
		var size int64
		c := &Cutter{Emit: func(p Piece) error {
			if size += p.Len; p.Data != nil {
				got = append(got, Sum(p.Data))
			}
			return nil
		}}
		l.To = c
		for _, s := range steps {
			var err error
			if s.skip > 0 {
				err = l.Skip(int64(s.skip))
			} else {
				_, err = l.Write(s.data)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(l.Flush(), c.Cut()); err != nil {
			t.Fatal(err)
		}
		if size != int64(len(file)) || !slices.Equal(got, want) {
			t.Fatalf("round %d: %d bytes in %d pieces, want %d in %d", round, size, len(got), len(file), len(want))
		}
	}
	if err := (&Lattice{To: &Cutter{Emit: func(Piece) error { return nil }}}).Skip(-1); err == nil {
		t.Error("-1 zeros were taken")
	}
	n := int64(0)
	c := &Cutter{Emit: func(p Piece) error { n += p.Len; return nil }}
	if l := (Lattice{To: c}); l.Skip(1<<50+3) != nil || l.Flush() != nil || c.Cut() != nil || n != 1<<50+3 {
		t.Errorf("a petabyte of zeros gave %d bytes", n)
	}
}
