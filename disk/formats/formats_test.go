package formats_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"testing"

	"kuva/disk"
	"kuva/disk/formats"
)

const fileBytes = 64 << 10

// writers put the marks of a format into a file of 64 KiB and tell which
// bytes they took.
var writers = map[string]func(b []byte) (first, end int){
	"qcow2":      text(0, "QFI\xfb\x00\x00\x00\x03"),
	"vmdk":       text(0, "KDMV\x01\x00\x00\x00"),
	"vmdk text":  text(0, "# Disk DescriptorFile\n"),
	"vhd":        text(0, "conectix"),
	"vhd footer": text(fileBytes-512, "conectix"),
	"vhdx":       text(0, "vhdxfile"),
	"vdi":        text(64, "\x7f\x10\xda\xbe"),
	"qed":        text(0, "QED\x00"),
	"luks":       text(0, "LUKS\xba\xbe\x00\x01"),
	"iso":        text(32769, "CD001"),
	"tar":        text(257, "ustar\x0000"),
	"gzip":       text(0, "\x1f\x8b\x08\x00"),
	"xz":         text(0, "\xfd7zXZ\x00"),
	"zip":        text(0, "PK\x03\x04"),
	"dmg":        text(fileBytes-512, "koly"),
	"gpt":        text(512, "EFI PART"),
	"mbr": func(b []byte) (int, int) {
		b[446], b[450] = 0x80, 0x83
		binary.LittleEndian.PutUint32(b[454:], 2048)
		binary.LittleEndian.PutUint32(b[458:], 4096)
		b[510], b[511] = 0x55, 0xaa
		return 446, 512
	},
}

func text(off int, s string) func(b []byte) (int, int) {
	return func(b []byte) (int, int) { return off, off + copy(b[off:], s) }
}

// verdicts by which the names of writers and of formats differ.
var verdictOf = map[string]string{"vmdk text": "vmdk", "vhd footer": "vhd", "mbr": "raw", "gpt": "raw"}

func verdict(name string) string {
	if v := verdictOf[name]; v != "" {
		return v
	}
	return name
}

func TestDetectOne(t *testing.T) {
	for name, write := range writers {
		b := make([]byte, fileBytes)
		write(b)
		v, err := formats.Detect(t.Context(), bytes.NewReader(b), fileBytes)
		if err != nil || v.Name != verdict(name) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		if (v.Format == nil) != slices.Contains(formats.Recognised(), v.Name) {
			t.Errorf("%s: recognised only, or is it?", name)
		}
	}
	for _, b := range [][]byte{nil, {0}, []byte("KDM"), bytes.Repeat([]byte{7}, 600), make([]byte, 1<<17)} {
		if v, err := formats.Detect(t.Context(), bytes.NewReader(b), int64(len(b))); err != nil || v.Name != "raw" || v.Format == nil {
			t.Errorf("%d bytes without a mark: %+v, %v", len(b), v, err)
		}
	}
}

// TestDetectPairs (S-121) builds every pair of formats that can share a file.
func TestDetectPairs(t *testing.T) {
	names := slices.Sorted(maps.Keys(writers))
	pairs := 0
	for i, a := range names {
		for _, b := range names[i+1:] {
			file := make([]byte, fileBytes)
			first, end := writers[a](file)
			first2, end2 := writers[b](file)
			if first < end2 && first2 < end {
				continue // they need the same bytes
			}
			pairs++
			v, err := formats.Detect(t.Context(), bytes.NewReader(file), fileBytes)
			together := map[string]bool{"gpt": true, "mbr": true}
			var want string
			switch {
			case together[a] && together[b]:
				want = "raw"
			case (together[a] || together[b]) && (a == "iso" || b == "iso"):
				want = "iso"
			case (together[a] || together[b]) && (verdict(a) == "vhd" || verdict(b) == "vhd"):
				want = "vhd"
			case verdict(a) == verdict(b):
				want = verdict(a)
			}
			var refused *disk.Refused
			switch {
			case want != "":
				if err != nil || v.Name != want {
					t.Errorf("%s and %s: %+v, %v; want %s", a, b, v, err, want)
				}
			case !errors.As(err, &refused) || refused.Reason != disk.ReasonAmbiguous:
				t.Errorf("%s and %s: %+v, %v; want ambiguous", a, b, v, err)
			}
		}
	}
	if pairs < 50 {
		t.Errorf("only %d pairs", pairs)
	}
}

// TestMBR (S-124): what is no partition table is data.
func TestMBR(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b []byte)
		want   []string
	}{
		{"good", func(b []byte) {}, []string{"mbr"}},
		{"boot flag", func(b []byte) { b[446] = 0x7f }, nil},
		{"no type", func(b []byte) { b[450] = 0 }, nil},
		{"no length", func(b []byte) { clear(b[458:462]) }, nil},
		{"no entry", func(b []byte) { clear(b[446:510]) }, nil},
		{"no signature", func(b []byte) { b[510] = 0 }, nil},
	} {
		b := make([]byte, 4096)
		writers["mbr"](b)
		tt.change(b)
		v, err := formats.Detect(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err != nil || v.Name != "raw" || !slices.Equal(v.Partitions, tt.want) {
			t.Errorf("%s: %+v, %v", tt.name, v, err)
		}
	}
}

// TestList: names are told apart, and raw, which fits anything, comes first.
func TestList(t *testing.T) {
	if formats.All[0].Name != "raw" || formats.All[0].Probe != nil {
		t.Error("raw does not come first")
	}
	seen := map[string]bool{}
	for _, f := range slices.Concat(formats.All, formats.Packages) {
		for _, name := range append([]string{f.Name}, f.Aliases...) {
			if seen[name] {
				t.Errorf("two formats are called %s", name)
			}
			seen[name] = true
			if formats.ByName(name) != f {
				t.Errorf("%s is not found", name)
			}
		}
		if packed := slices.Contains(formats.Packages, f); packed && (f.Stream == nil || f.Probe != nil) {
			t.Errorf("%s is not only written", f.Name)
		} else if f.Open == nil || !packed && f.Name != "raw" && f.Probe == nil {
			t.Errorf("%s cannot be opened or told", f.Name)
		}
	}
	if formats.ByName("QCOW2") == nil || formats.ByName("nothing") != nil {
		t.Error("names are found in another way")
	}
}

func FuzzDetect(f *testing.F) {
	for _, write := range writers {
		b := make([]byte, fileBytes)
		write(b)
		f.Add(b[:600])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := formats.Detect(t.Context(), bytes.NewReader(b), int64(len(b)))
		if (err == nil) == (v.Name == "") {
			t.Errorf("%+v, %v", v, err)
		}
	})
}
