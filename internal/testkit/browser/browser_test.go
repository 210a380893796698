package browser_test

import (
	"crypto/sha256"
	"encoding/hex"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"kuva/internal/testkit/browser"
)

func TestMain(m *testing.M) { os.Exit(browser.Main(m)) }

// serve serves the page of testdata as strictly as the portal's.
func serve(t *testing.T) string {
	t.Helper()
	files := http.FileServerFS(os.DirFS("testdata"))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'")
		if r.URL.Path == "/favicon.ico" {
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/page.html"
}

// TestWalk uses each way to touch a page.
func TestWalk(t *testing.T) {
	t.Parallel()
	p := browser.Shared(t).Page(t, browser.Look{Lang: "fi", Dark: true})
	p.Open(serve(t))
	p.See("fi, dark")
	if e := p.Wait("button", "Export"); !e.Disabled || e.Description != "There is no bucket." {
		t.Errorf("the disabled button is %+v", e)
	}
	p.Click("button", "Export") // waits until it is enabled

	p.In("row", "*Debian-9 *").Click("button", "Delete")
	p.See("Deleted Debian-9")

	file := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Click("button", "Upload image")
	d := p.In("dialog", "Upload image")
	d.Type("Name", "Debian-10")
	d.Type("Name", "Debian-11")
	d.Choose("Format", "ISO*")
	d.Check("Protected", true)
	d.ChooseFiles("button", "Choose a file", file)
	if v := d.Field("Name").Value; v != "Debian-11" {
		t.Errorf("the field holds %q", v)
	}
	if p.Has("button", "Export") {
		t.Error("what lies behind a modal dialog can be found")
	}
	d.Click("button", "Create")
	p.WaitGone("dialog", "*")
	p.See("Debian-11, iso, true, disk.img: content")
	p.Gone("Nothing yet")
	p.Axe("the page")
	p.NoCutText("the page")
}

func TestKeyboard(t *testing.T) {
	t.Parallel()
	p := browser.Shared(t).Page(t, browser.Look{})
	p.Open(serve(t))
	p.TabTo("button", "Upload image")
	p.Press(kb.Enter)
	p.TabTo("textbox", "Name")
	p.Insert("By keys")
	p.TabTo("checkbox", "Protected")
	p.Press(" ")
	p.TabTo("button", "Create")
	p.Press(kb.Enter)
	p.See("By keys, Automatic, true, no file")
}

// TestTroubles: what a page must not do is noticed.
func TestTroubles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ do, seen string }{
		{"console.error('broken', {})", "broken"},
		{"setTimeout(() => { throw new Error('thrown') }) && 0", "thrown"},
		{"Promise.reject(new Error('rejected')) && 0", "rejected"},
		{"fetch('/missing').catch(() => 0).then(() => 0)", "content security policy: connect-src"},
		{"(() => { try { document.body.innerHTML = '<b>' } catch {} })()", "require-trusted-types-for"},
		{"(() => { const i = new Image(); i.src = 'http://127.0.0.1:1/x.png'; document.body.append(i) })()", "content security policy: img-src"},
		{"setTimeout(() => alert(1)) && 0", "a dialog of JavaScript: 1"},
		{"pwned('name')", "pwned(name)"},
	} {
		p := browser.Shared(t).Page(t, browser.Look{})
		p.Open(serve(t))
		p.See("Upload image")
		_ = browser.Eval[any](p, c.do)
		seen := func() bool {
			return slices.ContainsFunc(p.Troubles(), func(s string) bool { return strings.Contains(s, c.seen) })
		}
		for range 100 {
			if seen() {
				break
			}
			_ = browser.Eval[any](p, "new Promise(done => setTimeout(done, 20))")
		}
		if !seen() {
			t.Errorf("%s goes unnoticed: %q", c.do, p.Troubles())
		}
		p.Allow(".")
		if left := p.Troubles(); len(left) != 0 {
			t.Errorf("allowed, and yet %q", left)
		}
	}
}

func TestAxe(t *testing.T) {
	t.Parallel()
	const want = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
	b, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
		t.Errorf("axe.min.js is not that of axe-core 4.14.1: %x", sum)
	}
	p := browser.Shared(t).Page(t, browser.Look{})
	p.Open(serve(t))
	p.Axe("the page as it is")
	_ = browser.Eval[any](p, `(() => {
		document.documentElement.lang = '';
		document.querySelector('main').append(new Image());
		const said = document.getElementById('said');
		said.style.color = '#eee';
		document.getElementById('open').textContent = '';
	})()`)
	faults := strings.Join(p.AxeFaults(), "\n")
	for _, id := range []string{"html-has-lang", "image-alt", "color-contrast", "button-name"} {
		if !strings.Contains(faults, id) {
			t.Errorf("%s is not found, only\n%s", id, faults)
		}
	}
}

func TestCutText(t *testing.T) {
	t.Parallel()
	p := browser.Shared(t).Page(t, browser.Look{Width: 360})
	p.Open(serve(t))
	p.NoCutText("the page as it is")
	for _, c := range []struct{ do, seen string }{
		{"document.getElementById('why').className = 'narrow', document.getElementById('why').style.display = 'inline-block'", "There is no bucket"},
		{"document.querySelector('h1').style.cssText = 'height: 8px; overflow: hidden'", "Images"},
		{"document.querySelector('nav').style.cssText = 'position: absolute; left: 340px; white-space: nowrap'", "the page is"},
		{"document.getElementById('said').innerHTML", ""},
	} {
		p.Reload()
		p.See("Upload image")
		_ = browser.Eval[any](p, c.do)
		got := strings.Join(p.CutTexts(), "\n")
		if (c.seen == "") != (got == "") || !strings.Contains(got, c.seen) {
			t.Errorf("%s: %q", c.do, got)
		}
	}
}

func TestScreenshot(t *testing.T) {
	t.Parallel()
	p := browser.Shared(t).Page(t, browser.Look{Width: 360, Height: 200})
	p.Open(serve(t))
	path := filepath.Join(t.TempDir(), "new", "page.png")
	p.Screenshot(path)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c, err := png.DecodeConfig(f); err != nil || c.Width != 360 || c.Height <= 200 {
		t.Errorf("%+v, %v: not the whole page", c, err)
	}
}

// TestKill: another browser goes on with the profile of one that was killed.
func TestKill(t *testing.T) {
	t.Parallel()
	profile, url := t.TempDir(), serve(t)
	b := browser.Start(t, profile)
	p := b.Page(t, browser.Look{})
	p.Open(url)
	_ = browser.Eval[any](p, `new Promise((done, failed) => {
		const r = indexedDB.open('kept', 1);
		r.onupgradeneeded = () => r.result.createObjectStore('all');
		r.onerror = failed;
		r.onsuccess = () => {
			const tx = r.result.transaction('all', 'readwrite', {durability: 'strict'});
			tx.objectStore('all').put('kept', 'key');
			tx.oncomplete = () => done();
		};
	})`)
	b.Kill(t)

	q := browser.Start(t, profile).Page(t, browser.Look{})
	q.Open(url)
	got := browser.Eval[string](q, `new Promise(done => {
		const r = indexedDB.open('kept', 1);
		r.onsuccess = () => {
			const g = r.result.transaction('all').objectStore('all').get('key');
			g.onsuccess = () => done(g.result);
		};
	})`)
	if got != "kept" {
		t.Errorf("the profile has kept %q", got)
	}
}
