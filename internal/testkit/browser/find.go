package browser

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/runtime"
)

// Part is a part of a page, found anew by each step, since pages change.
type Part struct {
	page *Page
	path []words
}

// words say what is meant: a role such as "button", "link", "dialog", "row",
// and an accessible name.
type words struct{ role, name string }

func (w words) String() string { return fmt.Sprintf("%s “%s”", w.role, w.name) }

// In is the part of the page below an element.
func (q Part) In(role, name string) Part {
	return Part{q.page, append(append([]words(nil), q.path...), words{role, name})}
}

// Element is something found on the page. The zero value is none.
type Element struct {
	Role, Name string
	// Description is what explains it further, such as why a button is
	// disabled.
	Description string
	Disabled    bool
	// Expanded, Checked, Pressed, Selected are "true", "false", "mixed" or "".
	Expanded, Checked, Pressed, Selected string
	Value                                string
	node                                 cdp.BackendNodeID
}

var errNone = errors.New("there is none")

// All returns what is there now with a role and a name.
func (q Part) All(role, name string) []Element {
	q.page.t.Helper()
	found, err := q.all(words{role, name})
	if err != nil && !errors.Is(err, errNone) {
		q.page.t.Fatal(err)
	}
	return found
}

// Has tells whether the part has such an element now.
func (q Part) Has(role, name string) bool { q.page.t.Helper(); return len(q.All(role, name)) > 0 }

// Wait waits for an element and returns it.
func (q Part) Wait(role, name string) Element {
	q.page.t.Helper()
	var e Element
	w := words{role, name}
	q.page.eventually(w.String(), func() (err error) {
		e, err = q.one(w)
		return err
	})
	return e
}

// WaitGone waits until there is no such element.
func (q Part) WaitGone(role, name string) {
	q.page.t.Helper()
	w := words{role, name}
	q.page.eventually("end of "+w.String(), func() error {
		found, err := q.all(w)
		if len(found) > 0 {
			return errors.New("it is still there")
		}
		if errors.Is(err, errNone) {
			return nil
		}
		return err
	})
}

// one finds the only element of these words. Several are as bad as none:
// people would not know either which one is meant.
func (q Part) one(w words) (Element, error) {
	found, err := q.all(w)
	switch {
	case err != nil:
		return Element{}, err
	case len(found) == 0:
		return Element{}, q.missing(w)
	case len(found) > 1:
		return Element{}, fmt.Errorf("there are %d: %q", len(found), names(found))
	}
	return found[0], nil
}

// missing names what has the role, for whoever reads the failure.
func (q Part) missing(w words) error {
	others, err := q.all(words{w.role, "*"})
	if err != nil || len(others) == 0 {
		return errNone
	}
	return fmt.Errorf("%w among %.800q", errNone, names(others))
}

func names(found []Element) (out []string) {
	for _, e := range found {
		out = append(out, e.Name)
	}
	return out
}

func (q Part) all(w words) ([]Element, error) {
	root, err := q.root()
	if err != nil {
		return nil, err
	}
	return q.page.query(root, w)
}

// root finds the element that the part is.
func (q Part) root() (cdp.BackendNodeID, error) {
	var root cdp.BackendNodeID
	for i, w := range q.path {
		found, err := q.page.query(root, w)
		if err == nil && len(found) != 1 {
			err = errNone
			if len(found) > 1 {
				err = fmt.Errorf("there are %d: %q", len(found), names(found))
			}
		}
		if err != nil {
			return 0, fmt.Errorf("%v: %w", q.path[:i+1], err)
		}
		root = found[0].node
	}
	return root, nil
}

// query asks the accessibility tree below a node, 0 for the whole page.
func (p *Page) query(root cdp.BackendNodeID, w words) ([]Element, error) {
	params := accessibility.QueryAXTreeParams{BackendNodeID: root, Role: w.role}
	if !strings.Contains(w.name, "*") && w.role != "row" && w.role != "listitem" {
		params.AccessibleName = w.name
	}
	if root == 0 {
		res, err := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: "document", ObjectGroup: "find"})
		if err != nil {
			return nil, err
		}
		params.ObjectID = res.Result.ObjectID
		defer func() {
			_, _ = call(p, runtime.ReleaseObjectGroup, runtime.ReleaseObjectGroupParams{ObjectGroup: "find"})
		}()
	}
	res, err := call(p, accessibility.QueryAXTree, params)
	if err != nil {
		return nil, err
	}
	pattern := glob(w.name)
	var out []Element
	for _, n := range res.Nodes {
		e := elementOf(n)
		if n.Ignored || e.node == root {
			continue
		}
		if e.Name == "" && (e.Role == "row" || e.Role == "listitem") {
			if e.Name, err = callOn[string](p, e.node, "function() { return this.innerText }"); err != nil {
				return nil, err
			}
			e.Name = squeeze(e.Name)
		}
		if pattern.MatchString(e.Name) {
			out = append(out, e)
		}
	}
	return out, nil
}

// glob is the pattern of a name, in which * stands for any text.
func glob(name string) *regexp.Regexp {
	pieces := strings.Split(name, "*")
	for i, s := range pieces {
		pieces[i] = regexp.QuoteMeta(s)
	}
	return regexp.MustCompile("(?s)^" + strings.Join(pieces, ".*") + "$")
}

func elementOf(n *accessibility.Node) Element {
	e := Element{
		Role: text(n.Role), Name: squeeze(text(n.Name)),
		Description: text(n.Description), Value: text(n.Value), node: n.BackendDOMNodeID,
	}
	for _, p := range n.Properties {
		switch p.Name {
		case accessibility.PropertyNameDisabled:
			e.Disabled = text(p.Value) == "true"
		case accessibility.PropertyNameExpanded:
			e.Expanded = text(p.Value)
		case accessibility.PropertyNameChecked:
			e.Checked = text(p.Value)
		case accessibility.PropertyNamePressed:
			e.Pressed = text(p.Value)
		case accessibility.PropertyNameSelected:
			e.Selected = text(p.Value)
		}
	}
	return e
}

// text is a value of the tree as it would be printed.
func text(v *accessibility.Value) string {
	if v == nil || v.Value == nil {
		return ""
	}
	var s string
	if json.Unmarshal(v.Value, &s) == nil {
		return s
	}
	return string(v.Value)
}
