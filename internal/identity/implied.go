package identity

import (
	"context"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// Inference says that whoever has one role has another, too.
type Inference struct{ Prior, Implied Role }

// Inferences lists who has a role implied, all for prior "". Only
// administrators may.
func (s *Service) Inferences(ctx context.Context, p kuva.Principal, prior string) ([]Inference, error) {
	if err := mayAdminister(p, "list_implied_roles"); err != nil {
		return nil, err
	}
	var out []Inference
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		out = nil
		if prior != "" {
			if _, err := readRole(ctx, tx, prior); err != nil {
				return err
			}
		}
		return each(ctx, tx, `SELECT a.id, a.name, b.id, b.name FROM role_implied i JOIN role a ON a.id = i.prior JOIN role b ON b.id = i.implied
			WHERE $1 = '' OR i.prior = $1 ORDER BY a.name, b.name`, []any{prior}, func(scan func(...any) error) error {
			var x Inference
			err := scan(&x.Prior.ID, &x.Prior.Name, &x.Implied.ID, &x.Implied.Name)
			out = append(out, x)
			return err
		})
	})
	return out, err
}

// Inference returns one of them.
func (s *Service) Inference(ctx context.Context, p kuva.Principal, prior, implied string) (*Inference, error) {
	found, err := s.Inferences(ctx, p, prior)
	if err != nil {
		return nil, err
	}
	for _, x := range found {
		if x.Implied.ID == implied {
			return &x, nil
		}
	}
	return nil, notFound("implied_role", implied)
}

// Imply lets one role imply another. The role admin may be implied by none,
// as in Keystone, and a role not by one that it implies itself.
func (s *Service) Imply(ctx context.Context, p kuva.Principal, prior, implied string) (*Inference, error) {
	if err := mayAdminister(p, "create_implied_role"); err != nil {
		return nil, err
	}
	err := s.changeWith(ctx, p, func(tx *catalog.Tx) (audit.Entry, error) {
		entry := audit.By(p, s.cfg.Now(), "role.imply", prior)
		entry.Detail = map[string]string{"implied": implied}
		for _, id := range []string{prior, implied} {
			if _, err := readRole(ctx, tx, id); err != nil {
				return entry, err
			}
		}
		circle, err := exists(ctx, tx, `WITH RECURSIVE down(role) AS (SELECT CAST($1 AS TEXT)
			UNION SELECT i.implied FROM role_implied i JOIN down ON down.role = i.prior) SELECT 1 FROM down WHERE role = $2`, implied, prior)
		if err != nil {
			return entry, err
		}
		if circle || implied == RoleID(RoleAdmin) {
			return entry, kuva.E(kuva.CodeForbidden, "identity.bad_implication")
		}
		_, err = tx.Exec(ctx, `INSERT INTO role_implied (prior, implied) VALUES ($1, $2) ON CONFLICT DO NOTHING`, prior, implied)
		return entry, err
	})
	if err != nil {
		return nil, err
	}
	return s.Inference(ctx, p, prior, implied)
}

// Unimply takes an implication away.
func (s *Service) Unimply(ctx context.Context, p kuva.Principal, prior, implied string) error {
	if err := mayAdminister(p, "delete_implied_role"); err != nil {
		return err
	}
	return s.changeWith(ctx, p, func(tx *catalog.Tx) (audit.Entry, error) {
		entry := audit.By(p, s.cfg.Now(), "role.unimply", prior)
		entry.Detail = map[string]string{"implied": implied}
		n, err := tx.Exec(ctx, `DELETE FROM role_implied WHERE prior = $1 AND implied = $2`, prior, implied)
		if err == nil && n == 0 {
			err = notFound("implied_role", implied)
		}
		return entry, err
	})
}
