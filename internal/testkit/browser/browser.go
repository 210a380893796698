// Package browser lets tests use web pages as people do: in Debian's
// Chromium, by the words that are to be seen, with mouse or keyboard.
//
//	b := browser.Shared(t)
//	p := b.Page(t, browser.Look{Lang: "de", Width: 1280})
//	p.Open(url)
//	p.Click("button", "Image hochladen")
//	d := p.In("dialog", "Image hochladen")
//	d.Type("Name", "Debian-10")
//	d.ChooseFiles("button", "Datei wählen", path)
//	d.Click("button", "Erstelle")
//	p.See("Normal")
//
// Things are found as a screen reader finds them, by role and accessible name
// in Chromium's accessibility tree, so a button that cannot be named cannot be
// clicked. A name may have * in it for any text; rows and items of lists, which
// have no names, go by their text. Each step waits until it can
// be done and fails the test where that takes longer than Patience.
//
// A page that writes an error to its console, throws, breaks its
// Content-Security-Policy or opens a dialog of JavaScript fails its test, too:
// see Page.Allow. The function pwned is there for hostile texts to call.
package browser

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kuva/internal/testkit"
)

// Patience is how long a step waits until it can be done.
const Patience = 15 * time.Second

// Browser is one running Chromium.
type Browser struct {
	ctx        context.Context
	cancel     context.CancelFunc
	persistent bool
}

// Start starts a browser of its own and ends it with the test. Its pages
// share what a browser keeps in profile, a folder, so that another one may go
// on with it. Where a test needs no profile, Shared is faster.
func Start(t testing.TB, profile string) *Browser {
	t.Helper()
	testkit.Need(t, "chromium")
	b, err := start(profile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.cancel)
	return b
}

var shared struct {
	sync.Mutex
	browser *Browser
	err     error
}

// Shared returns the one browser of the test binary, whose pages know nothing
// of each other. TestMain must call Main, which ends it.
func Shared(t testing.TB) *Browser {
	t.Helper()
	testkit.Need(t, "chromium")
	shared.Lock()
	defer shared.Unlock()
	if shared.browser == nil && shared.err == nil {
		shared.browser, shared.err = start("")
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.browser
}

// Main runs the tests and ends the shared browser; its result is the exit
// code.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if b := shared.browser; b != nil {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		defer cancel()
		_ = chromedp.Cancel(ctx)
		b.cancel()
	}
	return code
}

func start(profile string) (*Browser, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(testkit.Program("chromium")),
		// /dev/shm is small in many containers; the default keeps away from it.
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true),
		chromedp.Flag("font-render-hinting", "none"), // the same pixels everywhere
		chromedp.WSURLReadTimeout(time.Minute),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // root has none to give up
	}
	if profile != "" {
		options = append(options, chromedp.UserDataDir(profile))
	}
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		cancelAlloc()
		return nil, fmt.Errorf("start Chromium: %w", err)
	}
	return &Browser{ctx: ctx, cancel: func() { cancel(); cancelAlloc() }, persistent: profile != ""}, nil
}

// Kill ends the browser as a power cut would, without a word to its pages.
func (b *Browser) Kill(t testing.TB) {
	t.Helper()
	if err := chromedp.FromContext(b.ctx).Browser.Process().Kill(); err != nil {
		t.Fatal(err)
	}
	b.cancel()
}
