package catalogue

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const good = `# images
images:
  - name: debian-12
    os: Debian
    version: "12"
    architecture: x86_64
    url: https://example.org/debian-12.qcow2
    hash: sha256:07e44a73e54c94d988028515403c1ed762055e01b83a767edf3c2b387f78ce00
    licence: free
    min_disk: 2
    properties:
      hw_disk_bus: virtio
      hw_rng: true
`

// TestParse: what is wrong is told with line and field.
func TestParse(t *testing.T) {
	list, err := Parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if e := list[0]; len(list) != 1 || e.Algorithm != "sha256" || e.MinDisk != 2 || e.Properties["hw_rng"] != "true" || e.Version != "12" {
		t.Errorf("%+v", list)
	}
	for _, text := range []string{"", "\n", "# nothing\n", "images: []\n", "images:\n"} {
		if list, err := Parse([]byte(text)); err != nil || len(list) != 0 {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
	change := func(old, now string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("there is no %q", old)
		}
		return strings.Replace(good, old, now, 1)
	}
	second := good + strings.TrimPrefix(good, "# images\nimages:\n")
	for _, c := range []struct {
		text string
		want []string
	}{
		{change("    os: Debian\n", ""), []string{"line 3: os: is missing"}},
		{change("  - name: debian-12\n    os: Debian", "  - os: Debian"), []string{"image 1: name: is missing"}},
		{change("debian-12\n", "Debian 12\n"), []string{"line 3: name: write small letters"}},
		{change("    os: Debian\n", "    os: Debian\n    horse: x\n"), []string{"[5:5]", "horse"}},
		{change("    os: Debian\n", "    os: Debian\n    os: x\n"), []string{"[5:5]", "os"}},
		{change("    os: Debian\n", "    os: {a: b}\n"), []string{"line 4", "no text"}},
		{change("    os: Debian\n", "    os: [a]\n"), []string{"line 4", "no text"}},
		{change("min_disk: 2", "min_disk: two"), []string{"line 10", "no whole number"}},
		{change("min_disk: 2", "min_disk: -2"), []string{"line 10: min_disk: write a number"}},
		{change("min_disk: 2", "min_disk: 99999999999999999999999"), []string{"line 10"}},
		{change("https://example.org", "ftp://example.org"), []string{"line 7: url: write it"}},
		{change("https://example.org", "https://user:pass@example.org"), []string{"line 7: url: write it"}},
		{change("https://example.org/debian-12.qcow2", "file:///etc/passwd"), []string{"line 7: url: write it"}},
		{change("sha256:07", "sha256:7"), []string{"line 8: hash: write sha256:"}},
		{change("sha256:07", "md5:07"), []string{"line 8: hash: write sha256:"}},
		{change("sha256:07", "07"), []string{"line 8: hash: write sha256:"}},
		{change("    licence: free\n", "    licence: free\n    disk_format: floppy\n"), []string{"line 10: disk_format: choose one of"}},
		{change("hw_disk_bus: virtio", "hw_disk_bus: \"a\\nb\""), []string{"line 12: properties"}},
		{second, []string{"line 14: name: debian-12 stands in line 3 already"}},
		{change("    os: Debian\n", "    os: &x Debian\n"), []string{"line 4: anchors"}},
		{change("    os: Debian\n", "    os: *x\n"), []string{"line 4: anchors"}},
		{change("    os: Debian\n", "    <<: *x\n"), []string{"line 4: anchors"}},
		{change("    os: Debian\n", "    os: !!binary x\n"), []string{"line 4: anchors"}},
		{good + "---\nimages: []\n---\n", []string{"a second document"}},
		{"images: 5\n", []string{"[1:9]"}},
		{"pictures: []\n", []string{"[1:1]", "pictures"}},
		{"images:\n  - - a\n", []string{"line 2: a list directly inside a list"}},
		{strings.Repeat("[", 100_000), []string{"line 1: too many brackets"}},
		{strings.Repeat("x", MaxFile+1), []string{"larger than"}},
		{"images:\n" + strings.Repeat("  - {}\n", MaxEntries+1), []string{"more than 1000 images"}},
	} {
		_, err := Parse([]byte(c.text))
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%.300q: got %v, want %q", c.text, err, want)
			}
		}
	}
}

// TestExample: the file that comes with the documentation is one.
func TestExample(t *testing.T) {
	b, err := os.ReadFile("../../../docs/catalogue.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	list, err := Parse(b)
	if err != nil || len(list) < 4 {
		t.Errorf("%d images, %v", len(list), err)
	}
	page, err := os.ReadFile("../../../docs/catalogue.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if list, err := Parse([]byte(example)); err != nil || !ok || len(list) != 1 {
		t.Errorf("docs/catalogue.md: %v", err)
	}
}

// TestOpen: a file that is not right, or not there, is no catalogue.
func TestOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "catalogue.yaml")
	if _, err := Open(file, nil, nil); err == nil {
		t.Error("a file that is not there")
	}
	if err := os.WriteFile(file, []byte("images:\n  - name: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, nil, nil); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "line 2: os: is missing") {
		t.Errorf("got %v", err)
	}
	c, err := Open("", nil, nil)
	if err != nil || len(c.List()) != 0 {
		t.Errorf("no file: %v", err)
	}
	var none *Catalogue
	if len(none.List()) != 0 {
		t.Error("no catalogue")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("images:\n- {name: a, os: b}\n")
	f.Add("images:\n- name: &x a\n  os: *x\n")
	f.Add(strings.Repeat("? ", 50) + "a")
	f.Add("images:\n" + strings.Repeat(" - ", 20))
	f.Fuzz(func(t *testing.T, s string) {
		list, err := Parse([]byte(s))
		if err != nil {
			return
		}
		for _, e := range list {
			if !namePattern.MatchString(e.Name) || e.URL == "" || sums[e.Algorithm]*2 != len(e.Hash) || e.Licence == "" || e.MinDisk < 0 || e.MinRAM < 0 {
				t.Errorf("%+v", e)
			}
		}
	})
}
