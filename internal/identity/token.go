package identity

import (
	"context"
	"encoding/base64"
	"strings"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// auditID names a token in logs and other tokens without opening anything.
func auditID() string { return base64.RawURLEncoding.EncodeToString(randomBytes(16)) }

// Describe says all about a valid token.
func (s *Service) Describe(ctx context.Context, token string) (*Token, error) {
	if _, err := s.check(ctx, token); err != nil {
		return nil, err
	}
	d, _ := digestOf(token)
	var out *Token
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		out = &Token{}
		var audit, parent, methods, user, project string
		var issued, expires int64
		err := tx.QueryRow(ctx, `SELECT audit_id, parent, methods, account, project, issued_at, expires_at FROM token WHERE hash = $1`,
			row(d)).Scan(&audit, &parent, &methods, &user, &project, &issued, &expires)
		if err != nil {
			return orElse(err, unauthenticated())
		}
		out.AuditIDs, out.Methods = []string{audit}, strings.Split(methods, ",")
		if parent != "" {
			out.AuditIDs = append(out.AuditIDs, parent)
		}
		out.IssuedAt, out.ExpiresAt = fromMicros(issued), fromMicros(expires)
		return fillToken(ctx, tx, out, user, Scope{Project: Ref{ID: project}, Unscoped: project == ""})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DescribeFor says all about the token subject to a caller: to its own user
// and to administrators. To others a foreign token is like one that does not
// exist.
func (s *Service) DescribeFor(ctx context.Context, p kuva.Principal, subject string) (*Token, error) {
	t, err := s.Describe(ctx, subject)
	if kuva.CodeOf(err) == kuva.CodeUnauthenticated || err == nil && !p.Admin && t.User.ID != p.UserID {
		return nil, kuva.E(kuva.CodeNotFound, "identity.token_not_found")
	}
	return t, err
}

// Revoke takes a token back: the caller's own user's, or any for an
// administrator. It counts at once in this process and within 5 s elsewhere.
func (s *Service) Revoke(ctx context.Context, p kuva.Principal, subject string) error {
	t, err := s.DescribeFor(ctx, p, subject)
	if err != nil {
		return err
	}
	d, _ := digestOf(subject)
	defer s.cache.drop(d)
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM token WHERE hash = $1`, row(d)); err != nil {
			return err
		}
		e := audit.By(p, s.cfg.Now(), "token.revoke", t.User.ID)
		e.Detail = map[string]string{"audit_id": t.AuditIDs[0]}
		_, err := audit.Write(ctx, tx, e)
		return err
	})
}
