package identity

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// Ref names a user, a project or a domain: by id, or by name (and, but for
// domains, its domain).
type Ref struct {
	ID         string
	Name       string
	DomainID   string
	DomainName string
}

func (r Ref) tooLong() bool {
	return max(len(r.ID), len(r.Name), len(r.DomainID), len(r.DomainName)) > MaxName
}

// Scope says what a token is for. At most one of Project, Domain, System and
// Unscoped is set; none asks for the user's default project.
type Scope struct {
	Project  Ref
	Domain   Ref
	System   bool
	Unscoped bool // nothing, not even the user's default project
}

// The methods of a log-in, as tokens name them.
const (
	MethodPassword              = "password"
	MethodToken                 = "token"
	MethodApplicationCredential = "application_credential"
)

// Proof is one method of a log-in with what proves it.
type Proof struct {
	Method string
	User   Ref    // of MethodPassword, and of an application credential that is named
	Name   string // of an application credential
	ID     string // of an application credential
	Secret Secret // password, token, or secret of an application credential
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
	Secret     Secret
	AuditIDs   []string // own, then that of the token it was made from
	Methods    []string
	User       User
	Project    *Project // at most one of these three
	Domain     *Domain
	System     bool
	Roles      []Role // with those that they imply
	Credential *ApplicationCredential
	IssuedAt   time.Time
	ExpiresAt  time.Time
}

// LogInPassword is LogIn with a password alone.
func (s *Service) LogInPassword(ctx context.Context, in LogIn) (*Token, error) {
	return s.LogIn(ctx, []Proof{{Method: MethodPassword, User: in.User, Secret: in.Password}}, in.Scope, in.Address)
}

// LogInToken is LogIn with a token alone: it makes one for another scope.
func (s *Service) LogInToken(ctx context.Context, token string, scope Scope) (*Token, error) {
	return s.LogIn(ctx, []Proof{{Method: MethodToken, Secret: Secret(token)}}, scope, "")
}

// LogIn checks one or more proofs, in their order, and makes a token. All must
// be of one user. A wrong secret, an unknown or disabled user, and a scope
// that the user has no role on are all the same CodeUnauthenticated; too many
// failures are CodeThrottled.
//
// A token made from another lives no longer than that; one made with an
// application credential is for its project alone, as are those made from it.
func (s *Service) LogIn(ctx context.Context, proofs []Proof, scope Scope, address string) (*Token, error) {
	if scope.Project.tooLong() || scope.Domain.tooLong() || len(proofs) == 0 {
		return nil, unauthenticated()
	}
	now := s.cfg.Now()
	g := grant{scope: scope, issued: now, expires: now.Add(s.cfg.TokenTTL)}
	for _, proof := range proofs {
		var err error
		before := g.user
		switch proof.Method {
		case MethodPassword:
			err = s.provePassword(ctx, &g, proof, address)
		case MethodToken:
			err = s.proveToken(ctx, &g, proof)
		case MethodApplicationCredential:
			err = s.proveCredential(ctx, &g, proof, address)
		default:
			err = unauthenticated()
		}
		if err == nil && before != "" && g.user != before {
			err = unauthenticated()
		}
		if err != nil {
			return nil, err
		}
	}
	return s.issue(ctx, g)
}

func (g *grant) method(names ...string) {
	for _, name := range names {
		if !slices.Contains(g.methods, name) {
			g.methods = append(g.methods, name)
		}
	}
}

func (s *Service) provePassword(ctx context.Context, g *grant, proof Proof, address string) error {
	user, stored, err := s.verify(ctx, proof.User, proof.Secret, address)
	if err != nil {
		return err
	}
	g.user, g.stored, g.hasStored = user.ID, stored, true
	g.method(MethodPassword)
	return nil
}

func (s *Service) proveToken(ctx context.Context, g *grant, proof Proof) error {
	token := proof.Secret.Reveal()
	old, err := s.Describe(ctx, token)
	if err != nil {
		return err
	}
	d, _ := digestOf(token)
	g.user, g.parent, g.from = old.User.ID, old.AuditIDs[0], row(d)
	g.method(append([]string{MethodToken}, old.Methods...)...)
	g.expires = earlier(g.expires, old.ExpiresAt)
	if k := s.cache.get(d); k != nil { // what is left by the monotonic clock may be less
		g.expires = earlier(g.expires, g.issued.Add(k.dies-s.cfg.Mono()))
	}
	if c := old.Credential; c != nil {
		return g.bind(c)
	}
	return nil
}

