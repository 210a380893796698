package browser

import (
	"encoding/json"
	"fmt"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// maxTabs is how often TabTo presses the key at most; a page where that is
// not enough is none for keyboards.
const maxTabs = 200

// Press presses keys one after the other: letters, or those of chromedp's
// package kb such as kb.Enter.
func (p *Page) Press(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// Insert types text into what has the focus.
func (p *Page) Insert(text string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(text))
}

// Focused returns what has the focus, and whether that is to be seen: by an
// outline, a shadow or a border that it has for that reason.
func (p *Page) Focused() (e Element, shown bool) {
	p.t.Helper()
	e, shown, err := p.focused()
	if err != nil {
		p.t.Fatal(err)
	}
	return e, shown
}

func (p *Page) focused() (e Element, shown bool, err error) {
	res, err := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: "document.activeElement", ObjectGroup: "focus"})
	if err != nil {
		return e, false, err
	}
	defer func() {
		_, _ = call(p, runtime.ReleaseObjectGroup, runtime.ReleaseObjectGroupParams{ObjectGroup: "focus"})
	}()
	object := res.Result.ObjectID
	node, err := call(p, dom.DescribeNode, dom.DescribeNodeParams{ObjectID: object})
	if err != nil {
		return e, false, err
	}
	no := false
	tree, err := call(p, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{ObjectID: object, FetchRelatives: &no})
	if err != nil {
		return e, false, err
	}
	if len(tree.Nodes) > 0 {
		e = elementOf(tree.Nodes[0])
	}
	e.node = node.Node.BackendNodeID
	yes := true
	style, err := call(p, runtime.CallFunctionOn, runtime.CallFunctionOnParams{ObjectID: object, ReturnByValue: &yes, FunctionDeclaration: `function() {
		// The mark may be on the element or on what surrounds it closely.
		for (let e = this, i = 0; e && i < 3; e = e.parentElement, i++) {
			const s = getComputedStyle(e);
			if (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1) return true;
			if (s.boxShadow !== 'none' && e.matches(':focus-visible, :focus-within')) return true;
		}
		return false;
	}`})
	if err != nil {
		return e, false, err
	}
	return e, json.Unmarshal(style.Result.Value, &shown) == nil && shown, nil
}

// TabTo presses the tabulator key until the focus is on an element, and fails
// where something on the way takes the focus without showing it.
func (p *Page) TabTo(role, name string) {
	p.t.Helper()
	w, pattern := words{role, name}, glob(name)
	var way []string
	for range maxTabs {
		e, _ := p.Focused()
		if e.Role == role && pattern.MatchString(e.Name) {
			return
		}
		p.Press(kb.Tab)
		e, shown := p.Focused()
		way = append(way, fmt.Sprintf("%s “%.40s”", e.Role, e.Name))
		if !shown && e.Role != "RootWebArea" && e.Role != "generic" && e.Role != "none" {
			p.t.Errorf("%s “%s” has the focus and does not show it", e.Role, e.Name)
		}
	}
	p.t.Fatalf("no way by keyboard to %v: %.1500q", w, way)
}
