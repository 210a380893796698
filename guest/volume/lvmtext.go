package volume

import (
	"strconv"
	"strings"

	"kuva/disk"
	"kuva/guest/budget"
)

// section is a part of LVM's metadata: names with values (string, int64 or
// []any of these) and with sections.
type section map[string]any

func (s section) text(key string) string {
	v, _ := s[key].(string)
	return v
}

// number gives a value that is not negative and below 2^48, so that products
// with sector sizes do not overflow; -1 for all others.
func (s section) number(key string) int64 {
	v, ok := s[key].(int64)
	if !ok || v < 0 || v >= 1<<48 {
		return -1
	}
	return v
}

func (s section) list(key string) []any {
	v, _ := s[key].([]any)
	return v
}

func (s section) section(key string) section {
	v, _ := s[key].(section)
	return v
}

// has tells whether a list holds a word.
func (s section) has(key, word string) bool {
	for _, v := range s.list(key) {
		if v == word {
			return true
		}
	}
	return false
}

// maxNesting is deeper than any metadata of LVM: group, volumes, volume, segment.
const maxNesting = 16

// parseLVM reads the text of LVM's metadata (lvm2's lib/config): sections in
// braces, and lines of key = value.
func parseLVM(text string, b *budget.Budget) (section, error) {
	p := &lvmParser{text: text, b: b}
	return p.section(0)
}

type lvmParser struct {
	text string
	at   int
	b    *budget.Budget
}

func (p *lvmParser) fail(what string) error {
	return disk.Malform("LVM2", "metadata, byte %d: %s", p.at, what)
}

// skip goes over spaces and comments, and gives the next byte; 0 at the end.
func (p *lvmParser) skip() byte {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\n', '\r':
			p.at++
		case '#':
			n := strings.IndexByte(p.text[p.at:], '\n')
			if n < 0 {
				n = len(p.text) - p.at
			}
			p.at += n
		case 0:
			p.at = len(p.text) // padding
		default:
			return c
		}
	}
	return 0
}

func (p *lvmParser) section(depth int) (section, error) {
	if depth > maxNesting {
		return nil, p.fail("sections in sections without end")
	}
	s := section{}
	for {
		if err := p.b.Step(1); err != nil {
			return nil, err
		}
		switch c := p.skip(); {
		case c == 0 && depth == 0, c == '}' && depth > 0:
			p.at++
			return s, nil
		case c == 0 || c == '}':
			return nil, p.fail("braces do not match")
		}
		key := p.word()
		if key == "" {
			return nil, p.fail("a name is missing")
		}
		if _, twice := s[key]; twice {
			return nil, p.fail("the name " + disk.Quote([]byte(key)) + " comes twice")
		}
		var v any
		var err error
		switch p.skip() {
		case '{':
			p.at++
			v, err = p.section(depth + 1)
		case '=':
			p.at++
			v, err = p.value(true)
		default:
			err = p.fail("neither { nor = behind a name")
		}
		if err != nil {
			return nil, err
		}
		s[key] = v
	}
}

// word is a name or a number.
func (p *lvmParser) word() string {
	start := p.at
	for p.at < len(p.text) && !strings.ContainsRune(" \t\r\n={}[],#\"\x00", rune(p.text[p.at])) {
		p.at++
	}
	return p.text[start:p.at]
}

func (p *lvmParser) value(list bool) (any, error) {
	if err := p.b.Step(1); err != nil {
		return nil, err
	}
	switch c := p.skip(); {
	case c == '"':
		var out strings.Builder
		for p.at++; p.at < len(p.text); p.at++ {
			switch c := p.text[p.at]; {
			case c == '"':
				p.at++
				return out.String(), nil
			case c == '\\' && p.at+1 < len(p.text):
				p.at++
				out.WriteByte(p.text[p.at])
			default:
				out.WriteByte(c)
			}
		}
		return nil, p.fail("a string without end")
	case c == '[' && list:
		all := []any{}
		for p.at++; ; {
			if p.skip() == ']' {
				p.at++
				return all, nil
			}
			v, err := p.value(false)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
			if p.skip() == ',' {
				p.at++
			} else if p.skip() != ']' {
				return nil, p.fail("a list without end")
			}
		}
	}
	w := p.word()
	if n, err := strconv.ParseInt(w, 10, 64); err == nil {
		return n, nil
	}
	if _, err := strconv.ParseFloat(w, 64); err == nil {
		return w, nil
	}
	return nil, p.fail("a value is missing")
}
