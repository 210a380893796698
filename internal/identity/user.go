package identity

import (
	"context"
	"encoding/json"
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
	Options        UserOptions
	CreatedAt      time.Time

	domainEnabled bool
}

// UserOptions are Keystone's options of users, nil where they are not set.
type UserOptions struct {
	// LockPassword keeps the user from changing the password itself.
	LockPassword *bool `json:"lock_password,omitempty"`
	// IgnoreLockout lets no failure from one address count against log-ins
	// from another.
	IgnoreLockout *bool `json:"ignore_lockout_failure_attempts,omitempty"`
	// These exempt from rules that kuva does not have.
	IgnoreFirstUse   *bool `json:"ignore_change_password_upon_first_use,omitempty"`
	IgnoreExpiry     *bool `json:"ignore_password_expiry,omitempty"`
	IgnoreInactivity *bool `json:"ignore_user_inactivity,omitempty"`
}

func (o *UserOptions) update(c UserOptions) {
	for _, x := range []struct{ to, from **bool }{
		{&o.LockPassword, &c.LockPassword},
		{&o.IgnoreLockout, &c.IgnoreLockout},
		{&o.IgnoreFirstUse, &c.IgnoreFirstUse},
		{&o.IgnoreExpiry, &c.IgnoreExpiry},
		{&o.IgnoreInactivity, &c.IgnoreInactivity},
	} {
		if *x.from != nil {
			*x.to = *x.from
		}
	}
}

// UserChange is what an update sets; nil leaves a field as it is.
type UserChange struct {
	Name           *string
	Email          *string
	Description    *string
	DefaultProject *string
	Enabled        *bool
	Password       *Secret
	Options        UserOptions // those that are not nil
}

// UserFilter narrows a list; "" and nil take all.
type UserFilter struct {
	Page
	DomainID string
	Name     string
	Enabled  *bool
	Group    string // that the user is a member of
}

// CreateUser makes a user. Without a password it cannot log in until it gets
// one. An empty DomainID means the default domain.
func (s *Service) CreateUser(ctx context.Context, p kuva.Principal, in User, password Secret) (*User, error) {
	if err := mayAdminister(p, "create_user"); err != nil { // before the costly hash
		return nil, err
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
		n, err := insertUser(ctx, tx, in, hash)
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

// insertUser reports 0 where the name is taken.
func insertUser(ctx context.Context, tx *catalog.Tx, u User, hash string) (int64, error) {
	options, err := json.Marshal(u.Options)
	if err != nil {
		return 0, err
	}
	return tx.Exec(ctx, `INSERT INTO account (id, domain, name, email, description, default_project, password, options, enabled, created_at, password_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) ON CONFLICT DO NOTHING`,
		u.ID, u.DomainID, u.Name, u.Email, u.Description, u.DefaultProject, hash, string(options), u.Enabled, micros(u.CreatedAt))
}

// User returns a user to itself and to those who may list users; to others it
// is not there.
func (s *Service) User(ctx context.Context, p kuva.Principal, id string) (*User, error) {
	var out *User
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		found, _, err := readUsers(ctx, tx, 1, `a.id = $1`, id)
		if err != nil {
			return err
		}
		if len(found) == 0 || !maySee(p, found[0].DomainID, p.UserID != "" && p.UserID == id) {
			return notFound("user", id)
		}
		out = &found[0]
		return nil
	})
	return out, err
}

// Users lists users.
func (s *Service) Users(ctx context.Context, p kuva.Principal, f UserFilter) (out []User, err error) {
	only, err := mayList(p, "list_users")
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		var w where
		w.is("a.domain", only)
		w.is("a.domain", f.DomainID)
		w.is("a.name", f.Name)
		w.on("a.enabled", f.Enabled)
		if f.Group != "" {
			if _, err := readGroup(ctx, tx, f.Group); err != nil {
				return err
			}
			w.and("a.id IN (SELECT account FROM team_member WHERE team = ?)", f.Group)
		}
		if err := w.page(ctx, tx, f.Page, "account", "a"); err != nil {
			return err
		}
		out, _, err = readUsers(ctx, tx, f.limit(), w.String(), w.args...)
		return err
	})
	return out, err
}

