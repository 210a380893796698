package depot

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kuva/chunk"
)

func someEntries(n int, seed uint64) []Entry {
	r := rand.New(rand.NewPCG(seed, 1))
	var entries []Entry
	for i := range n {
		if i%5 == 4 {
			entries = append(entries, Entry{Hole: 1 + r.Int64N(1<<50)})
			continue
		}
		e := Entry{Loc: Loc{
			Pack:   PackRef{Realm: 7, KeyID: 1, Epoch: 3, ID: int64(r.IntN(9))},
			Offset: r.Uint32(), Sealed: sealOverhead + uint32(r.IntN(chunk.Size)), Plain: 1 + uint32(r.IntN(chunk.Size)),
		}}
		for j := range e.Name {
			e.Name[j] = byte(r.Uint32())
		}
		entries = append(entries, e)
	}
	return entries
}

func TestSegmentFormat(t *testing.T) {
	for _, n := range []int{0, 1, 2, 1000, maxEntries} {
		want := someEntries(n, uint64(n))
		b, err := encodeSegment(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeSegment(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) || n > 0 && !cmp.Equal(got, want) {
			t.Errorf("%d entries: %s", n, cmp.Diff(want, got))
		}
		if len(b) > 0 {
			if _, err := decodeSegment(b[:len(b)-1]); !errors.Is(err, ErrFormat) {
				t.Errorf("cut short: %v", err)
			}
		}
	}
	if _, err := encodeSegment(someEntries(maxEntries+1, 1)); err == nil {
		t.Error("too many entries were taken")
	}
}

func someRoot() *root {
	r := &root{Object: 5, Gen: 2, Kind: KindDisk, Size: 1 << 45, View: 3, Stored: 99, Digests: Digests{MD5: [16]byte{1}, HashAlgo: "sha512", Hash: make([]byte, 64)}}
	for i := range int64(10) {
		r.Packs = append(r.Packs, rootPack{PackRef{Realm: 1, KeyID: 2, Epoch: 3, ID: i}, i * 10})
	}
	for i := range int64(30) {
		r.Segments = append(r.Segments, segRef{First: i << 28, Name: Name{byte(i)}, Loc: Loc{Pack: r.Packs[i%10].Ref, Offset: uint32(i) + packHeaderLen, Sealed: 1000, Plain: 900}})
	}
	return r
}

func TestRootFormat(t *testing.T) {
	want := someRoot()
	b, err := encodeRoot(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRoot(b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for i := range b {
		if _, err := decodeRoot(b[:i]); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func FuzzDecodeSegment(f *testing.F) {
	b, _ := encodeSegment(someEntries(20, 1))
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := decodeSegment(b)
		if err != nil {
			return
		}
		if _, err := encodeSegment(entries); err != nil {
			t.Fatalf("decoded, but not encoded again: %v", err)
		}
		newSegment(entries)
	})
}

func FuzzDecodeRoot(f *testing.F) {
	b, _ := encodeRoot(someRoot())
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRoot(b)
		if err == nil && r.Size < 0 {
			t.Fatal("negative size")
		}
	})
}

func FuzzDecodePackIndex(f *testing.F) {
	f.Add(appendPackIndex(nil, []packEntry{{Offset: packHeaderLen, Sealed: 100, Plain: 70}}), int64(1000))
	f.Fuzz(func(t *testing.T, b []byte, end int64) {
		entries, err := decodePackIndex(b, end)
		for _, e := range entries {
			if err == nil && int64(e.Offset)+int64(e.Sealed) > end {
				t.Fatal("entry behind the end")
			}
		}
	})
}

func FuzzOpenChunk(f *testing.F) {
	k, _ := newRealmKeys(1, 1, [32]byte{1}, [32]byte{2})
	sealed, _ := k.seal(nil, Name{3}, textBytes(5000, 1))
	f.Add(sealed)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := k.open(nil, Name{4}, b, 5000); err == nil {
			t.Fatal("opened under a foreign name")
		}
	})
}

func TestSealedChunk(t *testing.T) {
	k, err := newRealmKeys(1, 1, [32]byte{1}, [32]byte{2})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range [][]byte{{1}, textBytes(chunk.Size, 1), randomBytes(chunk.Size, 2)} {
		name := k.name(chunk.Sum(p))
		a, err := k.seal(nil, name, p)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := k.seal(nil, name, p)
		if string(a[1:1+nonceLen]) == string(b[1:1+nonceLen]) {
			t.Error("a nonce came twice")
		}
		got, err := k.open(nil, name, append([]byte{}, a...), len(p))
		if err != nil || string(got) != string(p) {
			t.Fatalf("open: %v", err)
		}
		for range 50 {
			c := append([]byte{}, a...)
			c[rand.IntN(len(c))] ^= 1 << rand.IntN(8)
			if _, err := k.open(nil, name, c, len(p)); !errors.Is(err, ErrDamaged) {
				t.Fatalf("a flipped bit was taken: %v", err)
			}
		}
		foreign, _ := newRealmKeys(2, 1, [32]byte{1}, [32]byte{2})
		if _, err := foreign.open(nil, name, append([]byte{}, a...), len(p)); !errors.Is(err, ErrDamaged) {
			t.Errorf("a chunk of another realm was taken: %v", err)
		}
	}
	if body := textBytes(chunk.Size, 1); len(body) > 0 {
		sealed, _ := k.seal(nil, Name{1}, body)
		if len(sealed) > chunk.Size*6/10 {
			t.Errorf("text of 4 bits a byte was sealed to %d bytes", len(sealed))
		}
	}
}