func (s *Service) proveCredential(ctx context.Context, g *grant, proof Proof, address string) error {
	c, err := s.verifyCredential(ctx, proof, address)
	if err != nil {
		return err
	}
	g.user = c.UserID
	g.method(MethodApplicationCredential)
	return g.bind(c)
}

// bind holds a token to an application credential and its project.
func (g *grant) bind(c *ApplicationCredential) error {
	switch {
	case g.credential != "" && g.credential != c.ID,
		g.scope != (Scope{}) && g.scope != (Scope{Project: Ref{ID: c.ProjectID}}):
		return unauthenticated()
	}
	g.credential, g.scope = c.ID, Scope{Project: Ref{ID: c.ProjectID}}
	if !c.ExpiresAt.IsZero() {
		g.expires = earlier(g.expires, c.ExpiresAt)
	}
	return nil
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
	if len(password) > MaxPassword || ref.tooLong() {
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
	if user != nil && user.Options.IgnoreLockout != nil && *user.Options.IgnoreLockout {
		key += " from " + network(address)
	}
	id := "" // not the name that was sent: people type passwords there
	if user != nil {
		id = user.ID
	}
	stale, err := s.compare(ctx, key, address, stored, password, id, user != nil && user.Enabled && user.domainEnabled)
	if err != nil {
		return nil, "", err
	}
	if stale {
		stored = s.renewHash(ctx, user.ID, stored, password)
	}
	return user, stored, nil
}

// compare hashes a secret under the throttle of key and address. ok says that
// its owner may log in at all; the answer to who may not is the same.
func (s *Service) compare(ctx context.Context, key, address, stored string, secret Secret, who string, ok bool) (stale bool, err error) {
	done, err := s.throttle.begin(ctx, key, address)
	if err != nil {
		return false, err
	}
	right, stale, err := s.hasher.matches(ctx, stored, secret.Reveal())
	if err != nil {
		done(outcomeNone)
		return false, err
	}
	if !right || !ok {
		done(outcomeWrong)
		s.cfg.Log.Info("log-in refused", "user", who, "address", address)
		return false, unauthenticated()
	}
	done(outcomeRight)
	return stale, nil
}

// verifyCredential finds an application credential by its id, or by its name
// and user, and compares its secret as verify compares passwords.
func (s *Service) verifyCredential(ctx context.Context, proof Proof, address string) (*ApplicationCredential, error) {
	if len(proof.Secret) > MaxPassword || proof.User.tooLong() || max(len(proof.ID), len(proof.Name)) > MaxName {
		return nil, unauthenticated()
	}
	var c *ApplicationCredential
	var stored, key, who string
	enabled := false
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		c, stored, key, who, enabled = nil, "", "credential "+proof.ID, "", false
		where, args := `c.id = $1`, []any{proof.ID}
		if proof.ID == "" {
			user, _, account, err := findAccount(ctx, tx, proof.User)
			if err != nil {
				return err
			}
			key = account + " credential " + proof.Name
			if user == nil {
				return nil
			}
			where, args = `c.account = $1 AND c.name = $2`, []any{user.ID, proof.Name}
		}
		found, err := readApplicationCredentials(ctx, tx, where, args...)
		if err != nil || len(found) == 0 {
			return err
		}
		c = &found[0]
		key, who = "credential "+c.ID, c.UserID
		users, _, err := readUsers(ctx, tx, 1, `a.id = $1`, c.UserID)
		if err != nil {
			return err
		}
		enabled = len(users) == 1 && users[0].Enabled && users[0].domainEnabled
		return tx.QueryRow(ctx, `SELECT secret FROM application_credential WHERE id = $1`, c.ID).Scan(&stored)
	})
	if err != nil {
		return nil, err
	}
	ok := enabled && (c.ExpiresAt.IsZero() || s.cfg.Now().Before(c.ExpiresAt))
	if _, err := s.compare(ctx, key, address, stored, proof.Secret, who, ok); err != nil {
		return nil, err
	}
	return c, nil
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
	users, hashes, err := readUsers(ctx, tx, 1, where, args...)
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
	hasStored       bool
	credential      string // application credential, which must still be there
	scope           Scope
	methods         []string
	parent          string
	from            string // row of the token that it is made from, which must still be there
	session         string // hash of the session that it is made by, which must still be there
	issued, expires time.Time
}

