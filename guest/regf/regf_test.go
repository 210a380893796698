package regf_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kuva/disk"
	"kuva/guest/budget"
	"kuva/guest/regf"
	"kuva/guest/regf/regftest"
)

func open(t testing.TB, b []byte, logs ...[]byte) *regf.Hive {
	t.Helper()
	o := regf.Options{Budget: budget.New(t.Context(), budget.Limits{})}
	for _, log := range logs {
		o.Logs = append(o.Logs, io.NewSectionReader(bytes.NewReader(log), 0, int64(len(log))))
	}
	h, err := regf.Open(bytes.NewReader(b), int64(len(b)), o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// list is regftest.List by this package. Errors of single keys and values are
// collected.
func list(h *regf.Hive) (lines []string, errs []error) {
	var walk func(k *regf.Key, depth int)
	walk = func(k *regf.Key, depth int) {
		lines = append(lines, fmt.Sprintf("key %d %x", depth, k.Name()))
		for v, err := range k.Values() {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			b, err := v.Bytes()
			if err != nil {
				errs = append(errs, err)
				continue
			}
			lines = append(lines, fmt.Sprintf("value %x %d %x", v.Name, uint32(v.Type), b))
		}
		for c, err := range k.Keys() {
			if err != nil {
				errs = append(errs, err)
				continue
			}
			walk(c, depth+1)
		}
	}
	root, err := h.Root()
	if err != nil {
		return nil, []error{err}
	}
	walk(root, 0)
	return lines, errs
}

func mustList(t *testing.T, h *regf.Hive) []string {
	t.Helper()
	lines, errs := list(h)
	for _, err := range errs {
		t.Error(err)
	}
	return lines
}

// text is a part of a Windows registry with all types of values.
const text = `[HKEY_LOCAL_MACHINE\TEST]
@="the default"

[HKEY_LOCAL_MACHINE\TEST\Select]
"Current"=dword:00000001

[HKEY_LOCAL_MACHINE\TEST\ControlSet001\Services\viostor]
"Start"=dword:00000000
"ImagePath"=hex(2):53,00,79,00,25,00,78,00,25,00,00,00
"Group"="SCSI miniport"
"Big"=hex(b):08,07,06,05,04,03,02,01
"BigEndian"=hex(5):00,00,01,02
"None"=hex(0):
"Bytes"=hex:de,ad,be,ef,00
"Long"=hex:@LONG@
"List"=hex(7):61,00,00,00,62,00,63,00,00,00,00,00
"Odd"=hex(1):61,00,62
"Grüße €"=hex(1):dc,00,6d,00,6c,00,e4,00,75,00,74,00,20,00,03,26,20,00,34,d8,1e,dd,00,00

[HKEY_LOCAL_MACHINE\TEST\ControlSet001\Päth\Слово\a very long name of a key that is more than thirty-two characters]
"x"="y"

`

// sampleHive is written once: hivex takes a second for it.
var sampleHive []byte

func sample(t testing.TB) []byte {
	if sampleHive != nil {
		return sampleHive
	}
	var s strings.Builder
	s.WriteString(strings.ReplaceAll(text, "@LONG@", strings.TrimSuffix(strings.Repeat("0a,1b,2c,", 3000), ",")))
	for i := range 2000 {
		fmt.Fprintf(&s, "[HKEY_LOCAL_MACHINE\\TEST\\Many\\Key %d]\n\"n\"=dword:%08x\n\n", i, i)
	}
	sampleHive = regftest.Merge(t, s.String())
	return sampleHive
}

// What hivex writes is read as hivex reads it.
func TestHivex(t *testing.T) {
	b := sample(t)
	want := regftest.List(t, b)
	h := open(t, b)
	if diff := cmp.Diff(want, mustList(t, h)); diff != "" {
		t.Error(diff)
	}
	if len(want) < 4000 {
		t.Errorf("only %d lines", len(want))
	}
	if i := h.Info(); i.Dirty || i.Version != "1.5" || i.Written.Year() < 2016 || i.Replayed != 0 || i.Logs {
		t.Errorf("%+v", i)
	}

	key, err := h.Key(`controlset001\SERVICES\VioStor`)
	if err != nil {
		t.Fatal(err)
	}
	if key.Path() != `ControlSet001\Services\viostor` || key.Name() != "viostor" || key.Link() || key.Written().IsZero() {
		t.Errorf("%q %q %v", key.Path(), key.Name(), key.Written())
	}
	for name, want := range map[string]uint64{"start": 0, "BIG": 0x0102030405060708, "bigendian": 0x102} {
		if n, err := key.Uint(name); err != nil || n != want {
			t.Errorf("%s = %#x, %v", name, n, err)
		}
	}
	for name, want := range map[string]string{
		"Group": "SCSI miniport", "ImagePath": "Sy%x%", "GRÜSSE €": "", "grÜßE €": "Ümläut ☃ 𝄞", "Odd": "a",
	} {
		if s, err := key.Text(name); s != want || (err != nil) != (want == "") {
			t.Errorf("%s = %q, %v", name, s, err)
		}
	}
	if s, err := key.Strings("list"); err != nil || !slices.Equal(s, []string{"a", "bc"}) {
		t.Errorf("list = %q, %v", s, err)
	}
	if s, err := key.Strings("Group"); err != nil || !slices.Equal(s, []string{"SCSI miniport"}) {
		t.Errorf("text as a list = %q, %v", s, err)
	}
	if _, err := key.Text("Start"); !errors.Is(err, regf.ErrType) {
		t.Errorf("a number as text: %v", err)
	}
	if _, err := key.Uint("Group"); !errors.Is(err, regf.ErrType) {
		t.Errorf("text as a number: %v", err)
	}
	if _, err := key.Value("nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such value: %v", err)
	}
	for _, path := range []string{`ControlSet002`, `ControlSet001\Services\viostor\x`, "Many\\Key 2000"} {
		if _, err := h.Key(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("no such key %s: %v", path, err)
		}
	}
	for _, path := range []string{"", `\`, `\Many\Key 1999\`, `CONTROLSET001\pÄTH\слОВО`} {
		if _, err := h.Key(path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
	root, _ := h.Root()
	if s, err := root.Text(""); err != nil || s != "the default" {
		t.Errorf("default value: %q, %v", s, err)
	}
	if c, err := root.Class(); err != nil || c != "" {
		t.Errorf("class %q, %v", c, err)
	}
}

// Finding one of 2,000 keys does not read the others.
func TestLookupCost(t *testing.T) {
	b := sample(t)
	bud := budget.New(t.Context(), budget.Limits{})
	h, err := regf.Open(bytes.NewReader(b), int64(len(b)), regf.Options{Budget: bud})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Key(`Many\Key 1234`); err != nil {
		t.Fatal(err)
	}
	if read, _, memory := bud.Spent(); read > 120_000 || memory != 0 {
		t.Errorf("read %d bytes of %d, %d of memory are held", read, len(b), memory)
	}
}

// Each limit of the budget ends reading, with a *Limit.
func TestBudget(t *testing.T) {
	b := sample(t)
	for name, l := range map[string]budget.Limits{
		"steps": {Steps: 1000}, "bytes": {Read: 50_000}, "memory": {Memory: 1000},
	} {
		h, err := regf.Open(bytes.NewReader(b), int64(len(b)), regf.Options{Budget: budget.New(t.Context(), l)})
		if err != nil {
			t.Fatal(err)
		}
		_, errs := list(h)
		if len(errs) == 0 || !slices.ContainsFunc(errs, budget.IsLimit) {
			t.Errorf("%s: %d errors, no limit", name, len(errs))
		}
		if len(errs) > 2010 {
			t.Errorf("%s: %d errors", name, len(errs))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := regf.Open(bytes.NewReader(b), int64(len(b)), regf.Options{Budget: budget.New(ctx, budget.Limits{})}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// What is no hive is refused.
func TestNoHive(t *testing.T) {
	good := regftest.Minimal()
	change := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		regftest.Seal(b)
		return b
	}
	for name, b := range map[string][]byte{
		"empty": nil, "short": good[:500], "other": []byte(strings.Repeat("x", 8192)),
		"version 2": change(func(b []byte) { b[20] = 2 }),
		"version 0": change(func(b []byte) { b[24] = 0 }),
		"log":       change(func(b []byte) { b[28] = 1 }),
	} {
		_, err := regf.Open(bytes.NewReader(b), int64(len(b)), regf.Options{})
		var bad *disk.Malformed
		var refused *disk.Refused
		if !errors.As(err, &bad) && !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
