package names_test

import (
	"errors"
	"io/fs"
	"testing"

	"kuva/disk"
	"kuva/guest/internal/names"
	"kuva/guest/tree"
)

func TestDecode(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"little-endian", names.LE([]byte("a\x00\xe4\x00\x3d\xd8\x00\xde")), "aä😀"},
		{"half of a pair", names.LE([]byte("\x3d\xd8x\x00")), "\ufffdx"},
		{"an odd byte", names.LE([]byte("a\x00b")), "a"},
		{"big-endian", names.BE([]byte("\x00a\x20\xac")), "a€"},
		{"Latin-1", names.Latin1([]byte("\xfcber")), "über"},
		{"until NUL", names.UntilNUL("ab\x00c"), "ab"},
		{"no NUL", names.UntilNUL("ab"), "ab"},
		{"upper case", names.Upper("straße σς ÿ 𐐨"), "STRAßE ΣΣ Ÿ 𐐨"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestElement(t *testing.T) {
	for name, want := range map[string]string{
		"a": "a", "..a": "..a", "a/b": "a\ufffdb", "../x": "..\ufffdx", "a\x00b": "a\ufffdb", "/": "\ufffd", "": "", ".": "", "..": "",
	} {
		if got, ok := names.Element(name); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", name, got, ok)
		}
	}
}

func TestIndex(t *testing.T) {
	read := 0
	list := func(add func(string, tree.Entry) error) error {
		read++
		for i, name := range []string{"One", "two", "TWO"} {
			if err := add(name, tree.Entry{Name: name, ID: tree.ID{Ino: uint64(i)}}); err != nil {
				return err
			}
		}
		return nil
	}
	var folded names.Index
	exact := names.Index{Exact: true}
	for _, tt := range []struct {
		x          *names.Index
		name, want string
	}{
		{&folded, "oNE", "One"},
		{&folded, "TWO", "two"},
		{&folded, "three", ""},
		{&exact, "oNE", ""},
		{&exact, "TWO", "TWO"},
		{&exact, "two", "two"},
	} {
		e, err := tt.x.Lookup(tree.ID{Ino: 9}, tt.name, list)
		if e.Name != tt.want || (tt.want == "") != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, %v", tt.name, e.Name, err)
		}
	}
	if read != 2 {
		t.Errorf("the folder was read %d times for two indexes", read)
	}
	// A folder that breaks off shows what came before, each time anew.
	broken := func(add func(string, tree.Entry) error) error {
		if err := list(add); err != nil {
			return err
		}
		return disk.Malform("test", "damaged")
	}
	if e, err := folded.Lookup(tree.ID{Ino: 10}, "one", broken); e.Name != "One" || err != nil {
		t.Errorf("before the damage: %q, %v", e.Name, err)
	}
	var bad *disk.Malformed
	if _, err := folded.Lookup(tree.ID{Ino: 10}, "four", broken); !errors.As(err, &bad) {
		t.Errorf("behind the damage: %v", err)
	}
}
