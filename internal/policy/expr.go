package policy

import (
	"strings"

	"kuva"
)

// Target is what a question is about. Empty fields are attributes that are
// not there.
type Target struct {
	// Project owns the image, job or quota: %(owner)s, %(project_id)s,
	// %(tenant_id)s, %(tenant)s, %(target.project.id)s.
	Project string
	// User is the account in question: %(user_id)s, %(target.user.id)s.
	User string
	// Domain is the domain in question: %(domain_id)s, %(target.domain.id)s.
	Domain string
	// Visibility and Status of the image: %(visibility)s, %(status)s.
	Visibility kuva.Visibility
	Status     kuva.Status
	// Protected of the image, as True and False: %(protected)s.
	Protected bool
	// Member is the project that the image is shared with, as far as the
	// question is about one: %(member_id)s. MemberStatus: %(member_status)s.
	Member       string
	MemberStatus kuva.MemberStatus
}

// attributes of a target by the names that rules use.
var attributes = map[string]func(t *Target) string{
	"owner":             func(t *Target) string { return t.Project },
	"project_id":        func(t *Target) string { return t.Project },
	"tenant_id":         func(t *Target) string { return t.Project },
	"tenant":            func(t *Target) string { return t.Project },
	"target.project.id": func(t *Target) string { return t.Project },
	"user_id":           func(t *Target) string { return t.User },
	"target.user.id":    func(t *Target) string { return t.User },
	"domain_id":         func(t *Target) string { return t.Domain },
	"target.domain.id":  func(t *Target) string { return t.Domain },
	"visibility":        func(t *Target) string { return string(t.Visibility) },
	"status":            func(t *Target) string { return string(t.Status) },
	"protected":         func(t *Target) string { return truth(t.Protected) },
	"member_id":         func(t *Target) string { return t.Member },
	"member_status":     func(t *Target) string { return string(t.MemberStatus) },
}

// callers are the attributes of a caller by the names that rules use.
var callers = map[string]func(p *kuva.Principal) string{
	"user_id":        func(p *kuva.Principal) string { return p.UserID },
	"project_id":     func(p *kuva.Principal) string { return p.ProjectID },
	"tenant_id":      func(p *kuva.Principal) string { return p.ProjectID },
	"tenant":         func(p *kuva.Principal) string { return p.ProjectID },
	"user_domain_id": func(p *kuva.Principal) string { return p.DomainID },
	"is_admin":       func(p *kuva.Principal) string { return truth(p.Admin) },
}

// truth writes a bool as the language does.
func truth(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

type kind byte

const (
	always kind = iota
	never
	allOf
	anyOf
	not
	ruleRef
	hasRole
	callerIs  // an attribute of the caller equals a value
	literalIs // a literal equals a value
)

// expr is one checked expression. It is never changed once it is made.
type expr struct {
	kind  kind
	parts []*expr // of allOf, anyOf, not
	name  string  // of the rule, the caller's attribute, or the literal
	value value   // what it is compared with
	rule  *expr   // of ruleRef, set by link
}

// value is text with places for attributes of the target.
type value []piece

type piece struct {
	text      string
	attribute func(t *Target) string // nil for plain text
}

// of gives the text for a target; false where an attribute is not there.
func (v value) of(t *Target) (string, bool) {
	if len(v) == 1 && v[0].attribute == nil {
		return v[0].text, true
	}
	if len(v) == 1 {
		s := v[0].attribute(t)
		return s, s != ""
	}
	var b strings.Builder
	for _, p := range v {
		if p.attribute == nil {
			b.WriteString(p.text)
			continue
		}
		s := p.attribute(t)
		if s == "" {
			return "", false
		}
		b.WriteString(s)
	}
	return b.String(), true
}

// holds answers the question. Its cost is bounded by link: no cycles, and no
// more than maxWeight checks.
func (e *expr) holds(p *kuva.Principal, t *Target) bool {
	switch e.kind {
	case always:
		return true
	case allOf:
		for _, part := range e.parts {
			if !part.holds(p, t) {
				return false
			}
		}
		return true
	case anyOf:
		for _, part := range e.parts {
			if part.holds(p, t) {
				return true
			}
		}
		return false
	case not:
		return !e.parts[0].holds(p, t)
	case ruleRef:
		return e.rule.holds(p, t)
	}
	want, ok := e.value.of(t)
	if !ok {
		return false
	}
	switch e.kind {
	case hasRole:
		return holdsRole(p, want)
	case callerIs:
		have := callers[e.name](p)
		return have != "" && have == want
	case literalIs:
		return e.name == want
	}
	return false // never
}

// holdsRole compares as oslo.policy does, without case. Who has Admin has the
// role, whatever else stands in the token.
func holdsRole(p *kuva.Principal, role string) bool {
	if p.Admin && strings.EqualFold(role, "admin") {
		return true
	}
	for _, r := range p.Roles {
		if strings.EqualFold(r, role) {
			return true
		}
	}
	return false
}
