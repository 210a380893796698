package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// The lives of sessions of browsers, and of the tokens that they make.
const (
	DefaultSessionIdle = 8 * time.Hour      // without a new token
	DefaultSessionLife = 3 * 24 * time.Hour // in all
	SessionTokenTTL    = 15 * time.Minute
	// maxSessions is how many a user has at one time; a new one ends the one
	// that was used longest ago.
	maxSessions = 32
)

// SessionPrefix begins the secret of every session.
const SessionPrefix = "kvs_"

// Session is what a browser has while its user is logged in: a secret, which
// makes tokens of 15 minutes for the page. The database has its hash only. It
// ends with a log-out, a change of the password, with its user, or by time.
type Session struct {
	Secret  Secret // set only where it was just made
	Token   *Token
	Expires time.Time // at the latest
}

// OpenSession begins a session by a password, under the throttle of log-ins
// and with the errors of LogIn. Where the scope is left out and the user's
// default project is none, it is one of the user's projects.
func (s *Service) OpenSession(ctx context.Context, in LogIn) (*Session, error) {
	user, stored, err := s.verify(ctx, in.User, in.Password, in.Address)
	if err != nil {
		return nil, err
	}
	secret := SessionPrefix + base64.RawURLEncoding.EncodeToString(randomBytes(32))
	hash, now := sessionHash(secret), s.cfg.Now()
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		in, err := lockAccount(ctx, tx, user.ID)
		if err != nil {
			return err
		}
		if in != stored { // changed since it was compared
			return unauthenticated()
		}
		if _, err := tx.Exec(ctx, `DELETE FROM portal_session WHERE account = $1 AND hash NOT IN (
			SELECT hash FROM portal_session WHERE account = $1 ORDER BY used_at DESC, hash LIMIT `+number(maxSessions-1)+`)`, user.ID); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO portal_session (hash, audit_id, account, project, created_at, used_at, expires_at) VALUES ($1, $2, $3, '', $4, $4, $5)`,
			hash, auditID(), user.ID, micros(now), micros(now.Add(s.cfg.SessionLife)))
		return err
	})
	if err != nil {
		return nil, err
	}
	out, err := s.renew(ctx, hash, in.Scope)
	if err != nil {
		return nil, errors.Join(err, s.endSession(context.WithoutCancel(ctx), hash))
	}
	out.Secret = Secret(secret)
	return out, nil
}

// RenewSession makes a token for the page of a session: for the project of
// that id, or for the one that was worked in last. A project that the user has
// no role in is CodeForbidden, whatever is wrong with the session
// CodeUnauthenticated.
func (s *Service) RenewSession(ctx context.Context, secret Secret, project string) (*Session, error) {
	hash, ok := sessionOf(secret)
	if !ok || len(project) > MaxName {
		return nil, unauthenticated()
	}
	if project == "" {
		return s.renew(ctx, hash, Scope{})
	}
	out, err := s.renew(ctx, hash, Scope{Project: Ref{ID: project}})
	if kuva.CodeOf(err) == kuva.CodeUnauthenticated {
		if _, there := s.readSession(ctx, hash); there == nil {
			err = kuva.E(kuva.CodeForbidden, "identity.session_project", "project", project)
		}
	}
	return out, err
}

// HasSession says whether a secret is that of a session.
func (s *Service) HasSession(ctx context.Context, secret Secret) (bool, error) {
	hash, ok := sessionOf(secret)
	if !ok {
		return false, nil
	}
	_, err := s.readSession(ctx, hash)
	if kuva.CodeOf(err) == kuva.CodeUnauthenticated {
		return false, nil
	}
	return err == nil, err
}

// CloseSession ends a session and takes back its tokens. It is no error where
// there is none.
func (s *Service) CloseSession(ctx context.Context, secret Secret) error {
	hash, ok := sessionOf(secret)
	if !ok {
		return nil
	}
	return s.endSession(ctx, hash)
}

func (s *Service) endSession(ctx context.Context, hash string) error {
	defer s.changes.Add(1)
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM token WHERE account = (SELECT account FROM portal_session WHERE hash = $1)
			AND parent = (SELECT audit_id FROM portal_session WHERE hash = $1)`, hash); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM portal_session WHERE hash = $1`, hash)
		return err
	})
}

func sessionHash(secret string) string {
	d := sha256.Sum256([]byte(secret))
	return row(d)
}

// sessionOf hashes what can be a session's secret.
func sessionOf(secret Secret) (hash string, ok bool) {
	in := secret.Reveal()
	if len(in) != len(SessionPrefix)+43 || !strings.HasPrefix(in, SessionPrefix) {
		return "", false
	}
	return sessionHash(in), true
}

// sessionRow is a session as the database has it.
type sessionRow struct {
	hash, auditID, account, project string
	expires                         time.Time
}

// readSession finds a session that has not ended by time.
func (s *Service) readSession(ctx context.Context, hash string) (out sessionRow, err error) {
	now := s.cfg.Now()
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		var used, expires int64
		out = sessionRow{hash: hash}
		err := tx.QueryRow(ctx, `SELECT s.audit_id, s.account, s.project, s.used_at, s.expires_at FROM portal_session s
			JOIN account a ON a.id = s.account AND a.enabled
			JOIN domain d ON d.id = a.domain AND d.enabled
			WHERE s.hash = $1`, hash).Scan(&out.auditID, &out.account, &out.project, &used, &expires)
		if errors.Is(err, sql.ErrNoRows) {
			return unauthenticated()
		}
		if err != nil {
			return err
		}
		out.expires = fromMicros(expires)
		if !now.Before(out.expires) || !now.Before(fromMicros(used).Add(s.cfg.SessionIdle)) {
			return unauthenticated()
		}
		return nil
	})
	return out, err
}

// renew issues a token for a scope, or for the best one where that is empty:
// the project that was worked in last, the user's default project, the first of
// the user's projects, nothing.
func (s *Service) renew(ctx context.Context, hash string, scope Scope) (*Session, error) {
	session, err := s.readSession(ctx, hash)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	g := grant{
		user: session.account, session: hash, parent: session.auditID, methods: []string{MethodPassword}, scope: scope,
		issued: now, expires: earlier(now.Add(SessionTokenTTL), session.expires),
	}
	if scope != (Scope{}) {
		return s.sessionToken(ctx, g, session)
	}
	if session.project != "" {
		g.scope = Scope{Project: Ref{ID: session.project}}
		if out, err := s.sessionToken(ctx, g, session); kuva.CodeOf(err) != kuva.CodeUnauthenticated {
			return out, err
		}
		g.scope = Scope{} // gone, or no longer the user's
	}
	projects, err := s.ProjectsOf(ctx, kuva.Principal{UserID: session.account}, session.account, ProjectFilter{})
	if err != nil {
		return nil, err
	}
	if len(projects) > 0 {
		var user *User
		if user, err = s.userOf(ctx, session.account); err != nil {
			return nil, err
		}
		first := projects[0].ID
		for _, p := range projects {
			if p.ID == user.DefaultProject {
				first = p.ID
			}
		}
		g.scope = Scope{Project: Ref{ID: first}}
	} else {
		g.scope = Scope{Unscoped: true}
	}
	return s.sessionToken(ctx, g, session)
}

func (s *Service) userOf(ctx context.Context, id string) (out *User, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		users, _, err := readUsers(ctx, tx, 1, `a.id = $1`, id)
		if err == nil && len(users) == 0 {
			err = unauthenticated()
		}
		if err == nil {
			out = &users[0]
		}
		return err
	})
	return out, err
}

func (s *Service) sessionToken(ctx context.Context, g grant, session sessionRow) (*Session, error) {
	token, err := s.issue(ctx, g)
	if err != nil {
		return nil, err
	}
	return &Session{Token: token, Expires: session.expires}, nil
}

// touchSession marks a session as used by a token about to be made, which
// fails where the session ended meanwhile.
func touchSession(ctx context.Context, tx *catalog.Tx, hash string, t *Token) error {
	project := ""
	if t.Project != nil {
		project = t.Project.ID
	}
	n, err := tx.Exec(ctx, `UPDATE portal_session SET used_at = $1, project = $2 WHERE hash = $3`, micros(t.IssuedAt), project, hash)
	if err == nil && n == 0 {
		err = unauthenticated()
	}
	return err
}

// purgeSessions forgets sessions that ended by time.
func purgeSessions(ctx context.Context, tx *catalog.Tx, now time.Time, idle time.Duration) error {
	_, err := tx.Exec(ctx, `DELETE FROM portal_session WHERE expires_at <= $1 OR used_at <= $2`, micros(now), micros(now.Add(-idle)))
	return err
}

// sessionLives fills in the defaults.
func (c *Config) sessionLives() {
	c.SessionIdle = cmp.Or(c.SessionIdle, DefaultSessionIdle)
	c.SessionLife = cmp.Or(c.SessionLife, DefaultSessionLife)
}
