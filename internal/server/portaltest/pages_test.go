package portaltest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kuva/internal/server/servertest"
	"kuva/internal/testkit/browser"
)

// viewsEnv is a regular expression of the names of views to look at, for whoever
// works on one.
const viewsEnv = "KUVA_TEST_VIEWS"

// view is something that people look at: a page, a part of one, a dialog.
type view struct {
	name string // of its pictures
	path string
	// see is the key of a text that is to be seen once it is there, or the
	// text itself.
	see string
	// open goes on from there, as by opening a dialog.
	open func(p *browser.Page, lang string)
	// out is for who is not logged in, admin for administrators.
	out, admin bool
	// title is the key of the page's title where nothing is known of the page
	// but its line in the list of pages.
	title string
}

// page is a line of the portal's list of pages.
type page struct {
	path, title string
	admin       bool
}

var lines = regexp.MustCompile(`\{ path: '([^']+)', title: '([^']+)'[^\n]*`)

// pages is the portal's own list of them.
func pages() []page {
	source, err := os.ReadFile(filepath.Join("..", "..", "portal", "web", "src", "pages", "index.ts"))
	if err != nil {
		panic(err)
	}
	var list []page
	for _, m := range lines.FindAllStringSubmatch(string(source), -1) {
		list = append(list, page{m[1], m[2], strings.Contains(m[0], "admin: true")})
	}
	return list
}

var parameter = regexp.MustCompile(`:\w+`)

// shows tells whether a view is one of a page.
func (p page) shows(v view) bool {
	return regexp.MustCompile("^" + parameter.ReplaceAllString(p.path, "[^/]+") + `(\?.*)?$`).MatchString(v.path)
}

// press opens a dialog by a button.
func press(key string) func(*browser.Page, string) {
	return func(p *browser.Page, lang string) {
		p.Click("button", say(lang, key))
		p.Wait("dialog", "*")
	}
}

// choose opens a dialog by an entry of the menu of the image.
func choose(key string) func(*browser.Page, string) {
	return func(p *browser.Page, lang string) {
		p.Click("button", say(lang, "image.more"))
		if key == "" {
			p.Wait("menu", "*")
			return
		}
		p.Click("menuitem", say(lang, key))
		p.Wait("dialog", "*")
	}
}

// views lists all of them. TestEveryPage holds that no page is left out.
func views(f furnished) []view {
	image := "/images/" + f.debian
	list := []view{
		{name: "login", path: "/", see: "login.lead", out: true},
		{name: "images", path: "/images", see: "Debian-9"},
		{name: "images-platform", path: "/images/platform", see: "Alpine-linux"},
		{name: "images-private", path: "/images/private", see: "Debian-9"},
		{name: "images-shared", path: "/images/shared", see: "Ubuntu of the neighbours"},
		{name: "images-community", path: "/images/community", see: "For everybody"},
		{name: "image-creating", path: "/images/" + f.creating, see: "image.waiting"},
		{name: "image-platform", path: "/images/" + f.platform, see: "image.why.platform"},
		{name: "image-edit", path: image, see: "Debian-9", open: press("image.edit")},
		{name: "image-share", path: image, see: "Debian-9", open: press("image.share")},
		{name: "image-menu", path: image, see: "Debian-9", open: choose("")},
		{name: "image-capabilities", path: image, see: "Debian-9", open: choose("image.capabilities.edit")},
		{name: "image-tags", path: image, see: "Debian-9", open: choose("image.tags.edit")},
		{name: "image-export", path: image, see: "Debian-9", open: choose("image.export")},
		{name: "image-copy", path: image, see: "Debian-9", open: choose("image.copy")},
		{name: "image-move", path: image, see: "Debian-9", open: choose("image.move")},
		{name: "image-delete", path: image, see: "Debian-9", open: choose("image.delete")},
		{name: "upload", path: "/images/private", see: "Debian-9", open: press("images.upload")},
		{name: "image-link", path: image, see: "Debian-9", open: choose("links.make")},
		{name: "import", path: "/import?part=linux", see: "import.linux.text"},
		{name: "import-upload", path: "/import?part=upload", see: "import.upload.ways"},
		{name: "import-create", path: "/import?part=create", see: "import.automatic.does"},
		{name: "import-source", path: "/import?step=source", see: "import.source.which"},
		{name: "help", path: "/help", see: "help.contents"},
		{name: "access", path: "/access", see: "access.none"},
		{name: "access-create", path: "/access", see: "access.none", open: press("access.create")},
		{name: "admin", path: "/admin", see: "admin.project.new", admin: true},
		{name: "admin-users", path: "/admin?tab=users", see: "admin.user.new", admin: true},
		{name: "admin-images", path: "/admin?tab=images", see: "Debian-9", admin: true},
		{name: "admin-store", path: "/admin?tab=store", see: "admin.collector.text", admin: true},
		{name: "usage", path: "/usage", see: "usage.biggest"},
		{name: "missing", path: "/no/such/page", see: "missing.title"},
	}
	for tab, see := range map[string]string{
		"overview": "image.cost.text", "report": "image.inside", "disk": "image.disk.free_space", "packages": "image.packages.none",
		"downloads": "image.view.text", "sharing": "image.member.pending", "activity": "image.did.upload",
	} {
		list = append(list, view{name: "image-" + tab, path: image + "?tab=" + tab, see: see})
	}
	for _, p := range pages() {
		if !strings.Contains(p.path, ":") && !slices.ContainsFunc(list, p.shows) {
			list = append(list, view{name: strings.ReplaceAll(p.path[1:], "/", "-"), path: p.path, title: p.title, admin: p.admin})
		}
	}
	if some := os.Getenv(viewsEnv); some != "" {
		list = slices.DeleteFunc(list, func(v view) bool { return !regexp.MustCompile(some).MatchString(v.name) })
	}
	slices.SortFunc(list, func(a, b view) int { return strings.Compare(a.name, b.name) })
	return list
}

