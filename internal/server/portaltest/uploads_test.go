package portaltest

import (
	"encoding/base64"
	"net/http"
	"testing"

	"kuva/internal/testkit/browser"
)

// TestUploads: an upload that somebody else began is listed with the way to go
// on, and can be given up, which takes its image away.
func TestUploads(t *testing.T) {
	t.Parallel()
	w := start(t)
	a, err := w.client.Do("POST", "/files", http.Header{
		"Tus-Resumable": {"1.0.0"}, "Upload-Length": {"1048576"},
		"Upload-Metadata": {"filename " + base64.StdEncoding.EncodeToString([]byte("Erstes.img"))},
	}, nil)
	if err != nil || a.Status != http.StatusCreated {
		t.Fatalf("%v, %v", a, err)
	}
	p := w.logIn(t, w.user, browser.Look{Lang: "fi"})
	p.Click("link", say("fi", "nav.uploads"))
	p.Wait("heading", say("fi", "uploads.title"))
	p.See("Erstes.img")
	p.See(say("fi", "uploads.state.open"))
	p.Click("DisclosureTriangle", say("fi", "uploads.go_on"))
	p.See(say("fi", "uploads.go_on.tus"))
	p.Click("button", say("fi", "upload.cancel", "name", "Erstes.img"))
	d := p.In("dialog", say("fi", "uploads.give_up.title", "name", "Erstes.img"))
	d.Click("button", say("fi", "uploads.give_up"))
	p.See(say("fi", "uploads.given_up", "name", "Erstes.img"))
	p.See(say("fi", "uploads.none"))
	if list, err := w.client.List(); err != nil || len(list) != 0 {
		t.Errorf("images: %+v, %v", list, err)
	}
}
