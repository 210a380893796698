package identity

import (
	"context"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// Domain is a space of names of users and projects. There is one, Default,
// unless a backup brought others.
type Domain struct {
	ID          string
	Name        string
	Description string
	Enabled     bool
	CreatedAt   time.Time
}

// Domain returns a domain to administrators and to its own users.
func (s *Service) Domain(ctx context.Context, p kuva.Principal, id string) (*Domain, error) {
	if !p.Admin && p.DomainID != id {
		return nil, notFound("domain", id)
	}
	var out *Domain
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readDomain(ctx, tx, id)
		return err
	})
	return out, err
}

// Domains lists the domains with a name, or all for "". Only administrators
// may.
func (s *Service) Domains(ctx context.Context, p kuva.Principal, name string) ([]Domain, error) {
	if !p.Admin {
		return nil, forbidden("domain.list")
	}
	var out []Domain
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readDomains(ctx, tx, `$1 = '' OR name = $1`, name)
		return err
	})
	return out, err
}

func readDomain(ctx context.Context, tx *catalog.Tx, id string) (*Domain, error) {
	found, err := readDomains(ctx, tx, `id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("domain", id)
	}
	return &found[0], nil
}

func readDomains(ctx context.Context, tx *catalog.Tx, where string, args ...any) ([]Domain, error) {
	rows, err := tx.Query(ctx, `SELECT id, name, description, enabled, created_at FROM domain WHERE `+where+` ORDER BY name LIMIT 10000`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Domain
	for rows.Next() {
		var d Domain
		var created int64
		if err := rows.Scan(&d.ID, &d.Name, &d.Description, &d.Enabled, &created); err != nil {
			return nil, err
		}
		d.CreatedAt = fromMicros(created)
		out = append(out, d)
	}
	return out, rows.Err()
}