// issue writes the token's row, in the transaction that finds user, scope and
// roles, so that none of them can be disabled in between.
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
		if g.hasStored && stored != g.stored {
			return unauthenticated()
		}
		if g.from != "" {
			if there, err := exists(ctx, tx, `SELECT 1 FROM token WHERE hash = $1`, g.from); err != nil {
				return err
			} else if !there {
				return unauthenticated()
			}
		}
		if err := fillToken(ctx, tx, out, g.user, g.scope, g.credential); err != nil {
			return err
		}
		if g.session != "" {
			if err := touchSession(ctx, tx, g.session, out); err != nil {
				return err
			}
		}
		kind, scope := out.scope()
		_, err = tx.Exec(ctx, `INSERT INTO token (hash, audit_id, parent, methods, account, scope_kind, scope, credential, issued_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			row(d), auditID, g.parent, strings.Join(g.methods, ","), g.user, kind, scope, g.credential, micros(g.issued), micros(g.expires))
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// scope says what a token is for as the database has it.
func (t *Token) scope() (kind, id string) {
	switch {
	case t.Project != nil:
		return scopeProject, t.Project.ID
	case t.Domain != nil:
		return scopeDomain, t.Domain.ID
	case t.System:
		return scopeSystem, wholeSystem
	}
	return "", ""
}

// lockAccount holds a user's row until the transaction ends and returns its
// password hash.
func lockAccount(ctx context.Context, tx *catalog.Tx, id string) (stored string, err error) {
	err = tx.QueryRow(ctx, `SELECT password FROM account WHERE id = $1`+tx.Dialect().ForUpdate(), id).Scan(&stored)
	return stored, orElse(err, unauthenticated())
}

// fillToken resolves user, scope, application credential and roles.
func fillToken(ctx context.Context, tx *catalog.Tx, t *Token, userID string, scope Scope, credential string) error {
	users, _, err := readUsers(ctx, tx, 1, `a.id = $1`, userID)
	if err != nil {
		return err
	}
	if len(users) == 0 || !users[0].Enabled || !users[0].domainEnabled {
		return unauthenticated()
	}
	t.User = users[0]
	if credential != "" {
		if t.Credential, err = readApplicationCredential(ctx, tx, userID, credential); err != nil {
			if kuva.CodeOf(err) == kuva.CodeNotFound {
				err = unauthenticated()
			}
			return err
		}
	}
	wish := false
	if scope == (Scope{}) && t.User.DefaultProject != "" {
		scope, wish = Scope{Project: Ref{ID: t.User.DefaultProject}}, true
	}
	if scope == (Scope{}) || scope.Unscoped {
		return nil
	}
	if err := t.find(ctx, tx, scope); err != nil {
		return err
	}
	kind, id := t.scope()
	if id != "" {
		if t.Roles, err = rolesOn(ctx, tx, userID, kind, id); err != nil {
			return err
		}
		t.Roles = t.Credential.limit(t.Roles)
	}
	switch {
	case len(t.Roles) > 0:
		return nil
	case wish: // the default project is a wish: without a role there, the token has no scope
		t.Project = nil
		return nil
	}
	return unauthenticated()
}

// limit leaves of a user's roles those that an application credential has.
func (c *ApplicationCredential) limit(roles []Role) []Role {
	if c == nil {
		return roles
	}
	var out []Role
	for _, r := range roles {
		if slices.ContainsFunc(c.Roles, func(has Role) bool { return has.ID == r.ID }) {
			out = append(out, r)
		}
	}
	return out
}

// find sets the project or domain that a scope names, or neither where there
// is none.
func (t *Token) find(ctx context.Context, tx *catalog.Tx, scope Scope) (err error) {
	switch {
	case scope.System:
		t.System = true
	case scope.Domain != (Ref{}):
		var id string
		if id, err = findDomain(ctx, tx, scope.Domain.ID, scope.Domain.Name); err == nil && id != "" {
			t.Domain, err = readDomain(ctx, tx, id)
		}
	default:
		t.Project, err = findProject(ctx, tx, scope.Project)
	}
	return err
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
	projects, err := readProjects(ctx, tx, 1, where, args...)
	if err != nil || len(projects) == 0 {
		return nil, err
	}
	return &projects[0], nil
}
