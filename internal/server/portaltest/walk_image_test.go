package portaltest

import (
	"testing"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/browser"
)

// TestImageActions walks through what the documents do with an image on its
// page (S2-58 … S2-63, S3-40 … S3-48), by the words of each language.
func TestImageActions(t *testing.T) {
	t.Parallel()
	w := start(t)
	green, _ := w.member("green")
	for _, lang := range languages {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			id := w.bootable(t, w.client, servertest.Fields{"name": "Debian-9", "visibility": "private"})
			p := w.logIn(t, w.user, browser.Look{Lang: lang})
			p.Open(w.url + "/images/" + id)
			p.Wait("heading", "Debian-9")

			// S3-40: size, id, time, source; S2-57: Normal.
			p.See(id)
			p.See(say(lang, "image.stage.normal"))
			p.See(say(lang, "image.origin.uploaded"))

			// S3-41, S3-42: five actions; one waits for machines and says so.
			if e := p.Wait("button", say(lang, "image.instance")); !e.Disabled || e.Description != say(lang, "image.why.instances") {
				t.Errorf("create instance: %+v", e)
			}

			// S2-59: name and description.
			p.Click("button", say(lang, "image.edit"))
			d := p.In("dialog", say(lang, "image.edit.title"))
			d.Type(say(lang, "image.name"), "Debian-9 web")
			d.Type(say(lang, "image.fact.description"), "Nginx & PHP")
			d.Click("button", say(lang, "image.save"))
			p.WaitGone("dialog", "*")
			p.Wait("heading", "Debian-9 web")
			p.See("Nginx & PHP")

			// S3-43, S3-44: capabilities.
			menu(p, lang, "image.capabilities.edit")
			d = p.In("dialog", say(lang, "image.capabilities.edit"))
			d.Type(say(lang, "image.cap.min_ram.unit"), "2048")
			d.Choose(say(lang, "image.cap.mode"), say(lang, "image.mode.emulated"))
			d.Choose(say(lang, "image.cap.firmware"), "uefi")
			d.Click("button", say(lang, "image.save"))
			p.WaitGone("dialog", "*")
			p.See("e1000")
			if img := w.client.MustShow(t, id); img.Name != "Debian-9 web" || img.Status != "active" {
				t.Errorf("the service has %+v", img)
			}

			// S3-48: a tag.
			menu(p, lang, "image.tags.edit")
			d = p.In("dialog", say(lang, "image.tags.edit"))
			d.Type(say(lang, "image.tags.new"), "produção")
			d.Click("button", say(lang, "image.save"))
			p.WaitGone("dialog", "*")
			p.See("produção")

			// S2-63: share; the other project's answer appears by itself.
			p.Click("button", say(lang, "image.share"))
			d = p.In("dialog", say(lang, "image.share"))
			d.Type(say(lang, "image.share.project"), green.Project)
			d.Click("button", say(lang, "image.share"))
			p.WaitGone("dialog", "*")
			p.Click("link", say(lang, "image.tab.sharing"))
			p.See(green.Project)
			p.See(say(lang, "image.member.pending"))
			call(t, green, "PUT", "/v2/images/"+id+"/members/"+green.Project, servertest.Fields{"status": "accepted"})
			p.See(say(lang, "image.member.accepted"))

			// S3-46: move; refused as long as it is not there.
			menu(p, lang, "image.move")
			d = p.In("dialog", say(lang, "image.move"))
			d.Type(say(lang, "image.share.project"), green.Project)
			d.Click("button", say(lang, "image.move.action"))
			p.WaitGone("dialog", "*")

			// S3-47, S0-43: delete, and why not while it is protected.
			menu(p, lang, "image.protect")
			p.See(say(lang, "image.is.protected"))
			p.Click("button", say(lang, "image.more"))
			if e := p.Wait("menuitem", say(lang, "image.delete")+" "+say(lang, "image.why.protected")); !e.Disabled {
				t.Errorf("delete a protected image: %+v", e)
			}
			p.Click("menuitem", say(lang, "image.unprotect"))
			p.Gone(say(lang, "image.is.protected"))
			menu(p, lang, "image.delete")
			d = p.In("dialog", "*Debian-9 web*")
			d.Click("button", say(lang, "image.delete"))
			p.See(say(lang, "image.deleted", "name", "Debian-9 web"))
			if a, err := w.client.Do("GET", "/v2/images/"+id, nil, nil); err != nil || a.Status != 404 {
				t.Errorf("the deleted image: %v, %v", a, err)
			}
		})
	}
}

// menu chooses an entry of the menu of an image's page.
func menu(p *browser.Page, lang, key string) {
	p.Click("button", say(lang, "image.more"))
	p.Click("menuitem", say(lang, key))
}

// TestImageRules: what cannot be done with an image now says why (S2-60,
// S2-62, S0-40).
func TestImageRules(t *testing.T) {
	t.Parallel()
	w := start(t)
	creating := w.client.MustCreate(t, servertest.Fields{"name": "Half", "visibility": "private"})
	platform := w.admin.MustCreate(t, servertest.Fields{"name": "Base", "visibility": "public"})
	w.admin.MustUpload(t, platform, servertest.Content(1, 1<<20))
	p := w.logIn(t, w.user, browser.Look{Lang: "pt-BR"})

	p.Open(w.url + "/images/" + creating)
	p.See("Criando")
	if e := p.Wait("button", "Editar"); !e.Disabled || e.Description != say("pt-BR", "image.why.not_normal") {
		t.Errorf("edit while creating: %+v", e)
	}
	menu(p, "pt-BR", "image.delete")
	p.In("dialog", "*Half*").Click("button", "Excluir")
	p.See(say("pt-BR", "image.deleted", "name", "Half"))

	p.Open(w.url + "/images/" + platform)
	p.See(say("pt-BR", "image.why.platform"))
	for _, key := range []string{"image.edit", "image.share"} {
		if e := p.Wait("button", say("pt-BR", key)); !e.Disabled || e.Description != say("pt-BR", "image.why.platform") {
			t.Errorf("%s of a platform image: %+v", key, e)
		}
	}
	p.Click("button", say("pt-BR", "image.more"))
	for _, key := range []string{"image.capabilities.edit", "image.move", "image.tags.edit", "image.protect", "image.hide", "image.deactivate", "image.delete"} {
		if e := p.Wait("menuitem", say("pt-BR", key)+" "+say("pt-BR", "image.why.platform")); !e.Disabled {
			t.Errorf("%s of a platform image: %+v", key, e)
		}
	}
	if e := p.Wait("menuitem", say("pt-BR", "image.copy")); e.Disabled {
		t.Errorf("a platform image cannot be copied: %+v", e)
	}
}

// TestLive: what changes elsewhere is seen without loading the page anew.
func TestLive(t *testing.T) {
	t.Parallel()
	w := start(t)
	id := w.client.MustCreate(t, servertest.Fields{"name": "Alpine-linux", "visibility": "private"})
	p := w.logIn(t, w.user, browser.Look{Lang: "fi"})
	p.Open(w.url + "/images/" + id)
	p.See(say("fi", "image.stage.creating"))
	w.client.MustUpload(t, id, servertest.Content(1, 1<<20))
	p.See(say("fi", "image.stage.normal"))
	if err := w.client.Patch(id, servertest.Fields{"name": "Alpine 3"}); err != nil {
		t.Fatal(err)
	}
	p.Wait("heading", "Alpine 3")
	if err := w.client.Delete(id); err != nil {
		t.Fatal(err)
	}
	p.See(say("fi", "image.missing"))
}
