package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Look is how a page is looked at.
type Look struct {
	// Lang is what the browser says its user reads, such as "pt-BR" [en].
	Lang string
	// Dark is the user's wish for a dark page.
	Dark bool
	// Width and Height of the window in CSS pixels [1280, 800].
	Width, Height int
}

// Page is a tab. A test uses it from one goroutine.
type Page struct {
	Part // all of it

	t       testing.TB
	ctx     context.Context
	trouble troubles
}

// Page opens an empty tab, which is closed with the test. Pages of a shared
// browser have cookies and storage of their own.
func (b *Browser) Page(t testing.TB, look Look) *Page {
	t.Helper()
	p := &Page{t: t}
	p.Part = Part{page: p}
	p.trouble.dismiss = func() {
		_, _ = call(p, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
	}
	options := []chromedp.ContextOption{chromedp.WithListener(p.trouble.listen)}
	if !b.persistent {
		options = append(options, chromedp.WithNewBrowserContext())
	}
	ctx, cancel := chromedp.NewContext(b.ctx, options...)
	p.ctx = ctx
	t.Cleanup(func() {
		if t.Failed() {
			p.leave()
		}
		for _, s := range p.trouble.list() {
			t.Errorf("the page is in trouble: %s", s)
		}
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	must(p, audits.Enable, cdp.Empty{})
	must(p, runtime.AddBinding, runtime.AddBindingParams{Name: "pwned"})
	must(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	must(p, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"})
	p.Look(look)
	return p
}

// Look changes how the page is looked at. The language is asked for by the
// next request.
func (p *Page) Look(look Look) {
	p.t.Helper()
	if look.Lang == "" {
		look.Lang = "en"
	}
	if look.Width == 0 {
		look.Width = 1280
	}
	if look.Height == 0 {
		look.Height = 800
	}
	theme := "light"
	if look.Dark {
		theme = "dark"
	}
	must(p, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: "kuva-test Chromium", AcceptLanguage: look.Lang})
	must(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme},
		{Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	p.Resize(look.Width, look.Height)
}

// Resize sets the size of the window in CSS pixels.
func (p *Page) Resize(width, height int) {
	p.t.Helper()
	must(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: int64(width), Height: int64(height), DeviceScaleFactor: 1,
	})
}

// Line limits what the page may send and fetch, in bytes a second; 0 is no
// limit.
func (p *Page) Line(up, down int) {
	p.t.Helper()
	limit := func(n int) float64 {
		if n == 0 {
			return -1
		}
		return float64(n)
	}
	must(p, network.Enable, network.EnableParams{})
	must(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{UploadThroughput: limit(up), DownloadThroughput: limit(down)}},
	})
}

// Open goes to an address and waits until the page is loaded.
func (p *Page) Open(url string) {
	p.t.Helper()
	p.do(chromedp.Navigate(url))
}

// Titled waits until the window has a title.
func (p *Page) Titled(title string) {
	p.t.Helper()
	p.eventually("title “"+title+"”", func() error {
		got, err := try[string](p, "document.title")
		if err == nil && got != title {
			err = fmt.Errorf("it is %q", got)
		}
		return err
	})
}

// Reload loads the page anew.
func (p *Page) Reload() {
	p.t.Helper()
	p.do(chromedp.Reload())
}

// URL is the address that the browser shows.
func (p *Page) URL() string {
	p.t.Helper()
	return Eval[string](p, "location.href")
}

// Eval returns the value of an expression of JavaScript, awaited where it is
// a promise.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	v, err := try[T](p, expression)
	if err != nil {
		p.t.Fatalf("%.200s: %v", expression, err)
	}
	return v
}

// try is Eval for pages that may be going away. The value comes as text, so
// that null and undefined are the zero value.
func try[T any](p *Page, expression string) (v T, err error) {
	ctx, cancel := context.WithTimeout(p.ctx, 4*Patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](
		"(async () => JSON.stringify(await ("+expression+")) ?? 'null')()", chromedp.EvalAwaitPromise))
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(text), &v)
}

func (p *Page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 2*Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// call sends a command of the protocol.
func call[P, R any](p *Page, command cdp.Command[P, R], params P) (R, error) {
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	return chromedp.Call(ctx, command, params)
}

// must is call for commands that only fail where the browser is broken.
func must[P, R any](p *Page, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	r, err := call(p, command, params)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// eventually repeats an attempt until it returns nil.
func (p *Page) eventually(what string, attempt func() error) {
	p.t.Helper()
	var err error
	for end := time.Now().Add(Patience); ; time.Sleep(20 * time.Millisecond) {
		if err = attempt(); err == nil {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s: %v", what, err)
		}
	}
}
