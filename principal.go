package kuva

import "slices"

// Principal is on whose behalf a call is made. Doors take it from a checked
// token; use cases decide by it and by nothing else.
type Principal struct {
	UserID      string
	UserName    string
	DomainID    string
	ProjectID   string // "" for an unscoped token
	Roles       []string
	Admin       bool   // has the role admin; sees and changes everything
	DomainScope string // domain that a domain-scoped token is for, else ""; ProjectID is "" then
	// Credential is the application credential that the token was made with,
	// "" for none. Restricted says that it may not tend credentials itself,
	// and Access what requests it is good for, nil for all.
	Credential string
	Restricted bool
	Access     []AccessRule
	RequestID  string // of the call, for the audit table and the log
	Address    string // of the caller, without the port
}

// HasRole reports whether p has the named role.
func (p Principal) HasRole(role string) bool { return slices.Contains(p.Roles, role) }

// CanWrite reports whether p may change what its project owns: roles member
// and admin may, a reader may only look.
func (p Principal) CanWrite() bool { return p.Admin || p.HasRole("member") }
