package identity

import (
	"context"
	"database/sql"
	"errors"

	"kuva"
	"kuva/internal/catalog"
)

// Again says what a principal of a project would be allowed now, without a
// token: its roles as they are today, those of its application credential
// where it had one. CodeUnauthenticated where user, project, domain or
// credential are gone, disabled or expired, or the user has no role there any
// more. RequestID and Address stay empty.
func (s *Service) Again(ctx context.Context, was kuva.Principal) (kuva.Principal, error) {
	p := kuva.Principal{UserID: was.UserID, Credential: was.Credential}
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		p = kuva.Principal{UserID: was.UserID, Credential: was.Credential}
		err := tx.QueryRow(ctx, `SELECT a.name, a.domain FROM account a JOIN domain da ON da.id = a.domain AND da.enabled
			WHERE a.id = $1 AND a.enabled`, was.UserID).Scan(&p.UserName, &p.DomainID)
		if errors.Is(err, sql.ErrNoRows) {
			return unauthenticated()
		}
		if err != nil {
			return err
		}
		if err := s.empower(ctx, tx, &p, scopeProject, was.ProjectID); err != nil {
			return err
		}
		if p.Credential == "" {
			return nil
		}
		c, err := readApplicationCredential(ctx, tx, p.UserID, p.Credential)
		if err == nil && !c.ExpiresAt.IsZero() && !s.cfg.Now().Before(c.ExpiresAt) {
			err = unauthenticated()
		}
		return err
	})
	if err != nil {
		return kuva.Principal{}, err
	}
	return p, nil
}
