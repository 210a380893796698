package identity

import (
	"context"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// The kinds of what roles are given on, as the database has them.
const (
	scopeProject = "project"
	scopeDomain  = "domain"
	scopeSystem  = "system"
	wholeSystem  = "all" // the id of the one system
)

// Grant says that a user or a group has a role on a project, a domain or the
// system: one of each, by its id.
type Grant struct {
	User, Group     string
	Project, Domain string // both "" for the system
	Role            string
}

func (g Grant) actor() (kind, id string) {
	if g.Group != "" {
		return "group", g.Group
	}
	return "user", g.User
}

func (g Grant) scope() (kind, id string) {
	switch {
	case g.Project != "":
		return scopeProject, g.Project
	case g.Domain != "":
		return scopeDomain, g.Domain
	}
	return scopeSystem, wholeSystem
}

// Assignment is a grant with its names.
type Assignment struct {
	User    *User    // id, name and domain; or
	Group   *Group   // id, name and DomainID, with DomainName beside
	Project *Project // id, name and domain; or
	Domain  *Domain  // id and name; or neither, for the system
	Role    Role

	GroupDomainName string
}

// AssignmentFilter narrows a list; "" takes all.
type AssignmentFilter struct {
	Grant // ids

	System bool // on the system only
	// Effective lists what users have in the end: groups are replaced by
	// their members, and implied roles are listed, too.
	Effective bool
}

// Assign gives a user a role in a project: Give in short.
func (s *Service) Assign(ctx context.Context, p kuva.Principal, project, user, role string) error {
	return s.Give(ctx, p, Grant{Project: project, User: user, Role: role})
}

// Give gives a role. Doing it twice changes nothing.
func (s *Service) Give(ctx context.Context, p kuva.Principal, g Grant) error {
	return s.grant(ctx, p, "create_grant", "role.assign", g, func(tx *catalog.Tx) error {
		kind, actor := g.actor()
		on, scope := g.scope()
		_, err := tx.Exec(ctx, `INSERT INTO assignment (actor_kind, actor, scope_kind, scope, role) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			kind, actor, on, scope, g.Role)
		return err
	})
}

// Take takes a role back. Tokens lose it at once.
func (s *Service) Take(ctx context.Context, p kuva.Principal, g Grant) error {
	return s.grant(ctx, p, "revoke_grant", "role.unassign", g, func(tx *catalog.Tx) error {
		_, actor := g.actor()
		on, scope := g.scope()
		n, err := tx.Exec(ctx, `DELETE FROM assignment WHERE actor = $1 AND scope_kind = $2 AND scope = $3 AND role = $4`, actor, on, scope, g.Role)
		if err == nil && n == 0 {
			err = notFound("assignment", g.Role)
		}
		return err
	})
}

func (s *Service) grant(ctx context.Context, p kuva.Principal, rule, action string, g Grant, fn func(*catalog.Tx) error) error {
	if err := mayAdminister(p, rule); err != nil {
		return err
	}
	return s.changeWith(ctx, p, func(tx *catalog.Tx) (audit.Entry, error) {
		_, actor := g.actor()
		on, scope := g.scope()
		entry := audit.By(p, s.cfg.Now(), action, actor)
		entry.Detail = map[string]string{on: scope, "role": g.Role}
		if err := g.there(ctx, tx); err != nil {
			return entry, err
		}
		return entry, fn(tx)
	})
}

// Given returns nil if a role was given. Only administrators may ask.
func (s *Service) Given(ctx context.Context, p kuva.Principal, g Grant) error {
	if err := mayAdminister(p, "check_grant"); err != nil {
		return err
	}
	return s.db.View(ctx, func(tx *catalog.Tx) error {
		if err := g.there(ctx, tx); err != nil {
			return err
		}
		_, actor := g.actor()
		on, scope := g.scope()
		there, err := exists(ctx, tx, `SELECT 1 FROM assignment WHERE actor = $1 AND scope_kind = $2 AND scope = $3 AND role = $4`, actor, on, scope, g.Role)
		if err == nil && !there {
			err = notFound("assignment", g.Role)
		}
		return err
	})
}

// RolesGiven lists the roles that a user or group was given on a scope.
func (s *Service) RolesGiven(ctx context.Context, p kuva.Principal, g Grant) ([]Role, error) {
	if err := mayAdminister(p, "list_grants"); err != nil {
		return nil, err
	}
	var out []Role
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if err := g.there(ctx, tx); err != nil {
			return err
		}
		_, actor := g.actor()
		on, scope := g.scope()
		out, err = readRoles(ctx, tx, MaxList, `r.id IN (SELECT role FROM assignment WHERE actor = $1 AND scope_kind = $2 AND scope = $3)`, actor, on, scope)
		return err
	})
	return out, err
}

// there holds that all that a grant names exists.
func (g Grant) there(ctx context.Context, tx *catalog.Tx) error {
	for _, x := range []struct{ kind, query, id string }{
		{"project", `SELECT 1 FROM project WHERE id = $1`, g.Project},
		{"domain", `SELECT 1 FROM domain WHERE id = $1`, g.Domain},
		{"user", `SELECT 1 FROM account WHERE id = $1`, g.User},
		{"group", `SELECT 1 FROM team WHERE id = $1`, g.Group},
		{"role", `SELECT 1 FROM role WHERE id = $1`, g.Role},
	} {
		if x.id == "" {
			continue
		}
		if there, err := exists(ctx, tx, x.query, x.id); err != nil {
			return err
		} else if !there {
			return notFound(x.kind, x.id)
		}
	}
	return nil
}

// The two lists of assignments: as they were given, and as they come out for
// users.
const (
	givenAssignments = `SELECT actor_kind, actor, scope_kind, scope, role FROM assignment`

	effectiveAssignments = `SELECT DISTINCT 'user' AS actor_kind, u.actor, u.scope_kind, u.scope, c.role FROM (
		SELECT actor, scope_kind, scope, role FROM assignment WHERE actor_kind = 'user'
		UNION SELECT m.account, x.scope_kind, x.scope, x.role FROM assignment x JOIN team_member m ON m.team = x.actor) u
		JOIN closure c ON c.prior = u.role`
)

// Assignments lists who has which role where. Only administrators may.
func (s *Service) Assignments(ctx context.Context, p kuva.Principal, f AssignmentFilter) ([]Assignment, error) {
	if err := mayAdminister(p, "list_role_assignments"); err != nil {
		return nil, err
	}
	if f.Effective && f.Group != "" {
		return nil, kuva.E(kuva.CodeInvalid, "identity.effective_group")
	}
	from := givenAssignments
	if f.Effective {
		from = effectiveAssignments
	}
	var w where
	w.is("x.actor_kind = 'user' AND x.actor", f.User)
	w.is("x.actor_kind = 'group' AND x.actor", f.Group)
	w.is("x.scope_kind = 'project' AND x.scope", f.Project)
	w.is("x.scope_kind = 'domain' AND x.scope", f.Domain)
	w.is("x.role", f.Role)
	if f.System {
		w.and("x.scope_kind = 'system'")
	}
	var out []Assignment
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		out = nil
		return each(ctx, tx, `WITH RECURSIVE closure(prior, role) AS (SELECT id, id FROM role
				UNION SELECT c.prior, i.implied FROM role_implied i JOIN closure c ON c.role = i.prior)
			SELECT x.actor_kind, x.actor, COALESCE(a.name, g.name, ''), COALESCE(ad.id, ''), COALESCE(ad.name, ''),
				x.scope_kind, x.scope, COALESCE(p.name, sd.name, ''), COALESCE(pd.id, ''), COALESCE(pd.name, ''), r.id, r.name
			FROM (`+from+`) x JOIN role r ON r.id = x.role
			LEFT JOIN account a ON x.actor_kind = 'user' AND a.id = x.actor
			LEFT JOIN team g ON x.actor_kind = 'group' AND g.id = x.actor
			LEFT JOIN domain ad ON ad.id = COALESCE(a.domain, g.domain)
			LEFT JOIN project p ON x.scope_kind = 'project' AND p.id = x.scope
			LEFT JOIN domain pd ON pd.id = p.domain
			LEFT JOIN domain sd ON x.scope_kind = 'domain' AND sd.id = x.scope
			WHERE `+w.String()+` ORDER BY x.scope_kind, 8, x.scope, 3, x.actor, r.name LIMIT `+number(MaxList), w.args, func(scan func(...any) error) error {
			var actorKind, actor, name, domain, domainName, kind, scope, scopeName, inDomain, inDomainName string
			var x Assignment
			if err := scan(&actorKind, &actor, &name, &domain, &domainName, &kind, &scope, &scopeName, &inDomain, &inDomainName, &x.Role.ID, &x.Role.Name); err != nil {
				return err
			}
			if actorKind == "group" {
				x.Group, x.GroupDomainName = &Group{ID: actor, Name: name, DomainID: domain}, domainName
			} else {
				x.User = &User{ID: actor, Name: name, DomainID: domain, DomainName: domainName}
			}
			switch kind {
			case scopeProject:
				x.Project = &Project{ID: scope, Name: scopeName, DomainID: inDomain, DomainName: inDomainName}
			case scopeDomain:
				x.Domain = &Domain{ID: scope, Name: scopeName}
			}
			out = append(out, x)
			return nil
		})
	})
	return out, err
}
