package identity

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"kuva/internal/catalog"
)

// Ref names a user or a project: by id, or by name and domain.
type Ref struct {
	ID         string
	Name       string
	DomainID   string
	DomainName string
}

// Scope says which project a token is for.
type Scope struct {
	Project  Ref  // used if it names one
	Unscoped bool // no project, not even the user's default project
}

// LogIn is a password log-in.
type LogIn struct {
	User     Ref
	Password Secret
	Scope    Scope
	Address  string // of the caller, for the throttle
}

// Token is what a token says. Secret is set only where it was just made.
type Token struct {
	Secret    Secret
	AuditIDs  []string // own, then that of the token it was made from
	Methods   []string // password, token
	User      User
	Project   *Project // nil for an unscoped token
	Roles     []Role   // with those that they imply
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// LogInPassword checks a password and makes a token. A wrong password, an
// unknown or disabled user, and a project that the user has no role in are
// all the same CodeUnauthenticated; too many failures are CodeThrottled.
func (s *Service) LogInPassword(ctx context.Context, in LogIn) (*Token, error) {
	user, stored, err := s.verify(ctx, in.User, in.Password, in.Address)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	return s.issue(ctx, grant{
		user: user.ID, stored: stored, scope: in.Scope, methods: []string{"password"},
		issued: now, expires: now.Add(s.cfg.TokenTTL),
	})
}

// LogInToken makes a token for another scope from a valid one. The new one
// lives no longer than the old.
func (s *Service) LogInToken(ctx context.Context, token string, scope Scope) (*Token, error) {
	old, err := s.Describe(ctx, token)
	if err != nil {
		return nil, err
	}
	methods := []string{"token"}
	for _, m := range old.Methods {
		if !slices.Contains(methods, m) {
			methods = append(methods, m)
		}
	}
	d, _ := digestOf(token)
	g := grant{
		user: old.User.ID, scope: scope, methods: methods, parent: old.AuditIDs[0],
		issued: s.cfg.Now(), expires: old.ExpiresAt, from: row(d),
	}
	if k := s.cache.get(d); k != nil { // what is left by the monotonic clock may be less
		g.expires = earlier(g.expires, g.issued.Add(k.dies-s.cfg.Mono()))
	}
	return s.issue(ctx, g)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// verify finds the user of a password, in the same time and with the same
// answer whether there is one or not. stored is the hash that it has now.
func (s *Service) verify(ctx context.Context, ref Ref, password Secret, address string) (user *User, stored string, err error) {
	if len(password) > MaxPassword || len(ref.Name) > MaxName || len(ref.ID) > MaxName || len(ref.DomainID) > MaxName || len(ref.DomainName) > MaxName {
		return nil, "", unauthenticated()
	}
	var key string
	err = s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		user, stored, key, err = findAccount(ctx, tx, ref)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	done, err := s.throttle.begin(ctx, key, address)
	if err != nil {
		return nil, "", err
	}
	ok, stale, err := s.hasher.matches(ctx, stored, password.Reveal())
	if err != nil {
		done(outcomeNone)
		return nil, "", err
	}
	if !ok || !user.Enabled || !user.domainEnabled {
		done(outcomeWrong)
		id := "" // not the name that was sent: people type passwords there
		if user != nil {
			id = user.ID
		}
		s.cfg.Log.Info("log-in refused", "user", id, "address", address)
		return nil, "", unauthenticated()
	}
	done(outcomeRight)
	if stale {
		stored = s.renewHash(ctx, user.ID, stored, password)
	}
	return user, stored, nil
}

// renewHash stores a password anew with today's costs and returns the hash
// that is in force. The log-in does not depend on it.
func (s *Service) renewHash(ctx context.Context, user, old string, password Secret) string {
	hash, err := s.hasher.hash(ctx, password.Reveal())
	var n int64
	if err == nil {
		err = s.db.Update(ctx, func(tx *catalog.Tx) (err error) {
			n, err = tx.Exec(ctx, `UPDATE account SET password = $1 WHERE id = $2 AND password = $3`, hash, user, old)
			return err
		})
	}
	switch {
	case err != nil:
		s.cfg.Log.Warn("renewal of a password hash", "user", user, "error", err)
		return old
	case n == 0: // changed meanwhile; the log-in will notice
		return old
	}
	return hash
}

// findAccount returns the user that ref names, or nil, and the key of its
// throttle: one for each account, however it was named, existing or not.
func findAccount(ctx context.Context, tx *catalog.Tx, ref Ref) (user *User, stored, key string, err error) {
	where, args := `a.id = $1`, []any{ref.ID}
	key = "id " + ref.ID
	if ref.ID == "" {
		domain, err := findDomain(ctx, tx, ref.DomainID, ref.DomainName)
		if err != nil {
			return nil, "", "", err
		}
		where, args = `a.domain = $1 AND a.name = $2`, []any{domain, ref.Name}
		key = "name " + domain + " " + ref.Name
	}
	users, hashes, err := readUsers(ctx, tx, where, args...)
	if err != nil || len(users) == 0 {
		return nil, "", key, err
	}
	return &users[0], hashes[0], "id " + users[0].ID, nil
}

// findDomain returns the id of a domain, "" for one that does not exist. A
// reference without a domain means the default one.
func findDomain(ctx context.Context, tx *catalog.Tx, id, name string) (string, error) {
	if id == "" && name == "" {
		return DefaultDomainID, nil
	}
	where, arg := `id = $1`, id
	if id == "" {
		where, arg = `name = $1`, name
	}
	var found string
	err := tx.QueryRow(ctx, `SELECT id FROM domain WHERE `+where, arg).Scan(&found)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return found, err
}

// grant is a token about to be made.
type grant struct {
	user            string
	stored          string // the password hash that was compared, which must still be in force
	scope           Scope
	methods         []string
	parent          string
	from            string // row of the token that it is made from, which must still be there
	issued, expires time.Time
}

// issue writes the token's row, in the transaction that finds user, project
// and roles, so that none of them can be disabled in between.
func (s *Service) issue(ctx context.Context, g grant) (*Token, error) {
	secret, auditID := newToken(), auditID()
	d, _ := digestOf(secret)
	var out *Token
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		out = &Token{Secret: Secret(secret), AuditIDs: []string{auditID}, Methods: g.methods, IssuedAt: g.issued.UTC(), ExpiresAt: g.expires.UTC()}
		if g.parent != "" {
			out.AuditIDs = append(out.AuditIDs, g.parent)
		}
		// The row's lock orders this against a change of the password, which
		// takes back the tokens that are there.
		stored, err := lockAccount(ctx, tx, g.user)
		if err != nil {
			return err
		}
		if g.from == "" && stored != g.stored {
			return unauthenticated()
		}
		if g.from != "" {
			var one int
			err := tx.QueryRow(ctx, `SELECT 1 FROM token WHERE hash = $1`, g.from).Scan(&one)
			if errors.Is(err, sql.ErrNoRows) {
				return unauthenticated()
			} else if err != nil {
				return err
			}
		}
		if err := fillToken(ctx, tx, out, g.user, g.scope); err != nil {
			return err
		}
		project := ""
		if out.Project != nil {
			project = out.Project.ID
		}
		_, err = tx.Exec(ctx, `INSERT INTO token (hash, audit_id, parent, methods, account, project, issued_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			row(d), auditID, g.parent, strings.Join(g.methods, ","), g.user, project, micros(g.issued), micros(g.expires))
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// lockAccount holds a user's row until the transaction ends and returns its
// password hash.
func lockAccount(ctx context.Context, tx *catalog.Tx, id string) (stored string, err error) {
	err = tx.QueryRow(ctx, `SELECT password FROM account WHERE id = $1`+tx.Dialect().ForUpdate(), id).Scan(&stored)
	return stored, orElse(err, unauthenticated())
}

// fillToken resolves user, scope and roles.
func fillToken(ctx context.Context, tx *catalog.Tx, t *Token, userID string, scope Scope) error {
	users, _, err := readUsers(ctx, tx, `a.id = $1`, userID)
	if err != nil {
		return err
	}
	if len(users) == 0 || !users[0].Enabled || !users[0].domainEnabled {
		return unauthenticated()
	}
	t.User = users[0]
	if scope.Unscoped {
		return nil
	}
	ref, wish := scope.Project, false
	if ref == (Ref{}) {
		if t.User.DefaultProject == "" {
			return nil
		}
		ref, wish = Ref{ID: t.User.DefaultProject}, true
	}
	project, err := findProject(ctx, tx, ref)
	if err != nil {
		return err
	}
	var roles []Role
	if project != nil && project.Enabled && project.domainEnabled {
		if roles, err = rolesOn(ctx, tx, userID, project.ID); err != nil {
			return err
		}
	}
	switch {
	case len(roles) > 0:
		t.Project, t.Roles = project, roles
		return nil
	case wish: // the default project is a wish: without a role there, the token has no scope
		return nil
	}
	return unauthenticated()
}

// findProject returns the project that ref names, or nil.
func findProject(ctx context.Context, tx *catalog.Tx, ref Ref) (*Project, error) {
	where, args := `p.id = $1`, []any{ref.ID}
	if ref.ID == "" {
		domain, err := findDomain(ctx, tx, ref.DomainID, ref.DomainName)
		if err != nil {
			return nil, err
		}
		where, args = `p.domain = $1 AND p.name = $2`, []any{domain, ref.Name}
	}
	projects, err := readProjects(ctx, tx, where, args...)
	if err != nil || len(projects) == 0 {
		return nil, err
	}
	return &projects[0], nil
}
