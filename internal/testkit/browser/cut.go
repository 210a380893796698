package browser

import _ "embed"

//go:embed cut.js
var cut string

// NoCutText fails the test for each text of the page as it stands that is cut
// off, and where the page is wider than its window.
func (p *Page) NoCutText(what string) {
	p.t.Helper()
	for _, s := range p.CutTexts() {
		p.t.Errorf("%s: cut off: %s", what, s)
	}
}

// CutTexts returns the texts of the page as it stands that are cut off.
func (p *Page) CutTexts() []string {
	p.t.Helper()
	return Eval[[]string](p, "("+cut+")()")
}
