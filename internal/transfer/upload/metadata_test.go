package upload

import (
	"maps"
	"reflect"
	"strings"
	"testing"

	"kuva"
)

func TestMetadata(t *testing.T) {
	w, err := parse(map[string]string{
		"filename": `C:\images/a.raw`, "filetype": "application/x-raw", "relativePath": "null", "disk_format": "raw", "visibility": "private",
		"min_disk": "3", "min_ram": "512", "tags": "a, b", "protected": "true", "property_os_distro": "debian", "native": "raw", "content": "exact",
		"md5": strings.Repeat("AB", 16),
	})
	n := w.new
	if err != nil || n.Name != "a.raw" || n.DiskFormat != "raw" || n.ContainerFormat != "bare" || n.Visibility != kuva.VisibilityPrivate || n.MinDisk != 3 ||
		n.MinRAM != 512 || !reflect.DeepEqual(n.Tags, []string{"a", "b"}) || !n.Protected || n.Properties["os_distro"] != "debian" ||
		!w.options.Exact || w.options.Native != "raw" || w.options.Digests["md5"] != strings.Repeat("ab", 16) || w.options.DiskFormat != "raw" || w.image != "" {
		t.Errorf("%+v, %v", w, err)
	}
	big := map[string]string{}
	for i := range maxKeys + 1 {
		big[strings.Repeat("k", i+1)] = ""
	}
	for _, m := range []map[string]string{
		{"min_disk": "x"},
		{"min_ram": "4294967296"},
		{"protected": "yes"},
		{"native": "vmdk"},
		{"content": "all"},
		{"sha256": "00"},
		{"md5": "zz"},
		{"image": "1", "visibility": "private"},
		{"image": "1", "property_a": "b"},
		{"name": "a\x00"},
		{"a\xff": "b"},
		{"name": strings.Repeat("a", maxMetadata)},
		big,
	} {
		if w, err := parse(m); err == nil {
			t.Errorf("%.60q passes: %+v", m, w)
		}
	}
	if _, err := parse(map[string]string{"image": "1", "filename": "x", "disk_format": "raw", "native": "raw", "content": "exact"}); err != nil {
		t.Error(err)
	}
}

// FuzzMetadata: metadata of strangers are read or refused, never both.
func FuzzMetadata(f *testing.F) {
	f.Add("name", "a", "property_x", "y")
	f.Add("image", "1", "tags", ",,")
	f.Add("filename", "../..", "protected", "")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		m := map[string]string{k1: v1, k2: v2}
		before := maps.Clone(m)
		w, err := parse(m)
		if !maps.Equal(m, before) {
			t.Error("it changes what it reads")
		}
		if err != nil {
			if kuva.CodeOf(err) == kuva.CodeInternal {
				t.Errorf("%q: %v", m, err)
			}
			return
		}
		if !plain(w.new.Name) || w.new.ContainerFormat == "" || w.image != "" && w.new.Properties != nil {
			t.Errorf("%q: %+v", m, w)
		}
	})
}
