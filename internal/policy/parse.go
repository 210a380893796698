package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The bounds of one rule. Real ones have a dozen checks.
const (
	maxText   = 8 << 10 // bytes
	maxDepth  = 32      // parentheses and "not" inside each other
	maxChecks = 512
)

// parse reads one rule.
func parse(text string) (*expr, error) {
	if len(text) > maxText || !utf8.ValidString(text) {
		return nil, fmt.Errorf("a rule is text of at most %d bytes", maxText)
	}
	p := parser{tokens: tokens(text)}
	if len(p.tokens) == 0 {
		return &expr{kind: always}, nil
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.at < len(p.tokens) {
		return nil, fmt.Errorf("%q stands where and, or or the end should be", clip(p.tokens[p.at]))
	}
	return e, nil
}

// tokens splits a rule into parentheses, words and checks. As in oslo.policy,
// parentheses count at the beginning and end of a word, so that %(owner)s
// stays whole.
func tokens(text string) (out []string) {
	for _, word := range strings.Fields(text) {
		for strings.HasPrefix(word, "(") {
			out, word = append(out, "("), word[1:]
		}
		trimmed := strings.TrimRight(word, ")")
		if trimmed != "" {
			out = append(out, trimmed)
		}
		for range len(word) - len(trimmed) {
			out = append(out, ")")
		}
	}
	return out
}

type parser struct {
	tokens []string
	at     int
	depth  int
	checks int
}

// next reports whether the next token is word, and takes it then.
func (p *parser) next(word string) bool {
	if p.at < len(p.tokens) && strings.EqualFold(p.tokens[p.at], word) {
		p.at++
		return true
	}
	return false
}

func (p *parser) or() (*expr, error)  { return p.chain("or", anyOf, p.and) }
func (p *parser) and() (*expr, error) { return p.chain("and", allOf, p.one) }

func (p *parser) chain(word string, k kind, part func() (*expr, error)) (*expr, error) {
	first, err := part()
	if err != nil {
		return nil, err
	}
	e := &expr{kind: k, parts: []*expr{first}}
	for p.next(word) {
		more, err := part()
		if err != nil {
			return nil, err
		}
		e.parts = append(e.parts, more)
	}
	if len(e.parts) == 1 {
		return first, nil
	}
	return e, nil
}

func (p *parser) one() (*expr, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("more than %d parentheses inside each other", maxDepth)
	}
	defer func() { p.depth-- }()
	switch {
	case p.at >= len(p.tokens):
		return nil, errors.New("a check is missing at the end")
	case p.next("not"):
		e, err := p.one()
		if err != nil {
			return nil, err
		}
		return &expr{kind: not, parts: []*expr{e}}, nil
	case p.next("("):
		e, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.next(")") {
			return nil, errors.New("a closing parenthesis is missing")
		}
		return e, nil
	}
	word := p.tokens[p.at]
	p.at++
	if p.checks++; p.checks > maxChecks {
		return nil, fmt.Errorf("more than %d checks", maxChecks)
	}
	switch strings.ToLower(word) {
	case "and", "or", ")":
		return nil, fmt.Errorf("a check is missing before %q", word)
	}
	return parseCheck(word)
}

// parseCheck reads one check. What oslo.policy takes silently for "never"
// (an unknown attribute, no colon) is refused here: it is a slip of the pen.
func parseCheck(word string) (*expr, error) {
	switch word {
	case "@":
		return &expr{kind: always}, nil
	case "!":
		return &expr{kind: never}, nil
	}
	left, right, ok := strings.Cut(word, ":")
	if !ok || left == "" || right == "" {
		return nil, fmt.Errorf("%q is no check: write @, ! or KIND:VALUE", clip(word))
	}
	if left == "rule" {
		return &expr{kind: ruleRef, name: right}, nil
	}
	v, err := parseValue(right)
	if err != nil {
		return nil, err
	}
	if text, isLiteral := literal(left); isLiteral {
		return &expr{kind: literalIs, name: text, value: v}, nil
	}
	switch left {
	case "role":
		return &expr{kind: hasRole, value: v}, nil
	case "http", "https":
		return nil, errors.New("checks that ask a server are not supported")
	case "is_admin":
		if v, err = parseTruth(right); err != nil {
			return nil, err
		}
	}
	if _, known := callers[left]; !known {
		return nil, fmt.Errorf("%q is no attribute of a caller; did you mean %q?", clip(left), nearest(left, append(keys(callers), "role", "rule")))
	}
	return &expr{kind: callerIs, name: left, value: v}, nil
}

// literal reads 'text', "text", a number, True, False and None.
func literal(s string) (string, bool) {
	if n := len(s); n >= 2 && (s[0] == '\'' || s[0] == '"') && s[n-1] == s[0] {
		return s[1 : n-1], true
	}
	if s == "True" || s == "False" || s == "None" || strings.Trim(s, "0123456789") == "" {
		return s, true
	}
	return "", false
}

func parseTruth(s string) (value, error) {
	switch strings.ToLower(s) {
	case "true", "1":
		return value{{text: "True"}}, nil
	case "false", "0":
		return value{{text: "False"}}, nil
	}
	return nil, fmt.Errorf("is_admin is True or False, not %q", clip(s))
}

// parseValue reads text with places such as %(owner)s.
func parseValue(s string) (value, error) {
	var v value
	for s != "" {
		text, rest, found := strings.Cut(s, "%")
		if text != "" {
			v = append(v, piece{text: text})
		}
		if !found {
			break
		}
		if s, found = strings.CutPrefix(rest, "%"); found {
			v = append(v, piece{text: "%"})
			continue
		}
		name, after, ok := strings.Cut(rest, ")s")
		if name, found = strings.CutPrefix(name, "("); !ok || !found {
			return nil, fmt.Errorf("%q: an attribute of the target is written %%(NAME)s", clip(s))
		}
		get, known := attributes[name]
		if !known {
			return nil, fmt.Errorf("%q is no attribute of a target; did you mean %q?", clip(name), nearest(name, keys(attributes)))
		}
		v = append(v, piece{attribute: get})
		s = after
	}
	return v, nil
}

// clip keeps what is quoted in errors short.
func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…"
	}
	return s
}
