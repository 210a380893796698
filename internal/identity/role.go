package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"kuva"
	"kuva/internal/catalog"
)

// Role is one of the three roles.
type Role struct {
	ID   string
	Name string
}

// ladder lists the roles; each implies those after it.
var ladder = []string{RoleAdmin, RoleMember, RoleReader}

// RoleID is the id of one of the three roles, the same on every site.
func RoleID(name string) string { return StableID("role " + name) }

// StableID makes an id that is the same on every site and at every start, for
// the things that kuva has one of.
func StableID(what string) string {
	sum := sha256.Sum256([]byte("kuva " + what))
	return hex.EncodeToString(sum[:16])
}

// rolesOn returns the roles of a user in a project, with those that they
// imply, highest first.
func rolesOn(ctx context.Context, tx *catalog.Tx, user, project string) ([]Role, error) {
	rows, err := tx.Query(ctx, `SELECT r.name FROM assignment x JOIN role r ON r.id = x.role
		JOIN project p ON p.id = x.project AND p.enabled JOIN domain d ON d.id = p.domain AND d.enabled
		WHERE x.account = $1 AND x.project = $2`, user, project)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	has := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		has[name] = true
	}
	return implied(has), rows.Err()
}

func implied(has map[string]bool) []Role {
	var out []Role
	for _, name := range ladder {
		if has[name] || len(out) > 0 {
			out = append(out, Role{ID: RoleID(name), Name: name})
		}
	}
	return out
}

// Roles lists the roles with a name, or all for "". Only administrators may.
func (s *Service) Roles(_ context.Context, p kuva.Principal, name string) ([]Role, error) {
	if !p.Admin {
		return nil, forbidden("role.list")
	}
	var out []Role
	for _, n := range ladder {
		if name == "" || name == n {
			out = append(out, Role{ID: RoleID(n), Name: n})
		}
	}
	return out, nil
}

// Role returns a role by its id. Only administrators may.
func (s *Service) Role(_ context.Context, p kuva.Principal, id string) (*Role, error) {
	if !p.Admin {
		return nil, forbidden("role.get")
	}
	for _, n := range ladder {
		if RoleID(n) == id {
			return &Role{ID: id, Name: n}, nil
		}
	}
	return nil, notFound("role", id)
}
