package kuva

import "strings"

// AccessRule is one kind of request that a limited application credential is
// good for, as the Identity API v3 describes it.
type AccessRule struct {
	Service string // type of the service: image, identity
	Method  string // of HTTP, in capitals
	// Path is the path below the service's endpoint, beginning with "/". In it
	// "*" and "{name}" stand for one or more characters other than "/", and
	// "**" for any characters.
	Path string
}

// Allows reports whether p's token is good for a request: any, unless its
// application credential has access rules.
func (p Principal) Allows(service, method, path string) bool {
	if p.Access == nil {
		return true
	}
	if len(path) > maxRulePath {
		return false
	}
	for _, rule := range p.Access {
		if rule.Service == service && rule.Method == method && matchPath(rule.Path, path) {
			return true
		}
	}
	return false
}

// maxRulePath bounds the work of matching: no call has a longer path.
const maxRulePath = 2048

// matchPath compares a path with a rule's pattern in time proportional to the
// product of their lengths, however many wildcards the pattern has.
func matchPath(pattern, path string) bool {
	// can[i]: the part of the pattern read so far matches path[:i].
	can := make([]bool, len(path)+1)
	can[0] = true
	for pattern != "" {
		var next []bool
		switch {
		case strings.HasPrefix(pattern, "**"):
			pattern, next = pattern[2:], spread(can, path, true)
		case pattern[0] == '*':
			pattern, next = pattern[1:], spread(can, path, false)
		case pattern[0] == '{':
			_, rest, closed := strings.Cut(pattern, "}")
			if !closed {
				return false
			}
			pattern, next = rest, spread(can, path, false)
		default:
			next = make([]bool, len(can))
			for i := range path {
				next[i+1] = can[i] && path[i] == pattern[0]
			}
			pattern = pattern[1:]
		}
		can = next
	}
	return can[len(path)]
}

// spread is a step over a wildcard: everything for all, else at least one
// character and no slash.
func spread(can []bool, path string, all bool) []bool {
	next := make([]bool, len(can))
	if all {
		next[0] = can[0]
	}
	for i := range len(path) {
		if all {
			next[i+1] = next[i] || can[i+1]
		} else {
			next[i+1] = path[i] != '/' && (can[i] || next[i])
		}
	}
	return next
}
