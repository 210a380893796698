package metadef

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"kuva"
)

// types are what a property may be.
var types = []string{"array", "boolean", "integer", "number", "object", "string"}

// plain reports whether both engines take s as it is.
func plain(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// checkName refuses what names nothing: they are parts of paths.
func checkName(what, name string) error {
	control := func(r rune) bool { return r < 0x20 || r == 0x7f }
	if name == "" || utf8.RuneCountInString(name) > MaxName || !plain(name) || strings.ContainsFunc(name, control) {
		return kuva.E(kuva.CodeInvalid, "metadef.bad_name", "what", what, "limit", MaxName)
	}
	return nil
}

func checkText(field, text string, most int) error {
	if utf8.RuneCountInString(text) > most || !plain(text) {
		return kuva.E(kuva.CodeInvalid, "metadef.bad_text", "field", field, "limit", most)
	}
	return nil
}

// Check checks a namespace with all that is in it.
func (n *Namespace) Check() error {
	if err := n.checkSelf(); err != nil {
		return err
	}
	if max(len(n.Properties), len(n.Objects), len(n.Tags), len(n.Associations)) > MaxItems {
		return kuva.E(kuva.CodeTooLarge, "metadef.too_many", "limit", MaxItems)
	}
	for _, a := range n.Associations {
		if err := a.Check(); err != nil {
			return err
		}
	}
	for name, p := range n.Properties {
		if err := p.check(name); err != nil {
			return err
		}
	}
	for i := range n.Objects {
		if err := n.Objects[i].Check(); err != nil {
			return err
		}
	}
	for _, t := range n.Tags {
		if err := t.Check(); err != nil {
			return err
		}
	}
	return nil
}

func (n *Namespace) checkSelf() error {
	if err := checkName("namespace", n.Namespace); err != nil {
		return err
	}
	if err := checkText("display_name", n.DisplayName, MaxName); err != nil {
		return err
	}
	if err := checkText("description", n.Description, MaxDescription); err != nil {
		return err
	}
	if err := checkText("owner", n.Owner, MaxOwner); err != nil {
		return err
	}
	if !slices.Contains([]string{"", Public, Private}, n.Visibility) {
		return bad("visibility")
	}
	return nil
}

// Check checks an association.
func (a *Association) Check() error {
	if err := checkName("resource type", a.Name); err != nil {
		return err
	}
	if err := checkText("prefix", a.Prefix, MaxName); err != nil {
		return err
	}
	return checkText("properties_target", a.Target, MaxName)
}

// Check checks a tag.
func (t *Tag) Check() error { return checkName("tag", t.Name) }

// Check checks an object with its properties.
func (o *Object) Check() error {
	if err := checkName("object", o.Name); err != nil {
		return err
	}
	if len(o.Properties) > MaxItems {
		return kuva.E(kuva.CodeTooLarge, "metadef.too_many", "limit", MaxItems)
	}
	if !unique(o.Required) {
		return bad("required")
	}
	for name, p := range o.Properties {
		if err := p.check(name); err != nil {
			return err
		}
	}
	return fits(o)
}

// Check checks a property that bears its name.
func (p *Property) Check() error { return p.check(p.Name) }

func (p *Property) check(name string) error {
	if err := checkName("property", name); err != nil {
		return err
	}
	if p.Title == "" {
		return bad("title")
	}
	if !slices.Contains(types, p.Type) {
		return bad("type")
	}
	if p.Items != nil && p.Items.Type != "" && !slices.Contains(types, p.Items.Type) {
		return bad("items")
	}
	for field, n := range map[string]*int64{"minLength": p.MinLength, "maxLength": p.MaxLength, "minItems": p.MinItems, "maxItems": p.MaxItems} {
		if n != nil && *n < 0 {
			return bad(field)
		}
	}
	if !unique(p.Required) {
		return bad("required")
	}
	return fits(p)
}

// fits refuses documents that are too large, or hold what no database keeps.
// Go's decoder has made all text valid UTF-8 by then.
func fits(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > maxPropertySum {
		return kuva.E(kuva.CodeTooLarge, "metadef.too_large", "limit", maxPropertySum)
	}
	return nil
}

func unique(list []string) bool {
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if seen[s] {
			return false
		}
		seen[s] = true
	}
	return true
}
