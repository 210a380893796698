package portaltest

import (
	"net/http"
	"regexp"
	"testing"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/browser"
)

// TestLinks: a link is made on the page of its image, is good without a login,
// is listed with its uses, and ends when it is revoked.
func TestLinks(t *testing.T) {
	t.Parallel()
	w := start(t)
	id := w.client.MustCreate(t, servertest.Fields{"name": "Debian-9"})
	w.client.MustUpload(t, id, servertest.Content(1, 1<<20))
	p := w.logIn(t, w.user, browser.Look{Lang: "de"})
	p.Open(w.url + "/images/" + id)
	p.Wait("heading", "Debian-9")
	menu(p, "de", "links.make")
	d := p.In("dialog", say("de", "links.make"))
	d.Choose(say("de", "links.time"), "7 Tage")
	d.Type(say("de", "links.most"), "2")
	d.Click("button", say("de", "links.make"))
	d.See(say("de", "links.once"))
	url := regexp.MustCompile(`http://\S+/l/kvl_\S+`).FindString(d.Text())
	status := func() int {
		t.Helper()
		res, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	if got := status(); got != http.StatusOK {
		t.Fatalf("the link %q answers %d", url, got)
	}
	d.Click("button", say("de", "links.title"))

	p.Wait("link", "Debian-9")
	p.See(say("de", "links.uses_of", "n", "1", "most", "2"))
	p.See(say("de", "links.state.live"))
	p.Click("button", say("de", "links.revoke.of", "name", "Debian-9"))
	d = p.In("dialog", say("de", "links.revoke.title"))
	d.Click("button", say("de", "links.revoke"))
	p.See(say("de", "links.revoked"))
	p.See(say("de", "links.none"))
	if got := status(); got != http.StatusNotFound {
		t.Errorf("the revoked link answers %d", got)
	}
}
