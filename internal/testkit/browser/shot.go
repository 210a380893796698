package browser

import (
	"context"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// shotsEnv names a folder for pictures of pages whose test has failed.
const shotsEnv = "KUVA_TEST_SHOTS"

// Screenshot writes a picture of the whole page as PNG, or as WebP, a quarter
// of that, where the name ends so; of the window alone where a dialog or a menu
// is open, which belong to it.
func (p *Page) Screenshot(path string) {
	p.t.Helper()
	format, quality := page.CaptureScreenshotFormatPng, (*int64)(nil)
	if filepath.Ext(path) == ".webp" {
		q := int64(70)
		format, quality = page.CaptureScreenshotFormatWebp, &q
	}
	whole := !Eval[bool](p, "!!document.querySelector('dialog[open], :popover-open')")
	res := must(p, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: format, Quality: quality, CaptureBeyondViewport: &whole})
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, res.Data, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// leave leaves a picture behind of a page whose test has failed.
func (p *Page) leave() {
	dir := os.Getenv(shotsEnv)
	if dir == "" || p.ctx.Err() != nil {
		return
	}
	res, err := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng})
	if err != nil {
		p.t.Logf("no picture: %v", err)
		return
	}
	path := filepath.Join(dir, filepath.Base(p.t.Name())+".png")
	if err := os.MkdirAll(dir, 0o755); err == nil {
		err = os.WriteFile(path, res.Data, 0o644)
		p.t.Logf("picture: %s, %v", path, err)
	}
}

// discard runs an action for what it does, not for its value.
func discard[T any](a chromedp.Action[T]) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := a(ctx, t)
		return err
	})
}
