package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"kuva"
	"kuva/internal/catalog"
)

// Role is a name that rules ask for.
type Role struct {
	ID          string
	Name        string
	Description string
	Immutable   bool // refuses changes until this is taken off
}

// RoleChange is what an update sets; nil leaves a field as it is.
type RoleChange struct {
	Name        *string
	Description *string
	Immutable   *bool
}

// RoleFilter narrows a list; "" takes all.
type RoleFilter struct {
	Page
	Name string
}

// ladder lists the roles that rules of kuva ask for; each implies the next.
// They cannot be renamed or deleted.
var ladder = []string{RoleAdmin, RoleMember, RoleReader}

// RoleID is the id of one of the three roles of the first start, the same on
// every site.
func RoleID(name string) string { return StableID("role " + name) }

func builtIn(role string) bool {
	return slices.ContainsFunc(ladder, func(name string) bool { return RoleID(name) == role })
}

// StableID makes an id that is the same on every site and at every start, for
// the things that the first start makes.
func StableID(what string) string {
	sum := sha256.Sum256([]byte("kuva " + what))
	return hex.EncodeToString(sum[:16])
}

// held finds the roles that a user ($1) has on a scope of kind $2 and id $3,
// by itself or by its groups, and all that they imply.
const held = `WITH RECURSIVE held(role) AS (
	SELECT x.role FROM assignment x WHERE x.scope_kind = $2 AND x.scope = $3
		AND (x.actor = $1 OR x.actor IN (SELECT m.team FROM team_member m WHERE m.account = $1))
	UNION SELECT i.implied FROM role_implied i JOIN held h ON h.role = i.prior)
	SELECT r.id, r.name FROM role r JOIN held h ON h.role = r.id`

// scopesOf finds the ids of the scopes of kind $2 on which a user ($1) has a
// role.
const scopesOf = `SELECT x.scope FROM assignment x WHERE x.scope_kind = $2
	AND (x.actor = $1 OR x.actor IN (SELECT m.team FROM team_member m WHERE m.account = $1))`

// rolesOn returns the roles of a user on an enabled scope, with those that
// they imply, the highest first.
func rolesOn(ctx context.Context, tx *catalog.Tx, user, kind, scope string) (out []Role, err error) {
	enabled := ``
	switch kind {
	case scopeProject:
		enabled = ` WHERE EXISTS (SELECT 1 FROM project p JOIN domain d ON d.id = p.domain WHERE p.id = $3 AND p.enabled AND d.enabled)`
	case scopeDomain:
		enabled = ` WHERE EXISTS (SELECT 1 FROM domain d WHERE d.id = $3 AND d.enabled)`
	}
	err = each(ctx, tx, held+enabled, []any{user, kind, scope}, func(scan func(...any) error) error {
		var r Role
		err := scan(&r.ID, &r.Name)
		out = append(out, r)
		return err
	})
	slices.SortFunc(out, func(a, b Role) int { return cmp.Or(rank(a.Name)-rank(b.Name), cmp.Compare(a.Name, b.Name)) })
	return out, err
}

func rank(name string) int {
	if i := slices.Index(ladder, name); i >= 0 {
		return i
	}
	return len(ladder)
}

