package portaltest

import (
	"testing"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/browser"
)

// TestBiggestImages: the biggest stand first, each with what it costs; images
// of others do not stand there, not for administrators either.
func TestBiggestImages(t *testing.T) {
	t.Parallel()
	w := start(t)
	for name, size := range map[string]int{"Small": 1 << 20, "Big": 9 << 20} {
		id := w.client.MustCreate(t, servertest.Fields{"name": name, "visibility": "private", "disk_format": "raw"})
		w.client.MustUpload(t, id, servertest.Random(uint64(size), size))
	}
	p := w.logIn(t, w.user, browser.Look{Lang: "pt-BR"})
	p.In("navigation", say("pt-BR", "nav")).Click("link", say("pt-BR", "usage.title"))
	table := p.In("table", say("pt-BR", "usage.biggest"))
	table.In("row", "*Big*").See("9 MiB") // nothing to be compressed
	rows := table.All("link", "*")
	if len(rows) != 2 || rows[0].Name != "Big" || rows[1].Name != "Small" {
		t.Errorf("the biggest images: %+v", rows)
	}
	table.Click("link", "Big")
	p.Wait("heading", "Big")

	a := w.logIn(t, servertest.Admin, browser.Look{})
	a.Open(w.url + "/usage")
	a.See(say("en", "usage.history"))
	a.Gone(say("en", "usage.biggest"))
}
