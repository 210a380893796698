package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// TokenPrefix begins every token, so that scanners for leaked secrets find it.
const TokenPrefix = "kv_"

const tokenLen = len(TokenPrefix) + 43 // 256 bits, base64url without padding

// skew is how far a token's issue may lie in the future of this node's clock.
const skew = 5 * time.Minute

func newToken() string {
	return TokenPrefix + base64.RawURLEncoding.EncodeToString(randomBytes(32))
}

// digestOf hashes a token; ok is false for what cannot be one, which costs no
// look-up.
func digestOf(token string) (d digest, ok bool) {
	if len(token) != tokenLen || !strings.HasPrefix(token, TokenPrefix) {
		return d, false
	}
	for _, c := range []byte(token[len(TokenPrefix):]) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return d, false
		}
	}
	return sha256.Sum256([]byte(token)), true
}

// row is the form in which a digest stands in the database.
func row(d digest) string { return base64.RawStdEncoding.EncodeToString(d[:]) }

// Check returns the principal of a valid token. Mostly it costs a hash and a
// look into memory; see the package comment for how fresh the answer is. The
// Roles of the principal are shared: do not change them. Whatever is wrong
// with the token, the error is the same CodeUnauthenticated.
func (s *Service) Check(ctx context.Context, token string) (kuva.Principal, error) {
	k, err := s.check(ctx, token)
	if err != nil {
		return kuva.Principal{}, err
	}
	return k.principal, nil
}

func (s *Service) check(ctx context.Context, token string) (*known, error) {
	d, ok := digestOf(token)
	if !ok {
		return nil, unauthenticated()
	}
	k := s.cache.get(d)
	if k == nil || s.cfg.Mono() >= k.fresh || k.changes != s.changes.Load() {
		var err error
		if k, err = s.load(ctx, d); err != nil {
			return nil, err
		}
	}
	now := micros(s.cfg.Now())
	if now >= k.expires || now < k.issued-skew.Microseconds() || s.cfg.Mono() >= k.dies {
		return nil, unauthenticated()
	}
	return k, nil
}

// load asks the database about a token, once for all who wait for the same.
// Those who come after a revocation never join a load that began before it.
func (s *Service) load(ctx context.Context, d digest) (*known, error) {
	changes, dropped := s.changes.Load(), s.cache.dropped.Load()
	key := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(d[:], changes), dropped)
	result := s.loads.DoChan(string(key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		began := s.cfg.Mono()
		k, err := s.read(ctx, d)
		if err != nil {
			return nil, err
		}
		left := min(k.expires-micros(s.cfg.Now()), k.expires-k.issued)
		k.dies = began + time.Duration(left)*time.Microsecond
		k.fresh, k.changes = began+trust, changes
		s.cache.put(d, k, dropped, began)
		return k, nil
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*known), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read finds a token whose user, scope and domains are all enabled and, if it
// is scoped, whose user still has a role there. It does not look at times.
func (s *Service) read(ctx context.Context, d digest) (*known, error) {
	var k *known
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		k = &known{}
		p := &k.principal
		var kind, scope string
		err := tx.QueryRow(ctx, `SELECT t.issued_at, t.expires_at, t.scope_kind, t.scope, t.credential, a.id, a.name, a.domain
			FROM token t
			JOIN account a ON a.id = t.account AND a.enabled
			JOIN domain da ON da.id = a.domain AND da.enabled
			WHERE t.hash = $1`, row(d)).Scan(&k.issued, &k.expires, &kind, &scope, &p.Credential, &p.UserID, &p.UserName, &p.DomainID)
		if errors.Is(err, sql.ErrNoRows) {
			return unauthenticated()
		}
		if err != nil || kind == "" {
			return err
		}
		return s.empower(ctx, tx, p, kind, scope)
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}

// empower gives p, whose user and application credential are set, the scope
// and the roles that it has there now. CodeUnauthenticated where that is none.
func (s *Service) empower(ctx context.Context, tx *catalog.Tx, p *kuva.Principal, kind, scope string) error {
	roles, err := rolesOn(ctx, tx, p.UserID, kind, scope)
	if err != nil {
		return err
	}
	if p.Credential != "" {
		c, err := readApplicationCredential(ctx, tx, p.UserID, p.Credential)
		if kuva.CodeOf(err) == kuva.CodeNotFound {
			return unauthenticated()
		} else if err != nil {
			return err
		}
		roles, p.Restricted = c.limit(roles), !c.Unrestricted
		for _, rule := range c.Rules {
			p.Access = append(p.Access, rule.AccessRule)
		}
	}
	if len(roles) == 0 {
		return unauthenticated()
	}
	for _, r := range roles {
		p.Roles = append(p.Roles, r.Name)
	}
	p.Roles = slices.Clip(p.Roles) // shared by all who use the token
	switch kind {
	case scopeProject:
		p.ProjectID = scope
	case scopeDomain:
		p.DomainScope = scope
	}
	p.Admin = kind != scopeDomain && p.HasRole(RoleAdmin)
	return nil
}

// Revoked returns CodeUnauthenticated for a token that was taken back, by
// itself or with its user, project or role, and nil for one that is valid or
// merely expired. It always asks the database: long uploads call it now and
// then, and before they commit.
func (s *Service) Revoked(ctx context.Context, token string) error {
	d, ok := digestOf(token)
	if !ok {
		return unauthenticated()
	}
	_, err := s.read(ctx, d)
	return err
}

// keepExpired is how long the row of an expired token stays, for Revoked.
const keepExpired = 48 * time.Hour

// Purge forgets tokens that expired long ago, and sessions that ended.
func (s *Service) Purge(ctx context.Context) error {
	now := s.cfg.Now()
	before := micros(now.Add(-keepExpired))
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := purgeSessions(ctx, tx, now, s.cfg.SessionIdle); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM token WHERE expires_at < $1`, before)
		return err
	})
}
