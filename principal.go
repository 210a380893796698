package kuva

import "slices"

// Principal is on whose behalf a call is made. Doors take it from a checked
// token; use cases decide by it and by nothing else.
type Principal struct {
	UserID    string
	UserName  string
	DomainID  string
	ProjectID string // "" for an unscoped token
	Roles     []string
	Admin     bool   // has the role admin; sees and changes everything
	RequestID string // of the call, for the audit table and the log
	Address   string // of the caller, without the port
}

// HasRole reports whether p has the named role.
func (p Principal) HasRole(role string) bool { return slices.Contains(p.Roles, role) }

// CanWrite reports whether p may change what its project owns: roles member
// and admin may, a reader may only look.
func (p Principal) CanWrite() bool { return p.Admin || p.HasRole("member") }
