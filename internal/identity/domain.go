package identity

import (
	"context"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// Domain is a space of names of users, groups and projects.
type Domain struct {
	ID          string
	Name        string
	Description string
	Enabled     bool
	Immutable   bool // refuses changes until this is taken off
	CreatedAt   time.Time
}

// DomainChange is what an update sets; nil leaves a field as it is.
type DomainChange struct {
	Name        *string
	Description *string
	Enabled     *bool
	Immutable   *bool
}

// DomainFilter narrows a list; "" and nil take all.
type DomainFilter struct {
	Page
	Name    string
	Enabled *bool
}

// CreateDomain makes a domain.
func (s *Service) CreateDomain(ctx context.Context, p kuva.Principal, in Domain) (*Domain, error) {
	if err := mayAdminister(p, "create_domain"); err != nil {
		return nil, err
	}
	if err := checkNames(in.Name, in.Description); err != nil {
		return nil, err
	}
	in.ID, in.CreatedAt = newID(), s.cfg.Now()
	err := s.change(ctx, p, "domain.create", func(tx *catalog.Tx) (string, error) {
		n, err := tx.Exec(ctx, `INSERT INTO domain (id, name, description, enabled, immutable, created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
			in.ID, in.Name, in.Description, in.Enabled, in.Immutable, micros(in.CreatedAt))
		if err == nil && n == 0 {
			err = kuva.E(kuva.CodeConflict, "identity.domain_exists", "name", in.Name)
		}
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	return s.Domain(ctx, p, in.ID)
}

// Domain returns a domain to those who may see it.
func (s *Service) Domain(ctx context.Context, p kuva.Principal, id string) (*Domain, error) {
	if !maySeeDomain(p, id) {
		return nil, notFound("domain", id)
	}
	var out *Domain
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readDomain(ctx, tx, id)
		return err
	})
	return out, err
}

// Domains lists domains. Only administrators may.
func (s *Service) Domains(ctx context.Context, p kuva.Principal, f DomainFilter) ([]Domain, error) {
	if err := mayAdminister(p, "list_domains"); err != nil {
		return nil, err
	}
	var out []Domain
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		var w where
		w.is("d.name", f.Name)
		w.on("d.enabled", f.Enabled)
		if err := w.page(ctx, tx, f.Page, "domain", "d"); err != nil {
			return err
		}
		out, err = readDomains(ctx, tx, f.limit(), w.String(), w.args...)
		return err
	})
	return out, err
}

// DomainsOf lists the enabled domains that the caller has a role on: those
// that it can have a token for.
func (s *Service) DomainsOf(ctx context.Context, p kuva.Principal) ([]Domain, error) {
	var out []Domain
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readDomains(ctx, tx, MaxList, `d.enabled AND d.id IN (`+scopesOf+`)`, p.UserID, scopeDomain)
		return err
	})
	return out, err
}

// UpdateDomain changes a domain. While it is disabled, its users and projects
// are, too.
func (s *Service) UpdateDomain(ctx context.Context, p kuva.Principal, id string, c DomainChange) (*Domain, error) {
	if err := mayAdminister(p, "update_domain"); err != nil {
		return nil, err
	}
	err := s.change(ctx, p, "domain.update", func(tx *catalog.Tx) (string, error) {
		old, err := readDomain(ctx, tx, id)
		if err != nil {
			return "", err
		}
		if err := locked("domain", old.Immutable, c.Immutable, c.Name == nil && c.Description == nil && c.Enabled == nil); err != nil {
			return "", err
		}
		next := *old
		set(&next.Name, c.Name)
		set(&next.Description, c.Description)
		set(&next.Enabled, c.Enabled)
		set(&next.Immutable, c.Immutable)
		if err := checkNames(next.Name, next.Description); err != nil {
			return "", err
		}
		if next.Name != old.Name {
			if taken, err := exists(ctx, tx, `SELECT 1 FROM domain WHERE name = $1`, next.Name); err != nil {
				return "", err
			} else if taken {
				return "", kuva.E(kuva.CodeConflict, "identity.domain_exists", "name", next.Name)
			}
		}
		_, err = tx.Exec(ctx, `UPDATE domain SET name = $1, description = $2, enabled = $3, immutable = $4 WHERE id = $5`,
			next.Name, next.Description, next.Enabled, next.Immutable, id)
		return id, err
	})
	if err != nil {
		return nil, err
	}
	return s.Domain(ctx, p, id)
}

// DeleteDomain removes a disabled domain with all that is in it: users,
// groups, projects, their assignments and tokens.
func (s *Service) DeleteDomain(ctx context.Context, p kuva.Principal, id string) error {
	if err := mayAdminister(p, "delete_domain"); err != nil {
		return err
	}
	return s.change(ctx, p, "domain.delete", func(tx *catalog.Tx) (string, error) {
		old, err := readDomain(ctx, tx, id)
		if err != nil {
			return "", err
		}
		if old.Enabled {
			return "", kuva.E(kuva.CodeForbidden, "identity.domain_enabled")
		}
		if err := locked("domain", old.Immutable, nil, false); err != nil {
			return "", err
		}
		const users, teams, projects = `(SELECT id FROM account WHERE domain = $1)`, `(SELECT id FROM team WHERE domain = $1)`, `(SELECT id FROM project WHERE domain = $1)`
		const made = `(SELECT id FROM application_credential WHERE account IN ` + users + ` OR project IN ` + projects + `)`
		return id, execAll(ctx, tx, id,
			`DELETE FROM token WHERE account IN `+users+` OR scope = $1 OR scope IN `+projects+` OR credential IN `+made,
			`DELETE FROM portal_session WHERE account IN `+users,
			`DELETE FROM application_credential_rule WHERE credential IN `+made,
			`DELETE FROM application_credential WHERE account IN `+users+` OR project IN `+projects,
			`DELETE FROM access_rule WHERE account IN `+users,
			`DELETE FROM credential WHERE account IN `+users,
			`DELETE FROM assignment WHERE actor IN `+users+` OR actor IN `+teams+` OR scope = $1 OR scope IN `+projects,
			`DELETE FROM team_member WHERE account IN `+users+` OR team IN `+teams,
			`DELETE FROM team WHERE domain = $1`,
			`UPDATE account SET default_project = '' WHERE default_project IN `+projects,
			`DELETE FROM account WHERE domain = $1`,
			`DELETE FROM project_tag WHERE project IN `+projects,
			`DELETE FROM project WHERE domain = $1`,
			`DELETE FROM domain WHERE id = $1`)
	})
}

// locked refuses changes of an immutable thing. Taking the mark off, and
// nothing else, is allowed.
func locked(kind string, immutable bool, to *bool, nothingElse bool) error {
	if immutable && !(to != nil && !*to && nothingElse) {
		return kuva.E(kuva.CodeForbidden, "identity.immutable", "kind", kind)
	}
	return nil
}

func readDomain(ctx context.Context, tx *catalog.Tx, id string) (*Domain, error) {
	found, err := readDomains(ctx, tx, 1, `d.id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("domain", id)
	}
	return &found[0], nil
}

func readDomains(ctx context.Context, tx *catalog.Tx, limit int, where string, args ...any) (out []Domain, err error) {
	err = each(ctx, tx, `SELECT d.id, d.name, d.description, d.enabled, d.immutable, d.created_at FROM domain d WHERE `+where+
		` ORDER BY d.name, d.id LIMIT `+number(limit), args, func(scan func(...any) error) error {
		var d Domain
		var created int64
		err := scan(&d.ID, &d.Name, &d.Description, &d.Enabled, &d.Immutable, &created)
		d.CreatedAt = fromMicros(created)
		out = append(out, d)
		return err
	})
	return out, err
}

// OnSystem says whether the caller has a role on the system: whether it can
// have a token for that.
func (s *Service) OnSystem(ctx context.Context, p kuva.Principal) (on bool, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		on, err = exists(ctx, tx, scopesOf, p.UserID, scopeSystem)
		return err
	})
	return on, err
}
