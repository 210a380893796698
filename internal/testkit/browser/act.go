package browser

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Click clicks in the middle of an element, once it is there, enabled, and
// nothing lies over it.
func (q Part) Click(role, name string) {
	q.page.t.Helper()
	w := words{role, name}
	q.page.eventually("click "+w.String(), func() error { return q.click(w) })
}

func (q Part) click(w words) error {
	e, err := q.one(w)
	if err != nil {
		return err
	}
	if e.Disabled {
		return fmt.Errorf("it is disabled: %s", e.Description)
	}
	return q.page.clickNode(e.node)
}

func (p *Page) clickNode(node cdp.BackendNodeID) error {
	x, y, err := p.middle(node)
	if err != nil {
		return err
	}
	// Where a thing still moves, the second look finds it elsewhere.
	time.Sleep(10 * time.Millisecond)
	if x2, y2, err := p.middle(node); err != nil || x != x2 || y != y2 {
		return errors.Join(errors.New("it moves"), err)
	}
	over, err := callOn[string](p, node, `function(x, y) {
		const e = document.elementFromPoint(x, y);
		if (e && (this === e || this.contains(e) || e.contains(this) || [...(this.labels ?? [])].some(l => l.contains(e)))) return '';
		return e ? e.outerHTML.slice(0, 200) : 'the end of the window';
	}`, x, y)
	if err != nil {
		return err
	}
	if over != "" {
		return fmt.Errorf("something lies over it: %s", over)
	}
	mouse := func(kind input.DispatchMouseEventType, button input.MouseButton) error {
		_, err := call(p, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: kind, X: x, Y: y, Button: button, ClickCount: 1})
		return err
	}
	if err := mouse(input.DispatchMouseEventTypeMouseMoved, input.MouseButtonNone); err != nil {
		return err
	}
	if err := mouse(input.DispatchMouseEventTypeMousePressed, input.MouseButtonLeft); err != nil {
		return err
	}
	return mouse(input.DispatchMouseEventTypeMouseReleased, input.MouseButtonLeft)
}

// middle scrolls a node into view and returns the middle of its first box.
func (p *Page) middle(node cdp.BackendNodeID) (x, y float64, err error) {
	if _, err := call(p, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: node}); err != nil {
		return 0, 0, err
	}
	res, err := call(p, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: node})
	if err != nil {
		return 0, 0, err
	}
	if len(res.Quads) == 0 || len(res.Quads[0]) != 8 {
		return 0, 0, errors.New("it is not to be seen")
	}
	for i := 0; i < 8; i += 2 {
		x += res.Quads[0][i] / 4
		y += res.Quads[0][i+1] / 4
	}
	return x, y, nil
}

// callOn calls a function of JavaScript with the node as this.
func callOn[T any](p *Page, node cdp.BackendNodeID, function string, args ...any) (v T, err error) {
	res, err := call(p, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: node})
	if err != nil {
		return v, err
	}
	id := res.Object.ObjectID
	defer func() { _, _ = call(p, runtime.ReleaseObject, runtime.ReleaseObjectParams{ObjectID: id}) }()
	return chromedp.Run(p.ctx, chromedp.CallFunctionOn[T](function, func(c *runtime.CallFunctionOnParams) { c.ObjectID = id }, args...))
}

// fields are the roles that text is typed into.
var fields = []string{"textbox", "searchbox", "spinbutton", "combobox"}

func (q Part) field(name string) (Element, error) {
	for _, role := range fields {
		found, err := q.all(words{role, name})
		if err != nil {
			return Element{}, err
		}
		if len(found) > 0 {
			return q.one(words{role, name})
		}
	}
	return Element{}, q.missing(words{"textbox", name})
}

// Type puts text into the field of a label, in the place of what is there.
func (q Part) Type(label, text string) {
	q.page.t.Helper()
	q.page.eventually("type into “"+label+"”", func() error {
		e, err := q.field(label)
		if err != nil {
			return err
		}
		if e.Disabled {
			return fmt.Errorf("it is disabled: %s", e.Description)
		}
		return q.page.clickNode(e.node)
	})
	q.page.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	if text == "" {
		q.page.Press(kb.Delete)
		return
	}
	must(q.page, input.InsertText, input.InsertTextParams{Text: text})
}

// Field returns the field of a label once it is there; Value is its text.
func (q Part) Field(label string) Element {
	q.page.t.Helper()
	var e Element
	q.page.eventually("field “"+label+"”", func() (err error) {
		e, err = q.field(label)
		return err
	})
	return e
}