// UpdateUser changes a user. A new password and being disabled take all its
// tokens back.
func (s *Service) UpdateUser(ctx context.Context, p kuva.Principal, id string, c UserChange) (*User, error) {
	if err := mayAdminister(p, "update_user"); err != nil {
		return nil, err
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
	found, _, err := readUsers(ctx, tx, 1, `a.id = $1`, id)
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
	next.Options.update(c.Options)
	if err := checkUser(next); err != nil {
		return err
	}
	if c.DefaultProject != nil {
		if err := projectThere(ctx, tx, next.DefaultProject); err != nil {
			return err
		}
	}
	if next.Name != found[0].Name {
		if taken, err := exists(ctx, tx, `SELECT 1 FROM account WHERE domain = $1 AND name = $2`, next.DomainID, next.Name); err != nil {
			return err
		} else if taken {
			return kuva.E(kuva.CodeConflict, "identity.user_exists", "name", next.Name)
		}
	}
	options, err := json.Marshal(next.Options)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE account SET name = $1, email = $2, description = $3, default_project = $4, enabled = $5, options = $6 WHERE id = $7`,
		next.Name, next.Email, next.Description, next.DefaultProject, next.Enabled, string(options), id); err != nil {
		return err
	}
	if hash != "" {
		return s.setPassword(ctx, tx, id, hash)
	}
	if !next.Enabled {
		err = execAll(ctx, tx, id, `DELETE FROM token WHERE account = $1`, `DELETE FROM portal_session WHERE account = $1`)
	}
	return err
}

// DeleteUser removes a user with its role assignments, credentials and tokens.
func (s *Service) DeleteUser(ctx context.Context, p kuva.Principal, id string) error {
	if err := mayAdminister(p, "delete_user"); err != nil {
		return err
	}
	return s.change(ctx, p, "user.delete", func(tx *catalog.Tx) (string, error) {
		if _, err := lockAccount(ctx, tx, id); err != nil {
			if kuva.CodeOf(err) == kuva.CodeUnauthenticated {
				err = notFound("user", id)
			}
			return "", err
		}
		return id, execAll(ctx, tx, id,
			`DELETE FROM token WHERE account = $1`,
			`DELETE FROM portal_session WHERE account = $1`,
			`DELETE FROM application_credential_rule WHERE credential IN (SELECT id FROM application_credential WHERE account = $1)`,
			`DELETE FROM application_credential WHERE account = $1`,
			`DELETE FROM access_rule WHERE account = $1`,
			`DELETE FROM credential WHERE account = $1`,
			`DELETE FROM assignment WHERE actor = $1`,
			`DELETE FROM team_member WHERE account = $1`,
			`DELETE FROM account WHERE id = $1`)
	})
}

// readUsers runs the one query that reads users, with their password hashes
// beside them.
func readUsers(ctx context.Context, tx *catalog.Tx, limit int, where string, args ...any) (out []User, hashes []string, err error) {
	err = each(ctx, tx, `SELECT a.id, a.domain, d.name, d.enabled, a.name, a.email, a.description, a.default_project,
		a.enabled, a.options, a.created_at, a.password
		FROM account a JOIN domain d ON d.id = a.domain WHERE `+where+` ORDER BY a.name, a.id LIMIT `+number(limit), args, func(scan func(...any) error) error {
		var u User
		var created int64
		var hash, options string
		if err := scan(&u.ID, &u.DomainID, &u.DomainName, &u.domainEnabled, &u.Name, &u.Email, &u.Description, &u.DefaultProject,
			&u.Enabled, &options, &created, &hash); err != nil {
			return err
		}
		u.CreatedAt = fromMicros(created)
		out, hashes = append(out, u), append(hashes, hash)
		return json.Unmarshal([]byte(options), &out[len(out)-1].Options)
	})
	return out, hashes, err
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
	there, err := exists(ctx, tx, `SELECT 1 FROM project WHERE id = $1`, id)
	if err == nil && !there {
		err = kuva.E(kuva.CodeInvalid, "identity.no_default_project", "id", short(id))
	}
	return err
}
