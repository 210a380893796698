package identity

import (
	"context"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// ChangePassword sets a user's own password. It needs the old one and no
// token, as in Keystone, and is throttled like a log-in. All tokens of the
// user are taken back.
func (s *Service) ChangePassword(ctx context.Context, user string, old, password Secret, p kuva.Principal) error {
	if user == "" {
		return unauthenticated()
	}
	found, stored, err := s.verify(ctx, Ref{ID: user}, old, p.Address)
	if err != nil {
		return err
	}
	if err := mayChangePassword(found); err != nil {
		return err
	}
	hash, err := s.newHash(ctx, password)
	if err != nil {
		return err
	}
	p.UserID = found.ID
	defer s.changes.Add(1)
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		now, err := lockAccount(ctx, tx, found.ID)
		if err != nil {
			return err
		}
		if now != stored {
			return unauthenticated()
		}
		if err := s.setPassword(ctx, tx, found.ID, hash); err != nil {
			return err
		}
		_, err = audit.Write(ctx, tx, audit.By(p, s.cfg.Now(), "user.password", found.ID))
		return err
	})
}

// newHash checks a new password and hashes it.
func (s *Service) newHash(ctx context.Context, password Secret) (string, error) {
	if len(password) < s.cfg.MinPassword || len(password) > MaxPassword {
		return "", kuva.E(kuva.CodeInvalid, "identity.bad_password", "least", s.cfg.MinPassword, "most", MaxPassword)
	}
	return s.hasher.hash(ctx, password.Reveal())
}

func (s *Service) setPassword(ctx context.Context, tx *catalog.Tx, user, hash string) error {
	n, err := tx.Exec(ctx, `UPDATE account SET password = $1, password_at = $2 WHERE id = $3`, hash, micros(s.cfg.Now()), user)
	if err != nil {
		return err
	}
	if n == 0 {
		return notFound("user", user)
	}
	return execAll(ctx, tx, user, `DELETE FROM token WHERE account = $1`, `DELETE FROM portal_session WHERE account = $1`)
}
