package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"

	"kuva/chunk"
)

func someEntries(seed uint64) (entries []AskEntry, data [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	hole := r.IntN(2) == 0
	for range 1 + r.IntN(40) {
		if hole {
			entries = append(entries, AskEntry{Len: 1 + r.Int64N(1<<40), Hole: true})
			hole = false
			continue
		}
		p := make([]byte, 1+r.IntN(chunk.Size))
		for i := range p {
			p[i] = byte(r.Uint32() >> (r.IntN(2) * 29))
		}
		entries, data = append(entries, AskEntry{Hash: chunk.Sum(p), Len: int64(len(p))}), append(data, p)
		hole = r.IntN(3) == 0
	}
	return entries, data
}

func TestAskRoundTrip(t *testing.T) {
	for seed := range uint64(50) {
		entries, data := someEntries(seed)
		b := EncodeAsk(int64(seed)<<33, entries)
		p, err := DecodeAsk(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p.Entries, entries) || p.Off != int64(seed)<<33 || p.Chunks != len(data) || p.Digest != chunk.Sum(b) {
			t.Fatalf("seed %d: %+v", seed, p)
		}
		// What a chunk costs on the wire.
		if most := len(entries)*35 + 5*len(entries) + 30; len(b) > most {
			t.Errorf("%d entries take %d bytes", len(entries), len(b))
		}
		var frames []byte
		for _, d := range data {
			frames = AppendFrame(frames, d)
		}
		f := NewFrameReader(bufio.NewReader(bytes.NewReader(frames)))
		for i, d := range data {
			got, err := f.Next([]byte("x"), len(d))
			if err != nil || string(got[:1]) != "x" || !bytes.Equal(got[1:], d) {
				t.Fatalf("chunk %d of %d: %v", i, len(data), err)
			}
		}
		if err := f.End(); err != nil {
			t.Error(err)
		}
		f = NewFrameReader(bufio.NewReader(bytes.NewReader(frames[:len(frames)-1])))
		for _, d := range data {
			_, err = f.Next(nil, len(d))
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut short: %v", err)
		}
	}
}

func TestDecodeAskRefuses(t *testing.T) {
	entries, _ := someEntries(3)
	good := EncodeAsk(5, entries)
	for i := range good { // cut short anywhere
		if _, err := DecodeAsk(good[:i]); !errors.Is(err, ErrAsk) {
			t.Fatalf("%d of %d bytes: %v", i, len(good), err)
		}
	}
	one := AskEntry{Hash: chunk.Hash{1}, Len: 1}
	many := make([]AskEntry, MostPartChunks+1)
	big := make([]AskEntry, MostPartData/chunk.Size+1)
	for i := range many {
		many[i] = one
	}
	for i := range big {
		big[i] = AskEntry{Len: chunk.Size}
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "another magic": append([]byte("kuvaask2"), good[8:]...), "more behind": append(bytes.Clone(good), 3),
		"no size": []byte("kuvaask1\x00\x00"), "long form": []byte("kuvaask1\x80\x00\x01\x03"), "no entries": []byte("kuvaask1\x00\x05"),
		"beyond 2^63": append([]byte("kuvaask1\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x05"), 11),
		"two holes":   EncodeAsk(0, []AskEntry{{Len: 1, Hole: true}, {Len: 1, Hole: true}}),
		"too long":    EncodeAsk(0, []AskEntry{{Len: chunk.Size + 1}}), "empty chunk": EncodeAsk(0, []AskEntry{one, {Len: 0}}),
		"too many": EncodeAsk(0, many), "too much": EncodeAsk(0, big), "empty hole": EncodeAsk(0, []AskEntry{one, {Hole: true}, one}),
	} {
		if _, err := DecodeAsk(b); !errors.Is(err, ErrAsk) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFramesRefuse(t *testing.T) {
	p := bytes.Repeat([]byte("kuva"), 1000)
	packed := AppendFrame(nil, p)
	plain := append([]byte{10 << 1}, "0123456789"...)
	for name, c := range map[string]struct {
		b []byte
		n int
	}{
		"packed into more": {packed, len(p) - 1}, "packed into less": {packed, len(p) + 1}, "plain of another length": {plain, 11},
		"endless length": {[]byte{0xff, 0xff, 0xff, 0xff, 0}, 5}, "long form": {append([]byte{0x94, 0x00}, plain[1:]...), 10},
		"packed garbage": {[]byte{3 << 1 & 0xfe, 1, 2, 3}, 100}, "packed nothing": {[]byte{1}, 10}, "not packed": {append([]byte{10<<1 | 1}, "0123456789"...), 10},
	} {
		if out, err := NewFrameReader(bufio.NewReader(bytes.NewReader(c.b))).Next(nil, c.n); !errors.Is(err, ErrAsk) {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
	if err := NewFrameReader(bufio.NewReader(bytes.NewReader(plain))).End(); !errors.Is(err, ErrAsk) {
		t.Errorf("one too many: %v", err)
	}
}

// FuzzDecodeAsk: what is taken has one form, and is within all bounds.
func FuzzDecodeAsk(f *testing.F) {
	for seed := range uint64(4) {
		entries, _ := someEntries(seed)
		f.Add(EncodeAsk(int64(seed), entries))
	}
	f.Add([]byte("kuvaask1\x80\x80\x04\x03\x01\x05"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := DecodeAsk(b)
		if err != nil {
			if p != nil || !errors.Is(err, ErrAsk) {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		if !bytes.Equal(EncodeAsk(p.Off, p.Entries), b) {
			t.Fatal("another form of the same")
		}
		if p.Data > MostPartData || p.Chunks > MostPartChunks || p.Size <= 0 || p.Off+p.Size < p.Off {
			t.Fatalf("%+v", p)
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add(AppendFrame(nil, bytes.Repeat([]byte("kuva"), 1000)), 4000)
	f.Add([]byte{2, 1, 2, 2}, 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 1 || n > chunk.Size {
			return
		}
		r := NewFrameReader(bufio.NewReader(bytes.NewReader(b)))
		for range 5 {
			out, err := r.Next(nil, n)
			if err != nil {
				return
			}
			if len(out) != n {
				t.Fatalf("%d bytes instead of %d", len(out), n)
			}
		}
	})
}