// looker looks at one view after the other in a language.
type looker struct {
	w              *world
	in, out, admin *browser.Page // of who is logged in, who is not, an administrator
	lang           string        // pseudo for the one with longer words
	at             map[*browser.Page]string
}

func (w *world) looker(t testing.TB) *looker {
	return &looker{
		w: w, in: w.logIn(t, w.user, browser.Look{}), out: browser.Shared(t).Page(t, browser.Look{}),
		admin: w.logIn(t, servertest.Admin, browser.Look{}), at: map[*browser.Page]string{},
	}
}

// look sets how the pages are looked at from now on.
func (l *looker) look(look browser.Look) {
	if l.lang != look.Lang {
		clear(l.at)
	}
	l.lang = look.Lang
	if look.Lang == "pseudo" {
		look.Lang = "de" // whose words are the longest
	}
	for _, p := range []*browser.Page{l.in, l.out, l.admin} {
		p.Look(look)
	}
}

// show goes to a view and waits until it is there. Inside the portal it moves
// as links do, without loading the page anew.
func (l *looker) show(v view) *browser.Page {
	p := l.in
	if v.out {
		p = l.out
	}
	if v.admin {
		p = l.admin
	}
	path := v.path
	if l.lang == "pseudo" {
		path += map[bool]string{false: "?", true: "&"}[strings.Contains(path, "?")] + "pseudo"
	}
	if l.at[p] == "" {
		p.Open(l.w.url + path)
	} else {
		to, _ := json.Marshal(path)
		_ = browser.Eval[any](p, "(history.pushState(null, '', "+string(to)+"), dispatchEvent(new PopStateEvent('popstate')), 0)")
	}
	l.at[p] = v.name
	if v.title != "" {
		p.Titled(say(l.lang, v.title) + " · kuva")
		p.Gone(say(l.lang, "loading"))
	} else if _, ok := catalogues()["en"][v.see]; ok {
		p.See(say(l.lang, v.see))
	} else {
		p.See(v.see)
	}
	if v.open != nil {
		v.open(p, l.lang)
		delete(l.at, p) // the next begins anew
	}
	return p
}

// TestEveryPage: each path of the portal's list of pages is among the views.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	all := views(furnished{debian: "ID", creating: "ID", platform: "ID"})
	if n := len(pages()); n < 5 {
		t.Fatalf("%d pages found: the test looks at the wrong place", n)
	}
	for _, p := range pages() {
		if !slices.ContainsFunc(all, p.shows) {
			t.Errorf("page %s has no view in the tests", p.path)
		}
	}
}

// TestAccessibility: axe finds nothing on any page, in both themes.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	w := start(t)
	list := views(w.furnish(t))
	l := w.looker(t)
	for _, dark := range []bool{false, true} {
		l.look(browser.Look{Lang: "en", Dark: dark})
		for _, v := range list {
			l.show(v).Axe(fmt.Sprintf("%s, dark %v", v.name, dark))
		}
	}
}

// widths at which no text may be cut.
var widths = []int{360, 768, 1280}

// TestNoCutText: no text is cut at any width in any language, nor where texts
// are 40 % longer.
func TestNoCutText(t *testing.T) {
	t.Parallel()
	w := start(t)
	list := views(w.furnish(t))
	l := w.looker(t)
	for _, lang := range append(slices.Clone(languages), "pseudo") {
		for _, v := range list {
			l.look(browser.Look{Lang: lang})
			p := l.show(v)
			for _, width := range widths {
				p.Resize(width, 800)
				p.NoCutText(fmt.Sprintf("%s, %s, %d", v.name, lang, width))
			}
		}
	}
}

// TestScreenshots writes docs/screenshots: every view in both themes and all
// languages, into the folder that KUVA_SCREENSHOTS names ("make screenshots").
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("KUVA_SCREENSHOTS")
	if dir == "" {
		t.Skip("pictures are made by make screenshots")
	}
	w := start(t)
	list := views(w.furnish(t))
	l := w.looker(t)
	for _, lang := range languages {
		for theme, dark := range map[string]bool{"light": false, "dark": true} {
			l.look(browser.Look{Lang: lang, Dark: dark})
			for _, v := range list {
				l.show(v).Screenshot(filepath.Join(dir, lang, v.name+"-"+theme+".webp"))
			}
		}
	}
}
