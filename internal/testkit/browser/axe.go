package browser

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

//go:embed testdata/axe/axe.min.js
var axe string

// Axe fails the test for each fault that axe-core finds in the page as it
// stands; what names it in the output.
func (p *Page) Axe(what string) {
	p.t.Helper()
	for _, fault := range p.AxeFaults() {
		p.t.Errorf("%s: accessibility: %s", what, fault)
	}
}

// settles is how often, and how long apart, a page with faults is looked at
// again: just after a change of the theme elements still have colours of both.
const (
	settles   = 4
	settleFor = 300 * time.Millisecond
)

// AxeFaults returns the faults that axe-core finds and that stay, one text each.
func (p *Page) AxeFaults() []string {
	p.t.Helper()
	faults := p.axeFaults()
	for range settles {
		if len(faults) == 0 {
			break
		}
		time.Sleep(settleFor)
		faults = p.axeFaults()
	}
	return faults
}

func (p *Page) axeFaults() []string {
	p.t.Helper()
	if !Eval[bool](p, "typeof axe === 'object'") {
		// As an expression of its own: axe ends with a semicolon.
		p.do(discard(chromedp.Evaluate[any](axe+";undefined", chromedp.EvalIgnoreExceptions)))
	}
	type node struct {
		HTML           string `json:"html"`
		FailureSummary string `json:"failureSummary"`
	}
	faults := Eval[[]struct {
		ID    string `json:"id"`
		Help  string `json:"help"`
		Nodes []node `json:"nodes"`
	}](p, `axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => ({id: v.id, help: v.help,
		nodes: v.nodes.map(n => ({html: n.html, failureSummary: n.failureSummary}))})))`)
	var out []string
	for _, f := range faults {
		var where []string
		for _, n := range f.Nodes[:min(len(f.Nodes), 5)] {
			where = append(where, fmt.Sprintf("%.300s: %s", n.HTML, squeeze(n.FailureSummary)))
		}
		out = append(out, fmt.Sprintf("%s (%s), %d times: %s", f.ID, f.Help, len(f.Nodes), strings.Join(where, "; ")))
	}
	return out
}
