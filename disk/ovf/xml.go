package ovf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"kuva/disk"
)

const (
	// MaxBytes of a descriptor. Large ones have 60 KiB; of attributes alone the
	// parser makes forty times as much.
	MaxBytes = 2 << 20
	// maxDepth of elements inside elements, and maxElements of all.
	maxDepth    = 64
	maxElements = 100_000
)

// element is a part of the text: what it is, its attributes and what is in it.
type element struct {
	space, kind string // kind is the name; of OVF 0.9's general elements the type
	attrs       []xml.Attr
	text        string
	raw         []byte // text while it is being read
	children    []*element
}

// attr gives an attribute by its name, whatever its prefix: files of OVF 0.9
// and of lax writers differ in it.
func (e *element) attr(name string) (string, bool) {
	for _, a := range e.attrs {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// all gives the children of a kind.
func (e *element) all(kind string) []*element {
	var list []*element
	for _, c := range e.children {
		if c.kind == kind {
			list = append(list, c)
		}
	}
	return list
}

// value is the text of the first child of a kind.
func (e *element) value(kind string) string {
	for _, c := range e.children {
		if c.kind == kind {
			return c.text
		}
	}
	return ""
}

// bom is what some editors put before UTF-8.
const bom = "\ufeff"

// parseXML reads elements and their text. There are no document types and thus
// no entities but the five that XML has by itself. Prefixes must be declared.
func parseXML(text []byte) (*element, error) {
	if len(text) > MaxBytes {
		return nil, disk.Refuse(name, disk.ReasonLimit, "a descriptor of %d bytes, the limit is %d", len(text), MaxBytes)
	}
	broken := func(err error) error {
		return &disk.Malformed{Format: name, Detail: "the descriptor is not well-formed XML", Err: err}
	}
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte(bom))))
	spaces := map[string]bool{"": true, "xmlns": true, "xml": true, "http://www.w3.org/XML/1998/namespace": true}
	var root *element
	var open []*element
	elements := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root != nil && len(open) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, broken(err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return nil, disk.Malform(name, "a document type, which no descriptor has")
		case xml.StartElement:
			if elements++; elements > maxElements || len(open) == maxDepth {
				return nil, disk.Refuse(name, disk.ReasonLimit, "more than %d elements, or deeper than %d", maxElements, maxDepth)
			}
			for _, a := range t.Attr {
				if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
					spaces[a.Value] = true
				}
			}
			for _, n := range append([]xml.Name{t.Name}, names(t.Attr)...) {
				if !spaces[n.Space] {
					return nil, broken(fmt.Errorf("the prefix %s is not declared", disk.Quote([]byte(n.Space))))
				}
			}
			e := &element{space: t.Name.Space, kind: kindOf(t), attrs: t.Attr}
			switch {
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root != nil:
				return nil, broken(errors.New("more than one element"))
			default:
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			e := open[len(open)-1] // the decoder sees to it that there is one
			e.text, e.raw = string(bytes.TrimSpace(e.raw)), nil
			open = open[:len(open)-1]
		case xml.CharData:
			switch {
			case len(open) > 0 && len(open[len(open)-1].children) == 0:
				e := open[len(open)-1]
				e.raw = append(e.raw, t...)
			case len(open) == 0 && len(bytes.TrimSpace(t)) > 0:
				return nil, broken(errors.New("text outside of elements"))
			}
		}
	}
}

func names(attrs []xml.Attr) []xml.Name {
	list := make([]xml.Name, len(attrs))
	for i, a := range attrs {
		list[i] = a.Name
	}
	return list
}

// kindOf is what an element is. OVF 0.9 has Section and Content, and says in
// xsi:type which: "ovf:DiskSection_Type".
func kindOf(t xml.StartElement) string {
	if t.Name.Local == "Section" || t.Name.Local == "Content" {
		for _, a := range t.Attr {
			if a.Name.Local == "type" {
				_, kind, ok := strings.Cut(a.Value, ":")
				if !ok {
					kind = a.Value
				}
				return strings.TrimSuffix(kind, "_Type")
			}
		}
	}
	return t.Name.Local
}
