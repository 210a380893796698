package keep_test

import (
	"bytes"
	"testing"

	"kuva/disk/internal/keep"
)

func TestBuffer(t *testing.T) {
	b := keep.Buffer{Max: 6}
	part := []byte("abc")
	for range 2 {
		if n, err := b.Write(part); n != 3 || err != nil {
			t.Fatal(n, err)
		}
	}
	clear(part) // what is kept is a copy
	for range 2 {
		var out bytes.Buffer
		if n, err := b.WriteTo(&out); b.Full() || n != 6 || err != nil || out.String() != "abcabc" {
			t.Fatal(n, err, out.String())
		}
	}
	if n, err := b.Write([]byte("d")); n != 1 || err != nil || !b.Full() || b.Len() != 7 {
		t.Error(n, err, b.Full(), b.Len())
	}
	if n, err := b.Write([]byte("efg")); n != 3 || err != nil || b.Len() != 10 {
		t.Error(n, err, b.Len())
	}
}
