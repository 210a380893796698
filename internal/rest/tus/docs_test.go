package tus

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kuva/internal/catalog/catalogtest"
	"kuva/internal/testkit"
)

// TestPage: what the page says of curl works as it stands there, also where an
// upload is there in part.
func TestPage(t *testing.T) {
	testkit.Need(t, "bash", "curl")
	page, err := os.ReadFile("../../../docs/upload.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```sh\n")
	script, _, end := strings.Cut(rest, "```")
	if !ok || !end {
		t.Fatal("docs/upload.md has no script")
	}
	script, _, _ = strings.Cut(script, `tus "$KUVA/kuva/v1`) // another door
	script = strings.Replace(script, "\n\nwhile ", "\n\nhead -c 1500000 \"$FILE\" | tus -f -X PATCH \"$at\" -T - -H 'Upload-Offset: 0' -H 'Content-Type: application/offset+octet-stream'\nwhile ", 1)
	w := start(t, catalogtest.SQLite(t), change{})
	file := filepath.Join(t.TempDir(), "my disk.raw")
	data := append(make([]byte, 512), random(3*mib, 5)...)
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script+"echo $at")
	cmd.Env = append(os.Environ(), "KUVA="+w.url, "TOKEN=alice", "FILE="+file)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path := strings.TrimPrefix(strings.TrimSpace(string(out)), w.url)
	img := w.done(path)
	if u := w.row(path); img.Name != "my disk.raw" || u.Received != int64(len(data)) {
		t.Errorf("%+v %+v", img, u)
	}
	if img.DiskFormat == "raw" && !bytes.Equal(w.content(img.ID), data) {
		t.Error("other content")
	}
}
