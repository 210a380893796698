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
	return s.describe(ctx, token)
}

// describe says all about a token whatever the time.
func (s *Service) describe(ctx context.Context, token string) (*Token, error) {
	d, ok := digestOf(token)
	if !ok {
		return nil, unauthenticated()
	}
	var out *Token
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		out = &Token{}
		var audit, parent, methods, user, kind, id, credential string
		var issued, expires int64
		err := tx.QueryRow(ctx, `SELECT audit_id, parent, methods, account, scope_kind, scope, credential, issued_at, expires_at FROM token WHERE hash = $1`,
			row(d)).Scan(&audit, &parent, &methods, &user, &kind, &id, &credential, &issued, &expires)
		if err != nil {
			return orElse(err, unauthenticated())
		}
		out.AuditIDs, out.Methods = []string{audit}, strings.Split(methods, ",")
		if parent != "" {
			out.AuditIDs = append(out.AuditIDs, parent)
		}
		out.IssuedAt, out.ExpiresAt = fromMicros(issued), fromMicros(expires)
		scope := Scope{Unscoped: true}
		switch kind {
		case scopeProject:
			scope = Scope{Project: Ref{ID: id}}
		case scopeDomain:
			scope = Scope{Domain: Ref{ID: id}}
		case scopeSystem:
			scope = Scope{System: true}
		}
		return fillToken(ctx, tx, out, user, scope, credential)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// DescribeFor says all about the token subject to a caller who may know: its
// own user, services, administrators. To others a foreign token is like one
// that does not exist. expired asks also for tokens that expired within the
// last 48 hours, as services do that finish what a token began.
func (s *Service) DescribeFor(ctx context.Context, p kuva.Principal, subject string, expired bool) (*Token, error) {
	return s.describeFor(ctx, subject, expired, func(owner string) bool { return mayJudgeToken(p, owner) })
}

func (s *Service) describeFor(ctx context.Context, subject string, expired bool, may func(owner string) bool) (*Token, error) {
	t, err := s.Describe(ctx, subject)
	if expired && kuva.CodeOf(err) == kuva.CodeUnauthenticated {
		if t, err = s.describe(ctx, subject); err == nil {
			age := s.cfg.Now().Sub(t.ExpiresAt)
			if age < 0 || age >= keepExpired {
				err = unauthenticated()
			}
		}
	}
	if kuva.CodeOf(err) == kuva.CodeUnauthenticated || err == nil && !may(t.User.ID) {
		return nil, kuva.E(kuva.CodeNotFound, "identity.token_not_found")
	}
	return t, err
}

// Revoke takes a token back: the caller's own user's, or any for an
// administrator. It counts at once in this process and within 5 s elsewhere.
func (s *Service) Revoke(ctx context.Context, p kuva.Principal, subject string) error {
	t, err := s.describeFor(ctx, subject, false, func(owner string) bool { return mayRevokeToken(p, owner) })
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
