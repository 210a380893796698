package identity

import (
	"context"

	"kuva"
	"kuva/internal/catalog"
)

// Assignment says that a user has a role in a project.
type Assignment struct {
	User    User // id, name and domain
	Project Project
	Role    Role
}

// AssignmentFilter narrows a list; "" takes all.
type AssignmentFilter struct {
	User, Project, Role string // ids
	Effective           bool   // with the roles that the assigned ones imply
}

// Assign gives a user a role in a project. Doing it twice changes nothing.
func (s *Service) Assign(ctx context.Context, p kuva.Principal, project, user, role string) error {
	return s.change(ctx, p, "role.assign", func(tx *catalog.Tx) (string, error) {
		if err := triple(ctx, tx, project, user, role); err != nil {
			return "", err
		}
		_, err := tx.Exec(ctx, `INSERT INTO assignment (account, project, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, user, project, role)
		return user, err
	})
}

// Unassign takes the role back. Tokens for the project lose it at once.
func (s *Service) Unassign(ctx context.Context, p kuva.Principal, project, user, role string) error {
	return s.change(ctx, p, "role.unassign", func(tx *catalog.Tx) (string, error) {
		n, err := tx.Exec(ctx, `DELETE FROM assignment WHERE account = $1 AND project = $2 AND role = $3`, user, project, role)
		if err == nil && n == 0 {
			err = notFound("assignment", role)
		}
		return user, err
	})
}

// Assigned returns nil if the user has the role in the project by an
// assignment of its own.
func (s *Service) Assigned(ctx context.Context, p kuva.Principal, project, user, role string) error {
	if !p.Admin {
		return forbidden("role.check")
	}
	return s.db.View(ctx, func(tx *catalog.Tx) error {
		var one int
		err := tx.QueryRow(ctx, `SELECT 1 FROM assignment WHERE account = $1 AND project = $2 AND role = $3`, user, project, role).Scan(&one)
		return orElse(err, notFound("assignment", role).(*kuva.Error))
	})
}

// Assignments lists who has which role where. Only administrators may.
func (s *Service) Assignments(ctx context.Context, p kuva.Principal, f AssignmentFilter) ([]Assignment, error) {
	if !p.Admin {
		return nil, forbidden("role.list_assignments")
	}
	var direct []Assignment
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		direct = nil
		rows, err := tx.Query(ctx, `SELECT a.id, a.name, da.id, da.name, p.id, p.name, dp.id, dp.name, r.id, r.name
			FROM assignment x JOIN role r ON r.id = x.role
			JOIN account a ON a.id = x.account JOIN domain da ON da.id = a.domain
			JOIN project p ON p.id = x.project JOIN domain dp ON dp.id = p.domain
			WHERE ($1 = '' OR a.id = $1) AND ($2 = '' OR p.id = $2) AND ($3 OR $4 = '' OR r.id = $4)
			ORDER BY p.name, p.id, a.name, a.id, r.name LIMIT 10000`, f.User, f.Project, f.Effective, f.Role)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var x Assignment
			if err := rows.Scan(&x.User.ID, &x.User.Name, &x.User.DomainID, &x.User.DomainName,
				&x.Project.ID, &x.Project.Name, &x.Project.DomainID, &x.Project.DomainName, &x.Role.ID, &x.Role.Name); err != nil {
				return err
			}
			direct = append(direct, x)
		}
		return rows.Err()
	})
	if err != nil || !f.Effective {
		return direct, err
	}
	return effective(direct, f.Role), nil
}

// effective adds implied roles. The list is sorted by project and user.
func effective(direct []Assignment, role string) []Assignment {
	var out []Assignment
	for i := 0; i < len(direct); {
		first, has := direct[i], map[string]bool{}
		for ; i < len(direct) && direct[i].User.ID == first.User.ID && direct[i].Project.ID == first.Project.ID; i++ {
			has[direct[i].Role.Name] = true
		}
		for _, r := range implied(has) {
			if role == "" || role == r.ID {
				out = append(out, Assignment{User: first.User, Project: first.Project, Role: r})
			}
		}
	}
	return out
}

// RolesOn lists the roles that a user was given in a project. Only
// administrators may.
func (s *Service) RolesOn(ctx context.Context, p kuva.Principal, project, user string) ([]Role, error) {
	if !p.Admin {
		return nil, forbidden("role.list_grants")
	}
	err := s.db.View(ctx, func(tx *catalog.Tx) error { return triple(ctx, tx, project, user, "") })
	if err != nil {
		return nil, err
	}
	found, err := s.Assignments(ctx, p, AssignmentFilter{User: user, Project: project})
	var out []Role
	for _, x := range found {
		out = append(out, x.Role)
	}
	return out, err
}

// triple holds that project, user and role (if not "") exist.
func triple(ctx context.Context, tx *catalog.Tx, project, user, role string) error {
	for _, x := range []struct{ kind, query, id string }{
		{"project", `SELECT COUNT(*) FROM project WHERE id = $1`, project},
		{"user", `SELECT COUNT(*) FROM account WHERE id = $1`, user},
		{"role", `SELECT COUNT(*) FROM role WHERE id = $1`, role},
	} {
		var n int
		if x.kind == "role" && x.id == "" {
			continue
		}
		if err := tx.QueryRow(ctx, x.query, x.id).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return notFound(x.kind, x.id)
		}
	}
	return nil
}
