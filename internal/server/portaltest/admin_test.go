package portaltest

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/browser"
)

// TestAdmin: an administrator makes a project with a user and limits, publishes
// an image for it, and lets the collector run.
func TestAdmin(t *testing.T) {
	t.Parallel()
	w := start(t)
	id := w.client.MustCreate(t, servertest.Fields{"name": "Golden", "visibility": "private"})
	w.client.MustUpload(t, id, servertest.Content(1, 1<<20))
	const lang = "de"
	p := w.logIn(t, servertest.Admin, browser.Look{Lang: lang})
	more := func(name, key string) {
		p.Click("button", say(lang, "admin.more", "name", name))
		p.Click("menuitem", say(lang, key))
	}
	p.In("navigation", say(lang, "nav")).Click("link", say(lang, "admin.title"))

	p.Click("link", say(lang, "admin.users"))
	p.Click("button", say(lang, "admin.user.new"))
	d := p.In("dialog", say(lang, "admin.user.new"))
	d.Click("button", say(lang, "image.save"))
	d.See(say(lang, "admin.password.missing"))
	d.Type(say(lang, "image.name"), "aino")
	d.Type(say(lang, "login.password"), "a-long-password-of-aino")
	d.Click("button", say(lang, "image.save"))
	p.WaitGone("dialog", "*")

	p.Click("link", say(lang, "admin.projects"))
	p.Click("button", say(lang, "admin.project.new"))
	d = p.In("dialog", say(lang, "admin.project.new"))
	d.Type(say(lang, "image.name"), "kiwi")
	d.Click("button", say(lang, "image.save"))
	p.WaitGone("dialog", "*")

	more("kiwi", "admin.members")
	d = p.In("dialog", say(lang, "admin.members.title", "name", "kiwi"))
	d.See(say(lang, "admin.members.none"))
	d.Type(say(lang, "admin.user"), "aino")
	d.Click("button", say(lang, "admin.members.add"))
	d.Wait("button", say(lang, "admin.members.remove", "role", "member", "name", "aino"))
	p.Press(kb.Escape)
	p.WaitGone("dialog", "*")

	more("kiwi", "admin.limits")
	d = p.In("dialog", say(lang, "admin.limits.title", "name", "kiwi"))
	d.Type(say(lang, "admin.limit.images"), "viele")
	d.Click("button", say(lang, "image.save"))
	d.See(say(lang, "admin.limits.bad"))
	d.Type(say(lang, "admin.limit.images"), "7")
	d.Type(say(lang, "admin.limit.bytes"), "1,5")
	d.Click("button", say(lang, "image.save"))
	p.WaitGone("dialog", "*")

	p.Click("link", say(lang, "admin.images"))
	more("Golden", "admin.publish")
	p.In("dialog", "*").Click("button", say(lang, "admin.publish"))
	p.WaitGone("dialog", "*")

	// The new user works in the project, within its limits, and sees the image.
	aino, err := servertest.TryLogin(w.url, servertest.User{Name: "aino", Password: "a-long-password-of-aino", Project: "kiwi"})
	if err != nil {
		t.Fatal(err)
	}
	if q, err := aino.Quota(); err != nil || q.Limits.Images != 7 || q.Limits.Bytes != 3<<29 {
		t.Errorf("limits: %+v, %v", q.Limits, err)
	}
	if images, err := aino.List(); err != nil || len(images) != 1 || images[0].ID != id {
		t.Errorf("images of the new project: %+v, %v", images, err)
	}
	more("Golden", "admin.hide")
	p.See(say(lang, "image.is.hidden"))
	if images, err := aino.List(); err != nil || len(images) != 0 {
		t.Errorf("images after hiding: %+v, %v", images, err)
	}

	p.Click("link", say(lang, "admin.store"))
	p.Click("button", say(lang, "admin.collector.look"))
	p.See(say(lang, "admin.plan"))
	p.Click("button", say(lang, "admin.collector.run"))
	p.See(say(lang, "admin.store.done"))

	p.Click("link", say(lang, "admin.users"))
	more("aino", "admin.disable")
	p.See(say(lang, "admin.disabled"))
	if _, err := servertest.TryLogin(w.url, servertest.User{Name: "aino", Password: "a-long-password-of-aino", Project: "kiwi"}); err == nil {
		t.Error("who was locked out logs in")
	}
}

// TestAdminOnly: who is no administrator finds neither the page nor its line.
func TestAdminOnly(t *testing.T) {
	t.Parallel()
	w := start(t)
	p := w.logIn(t, w.user, browser.Look{})
	if p.In("navigation", say("en", "nav")).Has("link", say("en", "admin.title")) {
		t.Error("the navigation names the administration")
	}
	p.Open(w.url + "/admin")
	p.See(say("en", "missing.title"))
}
