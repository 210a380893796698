package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"kuva"
)

// maxWeight bounds the checks of one question, rules that rules refer to
// counted each time.
const maxWeight = 10_000

// Policy is the table with the operator's changes. It never changes once it
// is made, and may be used by many goroutines. A nil Policy is the default.
type Policy struct {
	rules   map[Rule]*expr
	changed map[Rule]bool
}

var defaults = sync.OnceValue(func() *Policy {
	p, err := build(nil)
	if err != nil {
		panic("policy: the table: " + err.Error()) // a test reads it
	}
	return p
})

// Default is the table as it stands.
func Default() *Policy { return defaults() }

// Allows answers whether who may do what the rule stands for to the target. A
// rule that is not there allows nothing.
func (p *Policy) Allows(who kuva.Principal, rule Rule, on Target) bool {
	if p == nil {
		p = defaults()
	}
	e := p.rules[rule]
	return e != nil && e.holds(&who, &on)
}

// Changed reports whether the operator changed a rule, by itself or through
// one that it refers to.
func (p *Policy) Changed(rule Rule) bool {
	return p != nil && p.changed[rule]
}

// RuleOf returns the rules that a route asks for, by the pattern of its door.
func RuleOf(route string) []Rule {
	return routes()[route]
}

var routes = sync.OnceValue(func() map[string][]Rule {
	out := map[string][]Rule{}
	for _, e := range Table {
		for _, route := range e.Routes {
			out[route] = append(out[route], e.Rule)
		}
	}
	return out
})

// Known reports whether a route has its place: rules, or a line in NoToken or
// AnyToken. Doors hold their routes to it in their tests.
func Known(route string) bool {
	return len(RuleOf(route)) > 0 || slices.Contains(NoToken, route) || slices.Contains(AnyToken, route)
}

// Routes lists all routes of the table at and below a path.
func Routes(prefix string) (out []string) {
	for _, route := range slices.Concat(keys(routes()), NoToken, AnyToken) {
		_, path, _ := strings.Cut(route, " ")
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			out = append(out, route)
		}
	}
	return out
}

// With returns a policy in which some rules are others, as an operator's file
// has them.
func With(rules map[string]string) (*Policy, error) {
	parsed := make(map[Rule]*expr, len(rules))
	for _, name := range keys(rules) {
		e, err := parse(rules[name])
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", clip(name), err)
		}
		parsed[Rule(name)] = e
	}
	return build(parsed)
}

// build lays the operator's rules over the table and links them.
func build(own map[Rule]*expr) (*Policy, error) {
	p := &Policy{rules: map[Rule]*expr{}, changed: map[Rule]bool{}}
	for _, e := range slices.Concat(helpers, Table) {
		if p.rules[e.Rule] != nil {
			return nil, fmt.Errorf("rule %q stands twice", e.Rule)
		}
		x, err := parse(e.Default)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", e.Rule, err)
		}
		p.rules[e.Rule] = x
	}
	if err := p.lay(own); err != nil {
		return nil, err
	}
	l := linker{p: p, weights: map[Rule]int{}}
	for _, name := range keys(p.rules) {
		if _, err := l.rule(name, nil); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// lay takes over the operator's rules. A name that the table lacks is a slip,
// unless another rule of the operator refers to it.
func (p *Policy) lay(own map[Rule]*expr) error {
	used := map[Rule]bool{}
	for _, e := range own {
		e.refs(func(to Rule) { used[to] = true })
	}
	known := keys(p.rules)
	for _, name := range keys(own) {
		if p.rules[name] == nil && !used[name] {
			return fmt.Errorf("there is no rule %q, and no other rule refers to it; did you mean %q?", clip(string(name)), nearest(string(name), names(known)))
		}
		p.changed[name] = true
	}
	for name, e := range own {
		p.rules[name] = e
	}
	return nil
}

func names(rules []Rule) []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = string(r)
	}
	return out
}

// refs calls fn for each rule that e refers to by itself.
func (e *expr) refs(fn func(Rule)) {
	if e.kind == ruleRef {
		fn(Rule(e.name))
	}
	for _, part := range e.parts {
		part.refs(fn)
	}
}

// linker sets the references between rules and refuses cycles.
type linker struct {
	p       *Policy
	weights map[Rule]int // of those that are done
}

func (l *linker) rule(name Rule, from []Rule) (weight int, err error) {
	if w, done := l.weights[name]; done {
		return w, nil
	}
	if slices.Contains(from, name) {
		return 0, fmt.Errorf("rule %q refers to itself through %v", name, names(from))
	}
	if len(from) > maxDepth {
		return 0, fmt.Errorf("rules refer to each other more than %d deep, %q among them", maxDepth, name)
	}
	e := l.p.rules[name]
	if e == nil {
		return 0, fmt.Errorf("rule %q, which %q refers to, is not there; did you mean %q?",
			clip(string(name)), from[len(from)-1], nearest(string(name), names(keys(l.p.rules))))
	}
	weight, err = l.expr(e, name, append(slices.Clip(from), name))
	if err != nil {
		return 0, err
	}
	if weight > maxWeight {
		return 0, fmt.Errorf("rule %q comes to %d checks, more than %d", name, weight, maxWeight)
	}
	l.weights[name] = weight
	return weight, nil
}

func (l *linker) expr(e *expr, in Rule, from []Rule) (weight int, err error) {
	if e.kind == ruleRef {
		if weight, err = l.rule(Rule(e.name), from); err != nil {
			return 0, err
		}
		e.rule = l.p.rules[Rule(e.name)]
		if l.p.changed[Rule(e.name)] {
			l.p.changed[in] = true
		}
	}
	weight++
	for _, part := range e.parts {
		w, err := l.expr(part, in, from)
		if err != nil {
			return 0, err
		}
		weight += w
	}
	return weight, nil
}
