package identity

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"

	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// The name of the first user and of the first project.
const (
	FirstUser    = "admin"
	FirstProject = "admin"
)

// Bootstrapped says what the first start did.
type Bootstrapped struct {
	// Created is false where the database had users already; nothing was
	// changed then.
	Created bool
	// Password is the random password that was made, "" where one was given.
	// It is shown once and kept nowhere.
	Password Secret
	// Differs says that a password was given, but that the existing user
	// admin has another. It was not changed: the operator should be told.
	Differs bool
}

// Bootstrap makes the default domain, the roles, and the project and user
// admin in a database that has none, with the given password or, for "", a
// random one. It may run at every start and on several nodes at once.
func (s *Service) Bootstrap(ctx context.Context, password Secret) (Bootstrapped, error) {
	out := Bootstrapped{}
	there, stored, err := s.firstUser(ctx)
	if err != nil {
		return out, err
	}
	if there {
		return s.compareFirst(ctx, stored, password)
	}
	made := password
	if made == "" {
		made = Secret(base64.RawURLEncoding.EncodeToString(randomBytes(18)))
	}
	hash, err := s.newHash(ctx, made)
	if err != nil {
		return out, err
	}
	now, user, project := s.cfg.Now(), newID(), newID()
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		// Whoever inserts the domain makes the rest; another node waits here
		// for the outcome.
		n, err := tx.Exec(ctx, `INSERT INTO domain (id, name, description, enabled, immutable, created_at)
			VALUES ($1, $2, '', $3, $4, $5) ON CONFLICT DO NOTHING`, DefaultDomainID, DefaultDomainName, true, false, micros(now))
		if err != nil {
			return err
		}
		if out.Created = n == 1; !out.Created {
			return nil
		}
		if err := insertRoles(ctx, tx); err != nil {
			return err
		}
		if err := insertCatalogue(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO project (id, domain, name, description, enabled, immutable, created_at) VALUES ($1, $2, $3, '', $4, $5, $6)`,
			project, DefaultDomainID, FirstProject, true, false, micros(now)); err != nil {
			return err
		}
		if _, err := insertUser(ctx, tx, User{ID: user, DomainID: DefaultDomainID, Name: FirstUser, DefaultProject: project, Enabled: true, CreatedAt: now}, hash); err != nil {
			return err
		}
		for _, on := range [][2]string{{scopeProject, project}, {scopeSystem, wholeSystem}} {
			if _, err := tx.Exec(ctx, `INSERT INTO assignment (actor_kind, actor, scope_kind, scope, role) VALUES ('user', $1, $2, $3, $4)`,
				user, on[0], on[1], RoleID(RoleAdmin)); err != nil {
				return err
			}
		}
		_, err = audit.Write(ctx, tx, audit.Entry{At: now, Actor: audit.Service, Action: "identity.bootstrap", Object: user})
		return err
	})
	if err != nil {
		return Bootstrapped{}, err
	}
	if !out.Created { // another node was first
		if _, stored, err = s.firstUser(ctx); err != nil {
			return Bootstrapped{}, err
		}
		return s.compareFirst(ctx, stored, password)
	}
	if password == "" {
		out.Password = made
	}
	return out, nil
}

// Empty tells whether Bootstrap has yet to make the first user. Where several
// nodes start at once, another may do so in the next moment.
func (s *Service) Empty(ctx context.Context) (bool, error) {
	there, _, err := s.firstUser(ctx)
	return !there, err
}

// insertRoles makes the three roles, each implying the next.
func insertRoles(ctx context.Context, tx *catalog.Tx) error {
	for i, name := range ladder {
		if _, err := tx.Exec(ctx, `INSERT INTO role (id, name, description, immutable) VALUES ($1, $2, '', $3)`, RoleID(name), name, true); err != nil {
			return err
		}
		if i > 0 {
			if _, err := tx.Exec(ctx, `INSERT INTO role_implied (prior, implied) VALUES ($1, $2)`, RoleID(ladder[i-1]), RoleID(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// firstUser says whether the domain is there, and the hash of its user admin.
func (s *Service) firstUser(ctx context.Context) (there bool, stored string, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM domain`).Scan(&n); err != nil {
			return err
		}
		there, stored = n > 0, ""
		err := tx.QueryRow(ctx, `SELECT password FROM account WHERE domain = $1 AND name = $2`, DefaultDomainID, FirstUser).Scan(&stored)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return there, stored, err
}

func (s *Service) compareFirst(ctx context.Context, stored string, password Secret) (Bootstrapped, error) {
	if password == "" {
		return Bootstrapped{}, nil
	}
	same, _, err := s.hasher.matches(ctx, stored, password.Reveal())
	return Bootstrapped{Differs: !same}, err
}
