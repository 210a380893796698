package identity

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"kuva"
	"kuva/internal/catalog"
)

// User is somebody, or some program, that can log in.
type User struct {
	ID             string
	DomainID       string
	DomainName     string
	Name           string
	Email          string
	Description    string
	DefaultProject string // project id, "" if none
	Enabled        bool
	CreatedAt      time.Time

	domainEnabled bool
}

// UserChange is what an update sets; nil leaves a field as it is.
type UserChange struct {
	Name           *string
	Email          *string
	Description    *string
	DefaultProject *string
	Enabled        *bool
	Password       *Secret
}

// UserFilter narrows a list; "" and nil take all.
type UserFilter struct {
	DomainID string
	Name     string
	Enabled  *bool
}

// CreateUser makes a user. Without a password it cannot log in until it gets
// one. An empty DomainID means the default domain.
func (s *Service) CreateUser(ctx context.Context, p kuva.Principal, in User, password Secret) (*User, error) {
	if !p.Admin { // before the costly hash
		return nil, forbidden("user.create")
	}
	if in.DomainID == "" {
		in.DomainID = DefaultDomainID
	}
	if err := checkUser(in); err != nil {
		return nil, err
	}
	hash := "" // a user without a password
	if password != "" {
		var err error
		if hash, err = s.newHash(ctx, password); err != nil {
			return nil, err
		}
	}
	in.ID, in.CreatedAt = newID(), s.cfg.Now()
	err := s.change(ctx, p, "user.create", func(tx *catalog.Tx) (string, error) {
		if _, err := readDomain(ctx, tx, in.DomainID); err != nil {
			return "", err
		}
		if err := projectThere(ctx, tx, in.DefaultProject); err != nil {
			return "", err
		}
		n, err := tx.Exec(ctx, `INSERT INTO account (id, domain, name, email, description, default_project, password, enabled, created_at, password_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9) ON CONFLICT DO NOTHING`,
			in.ID, in.DomainID, in.Name, in.Email, in.Description, in.DefaultProject, hash, in.Enabled, micros(in.CreatedAt))
		if err == nil && n == 0 {
			err = kuva.E(kuva.CodeConflict, "identity.user_exists", "name", in.Name)
		}
		return in.ID, err
	})
	if err != nil {
		return nil, err
	}
	return s.User(ctx, p, in.ID)
}

