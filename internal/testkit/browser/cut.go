package browser

import (
	_ "embed"
	"time"
)

//go:embed cut.js
var cut string

// settle is how long a page may take to find its shape in a window of another
// size.
const settle = 2 * time.Second

// NoCutText fails the test for each text of the page that is and stays cut
// off, and where the page is wider than its window.
func (p *Page) NoCutText(what string) {
	p.t.Helper()
	found := p.CutTexts()
	for end := time.Now().Add(settle); len(found) > 0 && time.Now().Before(end); found = p.CutTexts() {
		time.Sleep(50 * time.Millisecond)
	}
	for _, s := range found {
		p.t.Errorf("%s: cut off: %s", what, s)
	}
}

// CutTexts returns the texts of the page as it stands that are cut off.
func (p *Page) CutTexts() []string {
	p.t.Helper()
	return Eval[[]string](p, "("+cut+")()")
}
