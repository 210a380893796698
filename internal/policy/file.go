package policy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxFile bounds the operator's file, in bytes.
const maxFile = 256 << 10

// maxRules bounds its rules.
const maxRules = 1000

// Open reads an operator's file. Its errors are for the operator and name the
// rule.
func Open(path string) (*Policy, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("policy file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("policy file %s: %w", path, err)
	}
	p, err := Read(b)
	if err != nil {
		return nil, fmt.Errorf("policy file %s: %w", path, err)
	}
	return p, nil
}

// Read reads the content of an operator's file: YAML or JSON, a map from rules
// to expressions. Rules that it does not name keep their defaults.
func Read(b []byte) (*Policy, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes", maxFile)
	}
	var file map[string]any
	if err := yaml.Unmarshal(b, &file); err != nil && len(strings.TrimSpace(string(b))) > 0 {
		return nil, errors.New(strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	if len(file) > maxRules {
		return nil, fmt.Errorf("more than %d rules", maxRules)
	}
	rules := make(map[Rule]*expr, len(file))
	for _, name := range keys(file) {
		e, err := parseAny(file[name])
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", clip(name), err)
		}
		rules[Rule(name)] = e
	}
	return build(rules)
}

// parseAny reads an expression: text, or the older list of lists.
func parseAny(v any) (*expr, error) {
	switch v := v.(type) {
	case nil:
		return nil, errors.New(`nothing stands after it; write "@" for everybody, "!" for nobody`)
	case string:
		return parse(v)
	case []any:
		return parseLists(v)
	}
	return nil, fmt.Errorf("an expression is text, not %T", v)
}

// parseLists reads [[A, B], [C]], which is (A and B) or C. As in oslo.policy
// an empty list lets everybody pass, and a list of empty lists nobody.
func parseLists(outer []any) (*expr, error) {
	if len(outer) == 0 {
		return &expr{kind: always}, nil
	}
	either := &expr{kind: anyOf}
	checks := 0
	for _, v := range outer {
		inner, ok := v.([]any)
		if !ok {
			inner = []any{v}
		}
		if len(inner) == 0 {
			continue
		}
		both := &expr{kind: allOf}
		for _, c := range inner {
			word, ok := c.(string)
			if !ok {
				return nil, errors.New("the lists hold checks, and those are text")
			}
			if checks++; checks > maxChecks {
				return nil, fmt.Errorf("more than %d checks", maxChecks)
			}
			e, err := parseCheck(word)
			if err != nil {
				return nil, err
			}
			both.parts = append(both.parts, e)
		}
		either.parts = append(either.parts, both)
	}
	return either, nil
}