// Choose takes an option of a <select> by its words, in which * stands for
// any text.
func (q Part) Choose(label, option string) {
	q.page.t.Helper()
	q.page.eventually("choose “"+option+"” of “"+label+"”", func() error {
		e, err := q.one(words{"combobox", label})
		if err != nil {
			return err
		}
		if e.Disabled {
			return fmt.Errorf("it is disabled: %s", e.Description)
		}
		others, err := callOn[string](q.page, e.node, `function(pattern) {
			const re = new RegExp(pattern, 's');
			const o = [...this.options].find(o => !o.disabled && re.test(o.label.trim()));
			if (!o) return 'there are only ' + [...this.options].map(o => o.label.trim()).join(', ');
			this.focus();
			this.value = o.value;
			this.dispatchEvent(new Event('input', {bubbles: true}));
			this.dispatchEvent(new Event('change', {bubbles: true}));
			return '';
		}`, strings.TrimPrefix(glob(option).String(), "(?s)"))
		if err == nil && others != "" {
			err = errors.New(others)
		}
		return err
	})
}

// Check clicks a check box, switch or radio button until it is as wanted.
func (q Part) Check(name string, on bool) {
	q.page.t.Helper()
	q.page.eventually("check “"+name+"”", func() error {
		var e Element
		for _, role := range []string{"checkbox", "switch", "radio"} {
			found, err := q.all(words{role, name})
			if err != nil {
				return err
			}
			if len(found) > 0 {
				e = found[0]
			}
		}
		switch {
		case e.node == 0:
			return q.missing(words{"checkbox", name})
		case e.Checked == fmt.Sprint(on):
			return nil
		case e.Disabled:
			return fmt.Errorf("it is disabled: %s", e.Description)
		}
		return errors.Join(q.page.clickNode(e.node), errors.New("not yet"))
	})
}

// ChooseFiles clicks what opens the file chooser and chooses files in it.
func (q Part) ChooseFiles(role, name string, files ...string) {
	q.page.t.Helper()
	q.page.choosing(fmt.Sprint(words{role, name}), func() { q.Click(role, name) }, files)
}

// PressToChoose presses the enter key on what has the focus, which opens the
// file chooser, and chooses files in it.
func (p *Page) PressToChoose(files ...string) {
	p.t.Helper()
	p.choosing("what has the focus", func() { p.Press(kb.Enter) }, files)
}

func (p *Page) choosing(what string, open func(), files []string) {
	p.t.Helper()
	for i, f := range files {
		abs, err := filepath.Abs(f)
		if err != nil {
			p.t.Fatal(err)
		}
		files[i] = abs
	}
	opened := make(chan *page.EventFileChooserOpened, 1)
	p.trouble.mu.Lock()
	p.trouble.chooser = opened
	p.trouble.mu.Unlock()
	must(p, page.SetInterceptFileChooserDialog, page.SetInterceptFileChooserDialogParams{Enabled: true})
	open()
	select {
	case e := <-opened:
		must(p, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: files, BackendNodeID: e.BackendNodeID})
	case <-time.After(Patience):
		p.t.Fatalf("%s opens no file chooser", what)
	}
	must(p, page.SetInterceptFileChooserDialog, page.SetInterceptFileChooserDialogParams{Enabled: false})
}

// See waits until a text is to be seen. Spaces and ends of lines count as one
// space.
func (q Part) See(text string) {
	q.page.t.Helper()
	var seen string
	q.page.eventually("see “"+text+"”", func() (err error) {
		if seen, err = q.text(); err != nil {
			return err
		}
		if !strings.Contains(seen, squeeze(text)) {
			return fmt.Errorf("there is %.1500q", seen)
		}
		return nil
	})
}

// Gone waits until a text is not to be seen.
func (q Part) Gone(text string) {
	q.page.t.Helper()
	q.page.eventually("no more “"+text+"”", func() error {
		seen, err := q.text()
		if errors.Is(err, errNone) {
			return nil
		}
		if err == nil && strings.Contains(seen, squeeze(text)) {
			err = errors.New("it is still there")
		}
		return err
	})
}

// Text is what is to be seen now, in one line.
func (q Part) Text() string {
	q.page.t.Helper()
	s, err := q.text()
	if err != nil {
		q.page.t.Fatal(err)
	}
	return s
}

func (q Part) text() (string, error) {
	if len(q.path) == 0 {
		s, err := try[string](q.page, "document.body?.innerText ?? ''")
		return squeeze(s), err
	}
	root, err := q.root()
	if err != nil {
		return "", err
	}
	s, err := callOn[string](q.page, root, "function() { return this.innerText }")
	return squeeze(s), err
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
