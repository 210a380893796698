package portaltest

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/browser"
)

// documents are the words of the documents that describe a portal, in the
// order of their steps: the menu, the list, the button, the name, what starts
// the upload, the states and what deletes (S0-31 … S0-43, S1-15 … S1-21,
// S2-56, S2-57, S4-61 … S4-67). English has the words of the others.
var documents = map[string]struct{ menu, list, upload, name, start, normal, remove string }{
	"pt-BR": {"Imagens", "Privadas", "Carregamento de imagem", "Debian-9", "Iniciar envio", "Normal", "Excluir"},
	"de":    {"Images", "Meine Images", "Image hochladen", "Debian-10", "Erstelle", "Normal", "Löschen"},
	"fi":    {"Levykuvat", "Omat", "Lähetä levykuva", "Alpine-linux", "Aloita lähetys", "Normaali", "Poista"},
	"en":    {"Images", "Private", "Upload image", "Alpine-linux", "Start upload", "Normal", "Delete"},
}

// TestDocuments walks through the documents by their words: menu, list, upload
// with a name and a file, the image that becomes Normal by itself, its page,
// and its end by the context menu.
func TestDocuments(t *testing.T) {
	t.Parallel()
	w := start(t)
	for _, lang := range languages {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			words := documents[lang]
			member, user := w.member("project-" + lang)
			content := servertest.Content(uint64(len(lang)), 5<<20)
			file := filepath.Join(t.TempDir(), "disk.raw")
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			p := w.logIn(t, user, browser.Look{Lang: lang})
			nav := p.In("navigation", say(lang, "nav"))
			nav.Click("link", words.menu)
			nav.Click("link", words.list)
			p.See(say(lang, "images.way.upload")) // no image yet: three ways to get one

			p.Click("button", words.upload)
			d := p.In("dialog", words.upload)
			d.Type(say(lang, "image.name"), words.name)
			d.ChooseFiles("button", say(lang, "upload.choose"), file)
			d.See("disk.raw")
			d.Click("button", words.start)
			row := p.In("row", "*"+words.name+"*")
			row.See(words.normal)

			images, err := member.List()
			if err != nil || len(images) != 1 || images[0].Name != words.name || images[0].Visibility != "private" {
				t.Fatalf("the service has %+v, %v", images, err)
			}
			same(t, member, images[0].ID, content)

			row.Click("link", words.name)
			p.Wait("heading", words.name)
			p.See(images[0].ID)
			p.Click("link", say(lang, "image.tab.activity"))
			p.See(say(lang, "image.did.create"))

			nav.Click("link", words.list)
			row.Click("button", say(lang, "images.menu", "name", words.name))
			p.Click("menuitem", words.remove)
			p.In("dialog", "*"+words.name+"*").Click("button", words.remove)
			p.WaitGone("dialog", "*") // behind which there are no rows
			p.WaitGone("row", "*"+words.name+"*")
			if images, err := member.List(); err != nil || len(images) != 0 {
				t.Errorf("the service has %+v, %v", images, err)
			}
		})
	}
}