// User returns a user to itself and to administrators; to others it is not
// there.
func (s *Service) User(ctx context.Context, p kuva.Principal, id string) (*User, error) {
	if !p.Admin && p.UserID != id {
		return nil, notFound("user", id)
	}
	found, err := s.listUsers(ctx, `a.id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("user", id)
	}
	return &found[0], nil
}

// Users lists users by name. Only administrators may.
func (s *Service) Users(ctx context.Context, p kuva.Principal, f UserFilter) ([]User, error) {
	if !p.Admin {
		return nil, forbidden("user.list")
	}
	return s.listUsers(ctx, `($1 = '' OR a.domain = $1) AND ($2 = '' OR a.name = $2) AND ($3 OR a.enabled = $4)`,
		f.DomainID, f.Name, f.Enabled == nil, f.Enabled != nil && *f.Enabled)
}

// UpdateUser changes a user. A new password and being disabled take all its
// tokens back.
func (s *Service) UpdateUser(ctx context.Context, p kuva.Principal, id string, c UserChange) (*User, error) {
	if !p.Admin {
		return nil, forbidden("user.update")
	}
	hash := ""
	if c.Password != nil {
		var err error
		if hash, err = s.newHash(ctx, *c.Password); err != nil {
			return nil, err
		}
	}
	err := s.change(ctx, p, "user.update", func(tx *catalog.Tx) (string, error) {
		return id, s.updateUser(ctx, tx, id, c, hash)
	})
	if err != nil {
		return nil, err
	}
	return s.User(ctx, p, id)
}

func (s *Service) updateUser(ctx context.Context, tx *catalog.Tx, id string, c UserChange, hash string) error {
	found, _, err := readUsers(ctx, tx, `a.id = $1`, id)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return notFound("user", id)
	}
	next := found[0]
	set(&next.Name, c.Name)
	set(&next.Email, c.Email)
	set(&next.Description, c.Description)
	set(&next.DefaultProject, c.DefaultProject)
	set(&next.Enabled, c.Enabled)
	if err := checkUser(next); err != nil {
		return err
	}
	if c.DefaultProject != nil {
		if err := projectThere(ctx, tx, next.DefaultProject); err != nil {
			return err
		}
	}
	if next.Name != found[0].Name {
		var one int
		err := tx.QueryRow(ctx, `SELECT 1 FROM account WHERE domain = $1 AND name = $2`, next.DomainID, next.Name).Scan(&one)
		if err == nil {
			return kuva.E(kuva.CodeConflict, "identity.user_exists", "name", next.Name)
		} else if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	if _, err := tx.Exec(ctx, `UPDATE account SET name = $1, email = $2, description = $3, default_project = $4, enabled = $5 WHERE id = $6`,
		next.Name, next.Email, next.Description, next.DefaultProject, next.Enabled, id); err != nil {
		return err
	}
	if hash != "" {
		return s.setPassword(ctx, tx, id, hash)
	}
	if !next.Enabled {
		_, err = tx.Exec(ctx, `DELETE FROM token WHERE account = $1`, id)
	}
	return err
}

// DeleteUser removes a user with its role assignments and tokens.
func (s *Service) DeleteUser(ctx context.Context, p kuva.Principal, id string) error {
	return s.change(ctx, p, "user.delete", func(tx *catalog.Tx) (string, error) {
		if _, err := lockAccount(ctx, tx, id); err != nil {
			if kuva.CodeOf(err) == kuva.CodeUnauthenticated {
				err = notFound("user", id)
			}
			return "", err
		}
		for _, q := range []string{`DELETE FROM token WHERE account = $1`, `DELETE FROM assignment WHERE account = $1`} {
			if _, err := tx.Exec(ctx, q, id); err != nil {
				return "", err
			}
		}
		_, err := tx.Exec(ctx, `DELETE FROM account WHERE id = $1`, id)
		return id, err
	})
}

func (s *Service) listUsers(ctx context.Context, where string, args ...any) (out []User, err error) {
	err = s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, _, err = readUsers(ctx, tx, where, args...)
		return err
	})
	return out, err
}

// readUsers runs the one query that reads users, at most 10,000, with their
// password hashes beside them.
func readUsers(ctx context.Context, tx *catalog.Tx, where string, args ...any) (out []User, hashes []string, err error) {
	rows, err := tx.Query(ctx, `SELECT a.id, a.domain, d.name, d.enabled, a.name, a.email, a.description, a.default_project,
		a.enabled, a.created_at, a.password
		FROM account a JOIN domain d ON d.id = a.domain WHERE `+where+` ORDER BY a.name, a.id LIMIT 10000`, args...)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var u User
		var created int64
		var hash string
		if err := rows.Scan(&u.ID, &u.DomainID, &u.DomainName, &u.domainEnabled, &u.Name, &u.Email, &u.Description, &u.DefaultProject,
			&u.Enabled, &created, &hash); err != nil {
			return nil, nil, err
		}
		u.CreatedAt = fromMicros(created)
		out, hashes = append(out, u), append(hashes, hash)
	}
	return out, hashes, rows.Err()
}

func checkUser(u User) error {
	if err := checkNames(u.Name, u.Description); err != nil {
		return err
	}
	if len(u.Email) > MaxName || !printable(u.Email, false) || len(u.DefaultProject) > MaxName {
		return kuva.E(kuva.CodeInvalid, "identity.bad_user", "limit", MaxName)
	}
	return nil
}

func projectThere(ctx context.Context, tx *catalog.Tx, id string) error {
	if id == "" {
		return nil
	}
	var one int
	err := tx.QueryRow(ctx, `SELECT 1 FROM project WHERE id = $1`, id).Scan(&one)
	return orElse(err, kuva.E(kuva.CodeInvalid, "identity.no_default_project", "id", short(id)))
}