// CreateRole makes a role. kuva's own rules know admin, member, reader and
// service; others are for other services, or for the operator's policy.
func (s *Service) CreateRole(ctx context.Context, p kuva.Principal, in Role) (*Role, error) {
	if err := mayAdminister(p, "create_role"); err != nil {
		return nil, err
	}
	if err := checkNames(in.Name, in.Description); err != nil {
		return nil, err
	}
	in.ID = newID()
	err := s.change(ctx, p, "role.create", func(tx *catalog.Tx) (string, error) {
		n, err := tx.Exec(ctx, `INSERT INTO role (id, name, description, immutable) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, in.ID, in.Name, in.Description, in.Immutable)
		if err == nil && n == 0 {
			err = kuva.E(kuva.CodeConflict, "identity.role_exists", "name", in.Name)
		}
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	return &in, nil
}

// Roles lists roles. Only administrators may.
func (s *Service) Roles(ctx context.Context, p kuva.Principal, f RoleFilter) ([]Role, error) {
	if err := mayAdminister(p, "list_roles"); err != nil {
		return nil, err
	}
	var out []Role
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		var w where
		w.is("r.name", f.Name)
		if err := w.page(ctx, tx, f.Page, "role", "r"); err != nil {
			return err
		}
		out, err = readRoles(ctx, tx, f.limit(), w.String(), w.args...)
		return err
	})
	return out, err
}

// Role returns a role by its id. Only administrators may.
func (s *Service) Role(ctx context.Context, p kuva.Principal, id string) (*Role, error) {
	if err := mayAdminister(p, "get_role"); err != nil {
		return nil, err
	}
	var out *Role
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readRole(ctx, tx, id)
		return err
	})
	return out, err
}

// UpdateRole changes a role.
func (s *Service) UpdateRole(ctx context.Context, p kuva.Principal, id string, c RoleChange) (*Role, error) {
	if err := mayAdminister(p, "update_role"); err != nil {
		return nil, err
	}
	err := s.change(ctx, p, "role.update", func(tx *catalog.Tx) (string, error) {
		old, err := readRole(ctx, tx, id)
		if err != nil {
			return "", err
		}
		if err := locked("role", old.Immutable, c.Immutable, c.Name == nil && c.Description == nil); err != nil {
			return "", err
		}
		next := *old
		set(&next.Name, c.Name)
		set(&next.Description, c.Description)
		set(&next.Immutable, c.Immutable)
		if builtIn(id) && (next.Name != old.Name || !next.Immutable) {
			return "", kuva.E(kuva.CodeForbidden, "identity.built_in_role", "name", old.Name)
		}
		if err := checkNames(next.Name, next.Description); err != nil {
			return "", err
		}
		if next.Name != old.Name {
			if taken, err := exists(ctx, tx, `SELECT 1 FROM role WHERE name = $1`, next.Name); err != nil {
				return "", err
			} else if taken {
				return "", kuva.E(kuva.CodeConflict, "identity.role_exists", "name", next.Name)
			}
		}
		_, err = tx.Exec(ctx, `UPDATE role SET name = $1, description = $2, immutable = $3 WHERE id = $4`, next.Name, next.Description, next.Immutable, id)
		return id, err
	})
	if err != nil {
		return nil, err
	}
	return s.Role(ctx, p, id)
}

// DeleteRole removes a role and takes it from all who have it.
func (s *Service) DeleteRole(ctx context.Context, p kuva.Principal, id string) error {
	if err := mayAdminister(p, "delete_role"); err != nil {
		return err
	}
	return s.change(ctx, p, "role.delete", func(tx *catalog.Tx) (string, error) {
		old, err := readRole(ctx, tx, id)
		if err != nil {
			return "", err
		}
		if builtIn(id) {
			return "", kuva.E(kuva.CodeForbidden, "identity.built_in_role", "name", old.Name)
		}
		if err := locked("role", old.Immutable, nil, false); err != nil {
			return "", err
		}
		return id, execAll(ctx, tx, id, `DELETE FROM assignment WHERE role = $1`,
			`DELETE FROM role_implied WHERE prior = $1 OR implied = $1`, `DELETE FROM role WHERE id = $1`)
	})
}

func readRole(ctx context.Context, tx *catalog.Tx, id string) (*Role, error) {
	found, err := readRoles(ctx, tx, 1, `r.id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("role", id)
	}
	return &found[0], nil
}

func readRoles(ctx context.Context, tx *catalog.Tx, limit int, where string, args ...any) (out []Role, err error) {
	err = each(ctx, tx, `SELECT r.id, r.name, r.description, r.immutable FROM role r WHERE `+where+` ORDER BY r.name, r.id LIMIT `+number(limit), args,
		func(scan func(...any) error) error {
			var r Role
			err := scan(&r.ID, &r.Name, &r.Description, &r.Immutable)
			out = append(out, r)
			return err
		})
	return out, err
}