// same fails the test where an image's disk is not this content.
func same(t testing.TB, c *servertest.Client, id string, content []byte) {
	t.Helper()
	res, err := c.Send(http.MethodGet, "/kuva/v1/images/"+id+"/file?format=raw", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	if len(got) < len(content) || !bytes.Equal(got[:len(content)], content) || len(bytes.Trim(got[len(content):], "\x00")) != 0 {
		t.Errorf("image %s has other content, %d bytes", id, len(got))
	}
}

// TestSharing: an image that one project shares is accepted by the other, with
// the doctor's report before the decision (S2-63).
func TestSharing(t *testing.T) {
	t.Parallel()
	w := start(t)
	id := w.bootable(t, w.client, servertest.Fields{"name": "Debian-9", "visibility": "private"})
	for _, lang := range languages {
		t.Run(lang, func(t *testing.T) {
			green, user := w.member("green-" + lang)
			share(t, w.client, id, green.Project)
			p := w.logIn(t, user, browser.Look{Lang: lang})
			p.In("navigation", say(lang, "nav")).Click("link", say(lang, "images.shared"))
			p.See(say(lang, "images.offered"))
			p.See(say(lang, "image.member.pending"))
			p.Click("button", say(lang, "images.look"))
			d := p.In("dialog", say(lang, "images.look.title", "name", "Debian-9"))
			d.See(say(lang, "image.verdict.shares"))
			d.Click("button", say(lang, "images.accept"))
			p.See(say(lang, "images.accepted", "name", "Debian-9"))
			p.WaitGone("dialog", "*")
			p.In("row", "*Debian-9*").See(say(lang, "image.stage.normal"))
			images, err := green.List()
			if err != nil || len(images) != 1 || images[0].ID != id {
				t.Errorf("green's list: %+v, %v", images, err)
			}
		})
	}
}

// TestKeyboardOnly is the way of the documents without a mouse: log in, upload,
// look, delete.
func TestKeyboardOnly(t *testing.T) {
	t.Parallel()
	w := start(t)
	file := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(file, servertest.Content(1, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	p := browser.Shared(t).Page(t, browser.Look{})
	p.Open(w.url + "/")
	p.Wait("textbox", say("en", "login.user"))
	p.TabTo("textbox", say("en", "login.user"))
	p.Insert(w.user.Name)
	p.TabTo("textbox", say("en", "login.password"))
	p.Insert(w.user.Password)
	p.Press(kb.Enter)
	p.Wait("navigation", say("en", "nav"))

	p.TabTo("link", say("en", "images.private"))
	p.Press(kb.Enter)
	p.TabTo("button", say("en", "images.upload"))
	p.Press(kb.Enter)
	p.Wait("dialog", "*")
	p.TabTo("button", say("en", "upload.choose"))
	p.PressToChoose(file)
	p.See("disk.raw")
	p.TabTo("textbox", say("en", "image.name"))
	p.Press(strings.Repeat(kb.Backspace, 10))
	p.Insert("Keys")
	p.TabTo("button", say("en", "upload.start"))
	p.Press(kb.Enter)
	p.In("row", "*Keys*").See(say("en", "image.stage.normal"))

	p.TabTo("link", "Keys")
	p.Press(kb.Enter)
	p.Wait("heading", "Keys")
	p.TabTo("button", say("en", "image.more"))
	p.Press(kb.Enter)
	p.Wait("menuitem", say("en", "image.delete"))
	p.Press(kb.End)
	p.Press(kb.Enter)
	p.Wait("dialog", say("en", "image.delete.title", "name", "Keys"))
	p.TabTo("button", say("en", "image.delete"))
	p.Press(kb.Enter)
	p.See(say("en", "image.deleted", "name", "Keys"))
}

// TestUploadAfterKill: a browser that was killed in the middle of an upload is
// followed by another one, which sends the rest; the content is whole (S0-37).
func TestUploadAfterKill(t *testing.T) {
	t.Parallel()
	w := start(t)
	content := servertest.Content(7, 72<<20) // of which the service keeps 31 MiB at a time
	dir := t.TempDir()
	file, profile := filepath.Join(dir, "large.raw"), filepath.Join(dir, "profile")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	upload := func(b *browser.Browser, line int) *browser.Page {
		p := b.Page(t, browser.Look{})
		p.Open(w.url + "/images/private")
		out := func() bool { return p.Has("textbox", say("en", "login.user")) }
		servertest.Eventually(t, "the page", func() bool { return out() || p.Has("navigation", say("en", "nav")) })
		if out() {
			logIn(p, w.user, "en")
		}
		p.Line(line, 0)
		p.Click("button", say("en", "images.upload"))
		d := p.In("dialog", say("en", "images.upload"))
		d.ChooseFiles("button", say("en", "upload.choose"), file)
		d.See("large.raw")
		if line == 0 {
			d.See(say("en", "upload.again"))
		}
		d.Click("button", say("en", "upload.start"))
		return p
	}
	b := browser.Start(t, profile)
	upload(b, 16<<20)
	var arrived int64
	servertest.Eventually(t, "a good part of the upload", func() bool {
		arrived = w.arrived(t)
		return arrived >= int64(len(content))/3
	})
	b.Kill(t)
	if arrived == int64(len(content)) {
		t.Fatal("the upload was over before the browser was killed")
	}

	p := upload(browser.Start(t, profile), 0)
	p.In("row", "*large*").See(say("en", "image.stage.normal"))
	images, err := w.client.List()
	if err != nil || len(images) != 1 {
		t.Fatalf("the service has %+v, %v", images, err)
	}
	same(t, w.client, images[0].ID, content)
}

// arrived is how many bytes the service has of the newest upload.
func (w *world) arrived(t testing.TB) int64 {
	t.Helper()
	var page struct {
		Uploads []struct {
			Received int64 `json:"received"`
		} `json:"uploads"`
	}
	a, err := w.client.Do(http.MethodGet, "/kuva/v1/uploads", nil, nil)
	if err != nil || !a.OK() {
		t.Fatal(a, err)
	}
	decode(t, a.Body, &page)
	if len(page.Uploads) == 0 {
		return 0
	}
	return page.Uploads[0].Received
}
