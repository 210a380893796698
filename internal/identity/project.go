package identity

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// MaxName is the longest name or id, in bytes; MaxDescription the longest
// description; MaxTags the most tags of a project.
const (
	MaxName        = 255
	MaxDescription = 4096
	MaxTags        = 80
)

// Project is a tenant.
type Project struct {
	ID          string
	DomainID    string
	DomainName  string
	Name        string
	Description string
	Enabled     bool
	Immutable   bool     // refuses changes until this is taken off
	Tags        []string // sorted
	CreatedAt   time.Time

	domainEnabled bool
}

// ProjectChange is what an update sets; nil leaves a field as it is.
type ProjectChange struct {
	Name        *string
	Description *string
	Enabled     *bool
	Immutable   *bool
	Tags        *[]string
}

// ProjectFilter narrows a list; "" and nil take all.
type ProjectFilter struct {
	Page
	DomainID string
	Name     string
	Enabled  *bool
	// Tags that a project must all have, one of which it must have, not all
	// of which it may have, none of which it may have.
	Tags, AnyTags, NotTags, NotAnyTags []string
}

// CreateProject makes a project. An empty DomainID means the default domain.
func (s *Service) CreateProject(ctx context.Context, p kuva.Principal, in Project) (*Project, error) {
	if err := mayAdminister(p, "create_project"); err != nil {
		return nil, err
	}
	if in.DomainID == "" {
		in.DomainID = DefaultDomainID
	}
	if err := checkNames(in.Name, in.Description); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	in.ID, in.CreatedAt = newID(), s.cfg.Now()
	err := s.change(ctx, p, "project.create", func(tx *catalog.Tx) (string, error) {
		if _, err := readDomain(ctx, tx, in.DomainID); err != nil {
			return "", err
		}
		n, err := tx.Exec(ctx, `INSERT INTO project (id, domain, name, description, enabled, immutable, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			in.ID, in.DomainID, in.Name, in.Description, in.Enabled, in.Immutable, micros(in.CreatedAt))
		if err == nil && n == 0 {
			err = kuva.E(kuva.CodeConflict, "identity.project_exists", "name", in.Name)
		}
		if err != nil {
			return "", err
		}
		return in.ID, setTags(ctx, tx, in.ID, in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return s.Project(ctx, p, in.ID)
}

// Project returns a project to users with a role in it and to those who may
// list projects; to others it is not there.
func (s *Service) Project(ctx context.Context, p kuva.Principal, id string) (*Project, error) {
	var out *Project
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if out, err = readProject(ctx, tx, id); err != nil {
			return err
		}
		mine, err := exists(ctx, tx, `SELECT 1 WHERE CAST($3 AS TEXT) IN (`+scopesOf+`)`, p.UserID, scopeProject, id)
		if err == nil && !maySee(p, out.DomainID, mine) {
			err = notFound("project", id)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Projects lists projects.
func (s *Service) Projects(ctx context.Context, p kuva.Principal, f ProjectFilter) ([]Project, error) {
	only, err := mayList(p, "list_projects")
	if err != nil {
		return nil, err
	}
	var w where
	w.is("p.domain", only)
	return s.listProjects(ctx, f, &w)
}

// ProjectsOf lists the enabled projects that a user has a role in, also by
// its groups: for the user itself and for administrators.
func (s *Service) ProjectsOf(ctx context.Context, p kuva.Principal, user string, f ProjectFilter) ([]Project, error) {
	if err := mayTend(p, user); err != nil {
		return nil, err
	}
	if p.UserID != user {
		if _, err := s.User(ctx, p, user); err != nil {
			return nil, err
		}
	}
	var w where
	w.args = []any{user, scopeProject}
	w.and("p.enabled AND d.enabled AND p.id IN (" + scopesOf + ")")
	return s.listProjects(ctx, f, &w)
}

func (s *Service) listProjects(ctx context.Context, f ProjectFilter, w *where) (out []Project, err error) {
	w.is("p.domain", f.DomainID)
	w.is("p.name", f.Name)
	w.on("p.enabled", f.Enabled)
	if len(f.Tags)+len(f.AnyTags)+len(f.NotTags)+len(f.NotAnyTags) > MaxTags {
		return nil, kuva.E(kuva.CodeInvalid, "identity.bad_tags", "limit", MaxName, "most", MaxTags)
	}
	w.tags(f.Tags, false, false)
	w.tags(f.AnyTags, true, false)
	w.tags(f.NotTags, false, true)
	w.tags(f.NotAnyTags, true, true)
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		w := where{parts: slices.Clone(w.parts), args: slices.Clone(w.args)} // it may run again
		if err := w.page(ctx, tx, f.Page, "project", "p"); err != nil {
			return err
		}
		var err error
		out, err = readProjects(ctx, tx, f.limit(), w.String(), w.args...)
		return err
	})
	return out, err
}

// tags adds "has all of these tags", or one of them, or not so.
func (w *where) tags(tags []string, one, not bool) {
	if len(tags) == 0 {
		return
	}
	tags = slices.Compact(slices.Sorted(slices.Values(tags)))
	need := len(tags)
	if one {
		need = 1
	}
	args := make([]any, 0, len(tags))
	cond := "(SELECT COUNT(*) FROM project_tag t WHERE t.project = p.id AND t.tag IN ("
	for i, tag := range tags {
		if i > 0 {
			cond += ", "
		}
		cond += "?"
		args = append(args, tag)
	}
	if cond += ")) >= "; not {
		cond = cond[:len(cond)-3] + "< "
	}
	w.and(cond+number(need), args...)
}

// UpdateProject changes a project. Disabling it makes its tokens invalid.
func (s *Service) UpdateProject(ctx context.Context, p kuva.Principal, id string, c ProjectChange) (*Project, error) {
	if err := mayAdminister(p, "update_project"); err != nil {
		return nil, err
	}
	err := s.change(ctx, p, "project.update", func(tx *catalog.Tx) (string, error) { return id, updateProject(ctx, tx, id, c) })
	if err != nil {
		return nil, err
	}
	return s.Project(ctx, p, id)
}

func updateProject(ctx context.Context, tx *catalog.Tx, id string, c ProjectChange) error {
	old, err := readProject(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := locked("project", old.Immutable, c.Immutable, c.Name == nil && c.Description == nil && c.Enabled == nil && c.Tags == nil); err != nil {
		return err
	}
	next := *old
	set(&next.Name, c.Name)
	set(&next.Description, c.Description)
	set(&next.Enabled, c.Enabled)
	set(&next.Immutable, c.Immutable)
	set(&next.Tags, c.Tags)
	if err := checkNames(next.Name, next.Description); err != nil {
		return err
	}
	if next.Name != old.Name {
		if taken, err := exists(ctx, tx, `SELECT 1 FROM project WHERE domain = $1 AND name = $2`, next.DomainID, next.Name); err != nil {
			return err
		} else if taken {
			return kuva.E(kuva.CodeConflict, "identity.project_exists", "name", next.Name)
		}
	}
	if c.Tags != nil {
		if err := checkTags(next.Tags); err != nil {
			return err
		}
		if err := setTags(ctx, tx, id, next.Tags); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `UPDATE project SET name = $1, description = $2, enabled = $3, immutable = $4 WHERE id = $5`,
		next.Name, next.Description, next.Enabled, next.Immutable, id)
	return err
}

// AddTag gives a project one more tag, RemoveTag takes one away.
func (s *Service) AddTag(ctx context.Context, p kuva.Principal, id, tag string) error {
	return s.changeTags(ctx, p, "create_project_tag", id, func(tags []string) ([]string, error) {
		if slices.Contains(tags, tag) {
			return tags, nil
		}
		return append(tags, tag), nil
	})
}

// RemoveTag takes a tag away.
func (s *Service) RemoveTag(ctx context.Context, p kuva.Principal, id, tag string) error {
	return s.changeTags(ctx, p, "delete_project_tag", id, func(tags []string) ([]string, error) {
		i := slices.Index(tags, tag)
		if i < 0 {
			return nil, notFound("tag", tag)
		}
		return slices.Delete(tags, i, i+1), nil
	})
}

func (s *Service) changeTags(ctx context.Context, p kuva.Principal, rule, id string, fn func([]string) ([]string, error)) error {
	if err := mayAdminister(p, rule); err != nil {
		return err
	}
	return s.change(ctx, p, "project.update", func(tx *catalog.Tx) (string, error) {
		old, err := readProject(ctx, tx, id)
		if err != nil {
			return "", err
		}
		tags, err := fn(slices.Clone(old.Tags))
		if err != nil {
			return "", err
		}
		return id, updateProject(ctx, tx, id, ProjectChange{Tags: &tags})
	})
}

// DeleteProject removes a project with its role assignments, application
// credentials and tokens. What the project owned elsewhere stays, and is found
// by its id.
func (s *Service) DeleteProject(ctx context.Context, p kuva.Principal, id string) error {
	if err := mayAdminister(p, "delete_project"); err != nil {
		return err
	}
	return s.change(ctx, p, "project.delete", func(tx *catalog.Tx) (string, error) {
		old, err := readProject(ctx, tx, id)
		if err != nil {
			return "", err
		}
		if err := locked("project", old.Immutable, nil, false); err != nil {
			return "", err
		}
		return id, execAll(ctx, tx, id,
			`DELETE FROM token WHERE scope = $1`,
			`DELETE FROM application_credential_rule WHERE credential IN (SELECT id FROM application_credential WHERE project = $1)`,
			`DELETE FROM application_credential WHERE project = $1`,
			`DELETE FROM credential WHERE project = $1`,
			`DELETE FROM assignment WHERE scope = $1`,
			`UPDATE account SET default_project = '' WHERE default_project = $1`,
			`DELETE FROM project_tag WHERE project = $1`,
			`DELETE FROM project WHERE id = $1`)
	})
}

func readProject(ctx context.Context, tx *catalog.Tx, id string) (*Project, error) {
	found, err := readProjects(ctx, tx, 1, `p.id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("project", id)
	}
	return &found[0], nil
}

// readProjects runs the one query that reads projects.
func readProjects(ctx context.Context, tx *catalog.Tx, limit int, where string, args ...any) (out []Project, err error) {
	query := `FROM project p JOIN domain d ON d.id = p.domain WHERE ` + where + ` ORDER BY p.name, p.id LIMIT ` + number(limit)
	at := map[string]int{}
	err = each(ctx, tx, `SELECT p.id, p.domain, d.name, d.enabled, p.name, p.description, p.enabled, p.immutable, p.created_at `+query, args,
		func(scan func(...any) error) error {
			var p Project
			var created int64
			err := scan(&p.ID, &p.DomainID, &p.DomainName, &p.domainEnabled, &p.Name, &p.Description, &p.Enabled, &p.Immutable, &created)
			p.CreatedAt = fromMicros(created)
			at[p.ID] = len(out)
			out = append(out, p)
			return err
		})
	if err != nil || len(out) == 0 {
		return out, err
	}
	err = each(ctx, tx, `SELECT project, tag FROM project_tag WHERE project IN (SELECT p.id `+query+`) ORDER BY project, tag`, args,
		func(scan func(...any) error) error {
			var id, tag string
			err := scan(&id, &tag)
			if i, ok := at[id]; ok {
				out[i].Tags = append(out[i].Tags, tag)
			}
			return err
		})
	return out, err
}

func setTags(ctx context.Context, tx *catalog.Tx, id string, tags []string) error {
	if _, err := tx.Exec(ctx, `DELETE FROM project_tag WHERE project = $1`, id); err != nil {
		return err
	}
	for _, tag := range tags {
		if _, err := tx.Exec(ctx, `INSERT INTO project_tag (project, tag) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, tag); err != nil {
			return err
		}
	}
	return nil
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
