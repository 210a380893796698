package portaltest

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

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
	"fi":    {"Levykuvat", "Omat", "Lataa levykuva", "Alpine-linux", "Aloita lähetys", "Normaali", "Poista"},
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
	green, user := w.member("green")
	id := w.bootable(t, w.client, servertest.Fields{"name": "Debian-9", "visibility": "private"})

	p := w.logIn(t, user, browser.Look{Lang: "de"})
	p.Open(w.url + "/images/shared")
	p.Wait("heading", "Images")
	share(t, w.client, id, green.Project) // it appears by itself
	row := p.In("row", "*Debian-9*")
	row.Click("button", say("de", "images.menu", "name", "Debian-9"))
	p.Click("menuitem", say("de", "image.tab.report"))
	p.See(say("de", "image.verdict.shares"))
	p.In("navigation", say("de", "nav")).Click("link", say("de", "images.shared"))
	row.Click("button", say("de", "images.menu", "name", "Debian-9"))
	p.Click("menuitem", say("de", "images.accept"))
	p.See(say("de", "images.accepted", "name", "Debian-9"))
	servertest.Eventually(t, "the image in green's list", func() bool {
		images, err := green.List()
		return err == nil && len(images) == 1 && images[0].ID == id
	})
}
