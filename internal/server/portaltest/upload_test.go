package portaltest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/browser"
)

// S0-37, S1-18: a browser that is killed in the middle of an upload costs
// nothing but what was under way, and another one goes on with it.
func TestUploadGoesOnInAnotherBrowser(t *testing.T) {
	w := start(t)
	size := servertest.Count(128, 2048) << 20
	content := servertest.Random(7, size)
	file := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	begin := func(p *browser.Page, lang string) {
		p.Open(w.url + "/images/private")
		logIn(p, w.user, lang)
		p.Click("button", say(lang, "images.upload"))
		p.ChooseFiles("button", say(lang, "upload.choose"), file)
		p.See("disk.img")
	}
	first := browser.Start(t, filepath.Join(t.TempDir(), "first"))
	p := first.Page(t, browser.Look{Lang: "de"})
	begin(p, "de")
	p.Type(say("de", "image.name"), "Erstes")
	p.Click("button", say("de", "upload.start"))
	var uploads struct {
		Uploads []struct {
			ID       string `json:"id"`
			Received int64  `json:"received"`
			State    string `json:"state"`
		} `json:"uploads"`
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		if err := w.client.JSON(200, "GET", "/kuva/v1/uploads", nil, &uploads); err != nil {
			t.Fatal(err)
		}
		if len(uploads.Uploads) == 1 && uploads.Uploads[0].Received >= int64(size)*3/8 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("nothing arrives: %+v", uploads)
		}
	}
	first.Kill(t)
	kept := uploads.Uploads[0].Received
	if uploads.Uploads[0].State != "open" {
		t.Fatalf("it was over before the kill: %+v", uploads.Uploads[0])
	}

	second := browser.Start(t, filepath.Join(t.TempDir(), "second"))
	p = second.Page(t, browser.Look{Lang: "en"})
	begin(p, "en")
	p.See(say("en", "upload.again"))
	p.Click("button", say("en", "upload.start"))
	p.See(say("en", "upload.all_done"))
	p.Click("link", "Erstes")
	p.Wait("heading", "Erstes")

	list, err := w.client.List()
	if err != nil || len(list) != 1 {
		t.Fatalf("images: %+v, %v", list, err)
	}
	a, err := w.client.Send("GET", "/kuva/v1/images/"+list[0].ID+"/file?format=raw", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if err := servertest.SameBytes(a.Body, bytes.NewReader(content)); err != nil {
		t.Error(err)
	}
	t.Logf("%d MiB were kept through the kill", kept>>20)
}
