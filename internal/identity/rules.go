package identity

import (
	"kuva"
)

// All that this package decides about who may do what stands in this file,
// one function a rule. An action is named as Keystone's policy names it. An
// "administrator" has the role admin in a project or on the system; the role
// admin on a domain makes nobody one, because whoever may give roles in a
// domain could give itself more.

// mayAdminister is the rule of everything that changes users, projects,
// groups, roles and the catalogue, and of what only administrators see. The
// answer is the same for things that exist and things that do not.
func mayAdminister(p kuva.Principal, action string) error {
	if !p.Admin {
		return forbidden(action)
	}
	return nil
}

// mayList is the rule of lists of users, groups and projects: administrators
// see all, and who has the role admin or reader on a domain sees that domain.
// It returns the only domain that the list may show, "" for all.
func mayList(p kuva.Principal, action string) (domain string, err error) {
	switch {
	case p.Admin:
		return "", nil
	case p.DomainScope != "" && (p.HasRole(RoleAdmin) || p.HasRole(RoleReader)):
		return p.DomainScope, nil
	}
	return "", forbidden(action)
}

// maySee is the rule of one user, group or project: see mayList. Users see
// themselves, and the projects and groups that they are in (mine). To others
// it is not there.
func maySee(p kuva.Principal, domain string, mine bool) bool {
	only, err := mayList(p, "")
	return mine || err == nil && (only == "" || only == domain)
}

// maySeeDomain is the rule of one domain: administrators, its own users and
// tokens that are for it.
func maySeeDomain(p kuva.Principal, domain string) bool {
	return p.Admin || p.DomainID == domain || p.DomainScope == domain
}

// mayTend is the rule of what belongs to one user (its list of projects,
// application credentials, EC2 keys): the user and administrators. To others
// the user is not there.
func mayTend(p kuva.Principal, user string) error {
	if p.Admin || user != "" && p.UserID == user {
		return nil
	}
	return notFound("user", user)
}

// mayKeepSecrets is the rule of making and deleting credentials, after
// mayTend: the token of an application credential that is not unrestricted
// makes no others, or a stolen one could not be taken back.
func mayKeepSecrets(p kuva.Principal, action string) error {
	if p.Restricted {
		return forbidden(action)
	}
	return nil
}

// mayMakeApplicationCredential is the rule of making one: only for oneself,
// because it carries the roles of the token that makes it.
func mayMakeApplicationCredential(p kuva.Principal, user string) error {
	if p.UserID == "" || p.UserID != user {
		return forbidden("create_application_credential")
	}
	return mayKeepSecrets(p, "create_application_credential")
}

// mayJudgeToken is the rule of looking at a token: its own user, other
// services (role service), administrators. To others it is not there.
func mayJudgeToken(p kuva.Principal, owner string) bool {
	return p.Admin || p.HasRole(RoleService) || p.UserID != "" && p.UserID == owner
}

// mayRevokeToken is the rule of taking a token back: its own user and
// administrators. To others it is not there.
func mayRevokeToken(p kuva.Principal, owner string) bool {
	return p.Admin || p.UserID != "" && p.UserID == owner
}

// mayReadCatalog is the rule of regions: everybody with a token, as in
// Keystone.
func mayReadCatalog(kuva.Principal) error { return nil }

// mayChangePassword is the rule of one's own password, after the old one was
// right: unless an administrator locked it.
func mayChangePassword(u *User) error {
	if u.Options.LockPassword != nil && *u.Options.LockPassword {
		return forbidden("change_password")
	}
	return nil
}
