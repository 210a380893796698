package server

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFormatsConfig: the lists of the documents, and a project's own, as the
// file has them.
func TestFormatsConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kuva.yaml")
	load := func(text string) (Config, error) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadConfig(file, func(string) string { return "" })
		if err == nil {
			c.Data = t.TempDir()
			err = c.fill()
		}
		return c, err
	}
	for _, list := range []string{"raw, qcow2, vmdk", "raw, qcow2"} {
		c, err := load("formats:\n  disk: [" + list + "]\n  container: [bare]\n  projects:\n    p1: {disk: [iso]}\n")
		if err != nil {
			t.Fatal(err)
		}
		site, projects, err := c.Formats.formats()
		if err != nil || strings.Join(site.Disk, ", ") != list || !slices.Equal(site.Container, []string{"bare"}) ||
			!slices.Equal(projects["p1"].Disk, []string{"iso"}) || projects["p1"].Container != nil {
			t.Errorf("%+v %+v %v", site, projects, err)
		}
	}
	for _, text := range []string{"formats: {disk: [floppy]}", "formats: {container: [zip]}", "formats: {projects: {p: {disk: [QCOW2]}}}", "formats: {disks: [raw]}"} {
		if _, err := load(text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
