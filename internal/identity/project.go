package identity

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// MaxName is the longest name or id, in bytes; MaxDescription the longest
// description.
const (
	MaxName        = 255
	MaxDescription = 4096
)

// Project is a tenant.
type Project struct {
	ID          string
	DomainID    string
	DomainName  string
	Name        string
	Description string
	Enabled     bool
	CreatedAt   time.Time

	domainEnabled bool
}

// ProjectChange is what an update sets; nil leaves a field as it is.
type ProjectChange struct {
	Name        *string
	Description *string
	Enabled     *bool
}

// ProjectFilter narrows a list; "" and nil take all.
type ProjectFilter struct {
	DomainID string
	Name     string
	Enabled  *bool
}

// CreateProject makes a project. An empty DomainID means the default domain.
func (s *Service) CreateProject(ctx context.Context, p kuva.Principal, in Project) (*Project, error) {
	if in.DomainID == "" {
		in.DomainID = DefaultDomainID
	}
	if err := checkNames(in.Name, in.Description); err != nil {
		return nil, err
	}
	in.ID, in.CreatedAt = newID(), s.cfg.Now()
	err := s.change(ctx, p, "project.create", func(tx *catalog.Tx) (string, error) {
		if _, err := readDomain(ctx, tx, in.DomainID); err != nil {
			return "", err
		}
		n, err := tx.Exec(ctx, `INSERT INTO project (id, domain, name, description, enabled, created_at)
			VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
			in.ID, in.DomainID, in.Name, in.Description, in.Enabled, micros(in.CreatedAt))
		if err == nil && n == 0 {
			err = kuva.E(kuva.CodeConflict, "identity.project_exists", "name", in.Name)
		}
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	return s.Project(ctx, p, in.ID)
}

// Project returns a project to administrators and to users with a role in it;
// to others it is not there.
func (s *Service) Project(ctx context.Context, p kuva.Principal, id string) (*Project, error) {
	var out *Project
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		found, err := readProjects(ctx, tx, `p.id = $1 AND ($2 OR EXISTS
			(SELECT 1 FROM assignment x WHERE x.project = p.id AND x.account = $3))`, id, p.Admin, p.UserID)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return notFound("project", id)
		}
		out = &found[0]
		return nil
	})
	return out, err
}

// Projects lists projects by name. Only administrators may.
func (s *Service) Projects(ctx context.Context, p kuva.Principal, f ProjectFilter) ([]Project, error) {
	if !p.Admin {
		return nil, forbidden("project.list")
	}
	return s.listProjects(ctx, `($1 = '' OR p.domain = $1) AND ($2 = '' OR p.name = $2) AND ($3 OR p.enabled = $4)`,
		f.DomainID, f.Name, f.Enabled == nil, f.Enabled != nil && *f.Enabled)
}

// ProjectsOf lists the enabled projects that a user has a role in: for the
// user itself and for administrators.
func (s *Service) ProjectsOf(ctx context.Context, p kuva.Principal, user string) ([]Project, error) {
	if !p.Admin && p.UserID != user {
		return nil, notFound("user", user)
	}
	if p.UserID != user {
		if _, err := s.User(ctx, p, user); err != nil {
			return nil, err
		}
	}
	return s.listProjects(ctx, `p.enabled AND EXISTS (SELECT 1 FROM assignment x WHERE x.project = p.id AND x.account = $1)`, user)
}

// UpdateProject changes a project. Disabling it makes its tokens invalid.
func (s *Service) UpdateProject(ctx context.Context, p kuva.Principal, id string, c ProjectChange) (*Project, error) {
	err := s.change(ctx, p, "project.update", func(tx *catalog.Tx) (string, error) {
		found, err := readProjects(ctx, tx, `p.id = $1`, id)
		if err != nil {
			return "", err
		}
		if len(found) == 0 {
			return "", notFound("project", id)
		}
		next := found[0]
		set(&next.Name, c.Name)
		set(&next.Description, c.Description)
		set(&next.Enabled, c.Enabled)
		if err := checkNames(next.Name, next.Description); err != nil {
			return "", err
		}
		if next.Name != found[0].Name {
			var one int
			err := tx.QueryRow(ctx, `SELECT 1 FROM project WHERE domain = $1 AND name = $2`, next.DomainID, next.Name).Scan(&one)
			if err == nil {
				return "", kuva.E(kuva.CodeConflict, "identity.project_exists", "name", next.Name)
			} else if !errors.Is(err, sql.ErrNoRows) {
				return "", err
			}
		}
		_, err = tx.Exec(ctx, `UPDATE project SET name = $1, description = $2, enabled = $3 WHERE id = $4`,
			next.Name, next.Description, next.Enabled, id)
		return id, err
	})
	if err != nil {
		return nil, err
	}
	return s.Project(ctx, p, id)
}

// DeleteProject removes a project with its role assignments and tokens. What
// the project owned elsewhere stays, and is found by its id.
func (s *Service) DeleteProject(ctx context.Context, p kuva.Principal, id string) error {
	return s.change(ctx, p, "project.delete", func(tx *catalog.Tx) (string, error) {
		for _, q := range []string{
			`DELETE FROM token WHERE project = $1`, `DELETE FROM assignment WHERE project = $1`,
			`UPDATE account SET default_project = '' WHERE default_project = $1`,
		} {
			if id == "" { // is what unscoped tokens have
				break
			}
			if _, err := tx.Exec(ctx, q, id); err != nil {
				return "", err
			}
		}
		n, err := tx.Exec(ctx, `DELETE FROM project WHERE id = $1`, id)
		if err == nil && n == 0 {
			err = notFound("project", id)
		}
		return id, err
	})
}

func (s *Service) listProjects(ctx context.Context, where string, args ...any) (out []Project, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readProjects(ctx, tx, where, args...)
		return err
	})
	return out, err
}

// readProjects runs the one query that reads projects, at most 10,000.
func readProjects(ctx context.Context, tx *catalog.Tx, where string, args ...any) ([]Project, error) {
	rows, err := tx.Query(ctx, `SELECT p.id, p.domain, d.name, d.enabled, p.name, p.description, p.enabled, p.created_at
		FROM project p JOIN domain d ON d.id = p.domain WHERE `+where+` ORDER BY p.name, p.id LIMIT 10000`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Project
	for rows.Next() {
		var p Project
		var created int64
		if err := rows.Scan(&p.ID, &p.DomainID, &p.DomainName, &p.domainEnabled, &p.Name, &p.Description, &p.Enabled, &created); err != nil {
			return nil, err
		}
		p.CreatedAt = fromMicros(created)
		out = append(out, p)
	}
	return out, rows.Err()
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

func orElse(err error, missing *kuva.Error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return missing
	}
	return err
}
