package servertest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kuva/api"
	"kuva/client"
	"kuva/disk/disktest"
	"kuva/internal/server/servertest"
)

// TestTerms: content that comes in parts is taken from those who accept the
// site's terms, and the image says who that was.
func TestTerms(t *testing.T) {
	data := t.TempDir()
	text := "Send nothing that is not yours.\n"
	if err := os.WriteFile(filepath.Join(data, "terms.txt"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := servertest.Start(t, servertest.Config{Data: data, YAML: "terms:\n  version: 2026-11\n  file: terms.txt\n"})
	c := p.Login(t, servertest.Admin)
	var said api.SiteTerms
	if err := c.JSON(http.StatusOK, "GET", "/kuva/v1/terms", nil, &said); err != nil {
		t.Fatal(err)
	}
	if said.Terms == nil || *said.Terms != (api.Terms{Version: "2026-11", Text: text}) {
		t.Errorf("terms: %+v", said.Terms)
	}
	k := kuvaClient(t, p.URL)
	d := disktest.RandomDisk(3<<20, 1)
	for _, version := range []string{"", "2025-01"} {
		_, err := k.AskUpload(t.Context(), d, client.AskOptions{Image: client.NewImage{Name: "refused"}, Terms: version})
		if err == nil || !strings.Contains(err.Error(), "version 2026-11") {
			t.Errorf("with terms %q: %v", version, err)
		}
	}
	img, err := k.AskUpload(t.Context(), d, client.AskOptions{Image: client.NewImage{Name: "taken"}, Terms: "2026-11"})
	if err != nil {
		t.Fatal(err)
	}
	if got := img.Properties["kuva_terms_accepted"]; !strings.HasPrefix(got, "2026-11 ") || len(strings.Fields(got)) != 3 {
		t.Errorf("the image says %q", got)
	}
	if err := c.Patch(img.ID, servertest.Fields{"kuva_terms_accepted": "2026-11 somebody else"}); servertest.StatusOf(err) != http.StatusForbidden {
		t.Errorf("to change what was accepted: %v", err)
	}
	if list, err := c.List(); err != nil || len(list) != 1 {
		t.Errorf("images: %+v, %v", list, err)
	}
}
