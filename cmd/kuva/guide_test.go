package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"kuva/internal/testkit"
)

// portalWords are names that the guide gives to things of the portal.
func portalWords(t *testing.T, lang string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "internal", "portal", "web", "src", "text", lang+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var w map[string]string
	if err := json.Unmarshal(b, &w); err != nil {
		t.Fatal(err)
	}
	return []string{
		"**" + w["images.title"] + " → " + w["images.platform"] + "**", "**" + w["images.title"] + " → " + w["images.private"] + " → " + w["images.upload"] + "**",
		"**" + w["images.shared"] + "**", "**" + w["image.download"] + "**", "**" + w["image.edit"] + "**", "**" + w["image.export"] + "**", "**" + w["access.title"] + "**",
		"*" + w["image.stage.creating"] + "*", "*" + w["image.stage.normal"] + "*", "*" + w["image.stage.error"] + "*",
	}
}

// TestGuide runs every command line of the guide, as it is written and in its
// order. All languages have the same ones.
func TestGuide(t *testing.T) {
	testkit.Need(t, "bash", "mke2fs", "openstack", "qemu-img")
	block := regexp.MustCompile("(?s)```sh\n(.*?)```")
	var commands []string
	for _, lang := range []string{"en", "pt-BR", "de", "fi"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", "guide."+lang+".md"))
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range portalWords(t, lang) {
			if !strings.Contains(string(text), words) {
				t.Errorf("guide.%s.md does not say %s, as the portal does", lang, words)
			}
		}
		var found []string
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			found = append(found, m[1])
		}
		if fences := strings.Count(string(text), "```"); len(found) < 10 || fences != 2*len(found) {
			t.Errorf("guide.%s.md: %d blocks of commands, %d fences", lang, len(found), fences)
		}
		if commands == nil {
			commands = found
		} else if !slices.Equal(found, commands) {
			t.Errorf("guide.%s.md has other commands than guide.en.md", lang)
		}
	}
	var script strings.Builder
	script.WriteString(`exec mke2fs -q -d tree disk.raw 8M
exec kuva convert disk.raw debian-12.qcow2
exec kuva serve --data data --listen 127.0.0.1:0 &serve&
ready data
exec bash -euo pipefail guide.sh
-- tree/etc/os-release --
ID=debian
VERSION_ID=12
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
-- guide.sh --
`)
	for _, c := range commands {
		for line := range strings.Lines(c) {
			fmt.Fprintf(&script, "echo '$ %s'\n%s", strings.ReplaceAll(strings.TrimSpace(line), "'", "|"), line)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "guide.txt"), []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Setenv("KUVA_ADMIN_PASSWORD", "correct horse")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"ready": ready},
	})
}
