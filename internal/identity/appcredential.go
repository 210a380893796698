package identity

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// The bounds of application credentials: how many a user may have, and how
// many rules one may have.
const (
	MaxApplicationCredentials = 1000
	MaxAccessRules            = 64
	maxRulePath               = 225 // as in Keystone
)

// ApplicationCredential lets a program log in as a user for one project, with
// some of the user's roles, without the user's password.
type ApplicationCredential struct {
	ID           string
	UserID       string
	ProjectID    string
	Name         string
	Description  string
	Roles        []Role
	Unrestricted bool      // may tend credentials itself
	ExpiresAt    time.Time // zero for never
	Rules        []AccessRule
	// Secret is set only where it was just made.
	Secret Secret
}

// AccessRule is one kind of request, with the id by which it is reused.
type AccessRule struct {
	ID string
	kuva.AccessRule
}

// NewApplicationCredential is what one is made with.
type NewApplicationCredential struct {
	Name         string
	Description  string
	Secret       Secret    // "" makes one
	Roles        []Role    // by id or name, a part of the token's; none takes all
	ExpiresAt    time.Time // zero for never
	Unrestricted bool
	Rules        []AccessRule // by id, or new; none is good for all requests
}

// CreateApplicationCredential makes one for the caller's user and project,
// which must be user. It never has a role that the caller's token lacks.
func (s *Service) CreateApplicationCredential(ctx context.Context, p kuva.Principal, user string, in NewApplicationCredential) (*ApplicationCredential, error) {
	if err := mayMakeApplicationCredential(p, user); err != nil {
		return nil, err
	}
	if p.ProjectID == "" {
		return nil, kuva.E(kuva.CodeInvalid, "identity.credential_project")
	}
	if err := s.checkApplicationCredential(in); err != nil {
		return nil, err
	}
	if in.Secret == "" {
		in.Secret = Secret(base64.RawURLEncoding.EncodeToString(randomBytes(48)))
	}
	hash, err := s.hasher.hash(ctx, in.Secret.Reveal())
	if err != nil {
		return nil, err
	}
	id := newID()
	var out *ApplicationCredential
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := lockAccount(ctx, tx, user); err != nil { // one at a time: the count holds
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM application_credential WHERE account = $1`, user).Scan(&n); err != nil {
			return err
		}
		if n >= MaxApplicationCredentials {
			return kuva.E(kuva.CodeForbidden, "identity.too_many_credentials", "limit", MaxApplicationCredentials)
		}
		roles, err := chooseRoles(ctx, tx, p, in.Roles)
		if err != nil {
			return err
		}
		encoded, err := json.Marshal(roles)
		if err != nil {
			return err
		}
		var expires int64
		if !in.ExpiresAt.IsZero() {
			expires = micros(in.ExpiresAt)
		}
		made, err := tx.Exec(ctx, `INSERT INTO application_credential (id, account, project, name, description, secret, roles, unrestricted, expires_at, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
			id, user, p.ProjectID, in.Name, in.Description, hash, string(encoded), in.Unrestricted, expires, micros(s.cfg.Now()))
		if err == nil && made == 0 {
			err = kuva.E(kuva.CodeConflict, "identity.credential_exists", "name", in.Name)
		}
		if err != nil {
			return err
		}
		if err := addRules(ctx, tx, user, id, in.Rules); err != nil {
			return err
		}
		if out, err = readApplicationCredential(ctx, tx, user, id); err != nil {
			return err
		}
		_, err = audit.Write(ctx, tx, audit.By(p, s.cfg.Now(), "application_credential.create", id))
		return err
	})
	if err != nil {
		return nil, err
	}
	out.Secret = in.Secret
	return out, nil
}

func (s *Service) checkApplicationCredential(in NewApplicationCredential) error {
	if err := checkNames(in.Name, in.Description); err != nil {
		return err
	}
	if len(in.Secret) > MaxPassword {
		return kuva.E(kuva.CodeInvalid, "identity.bad_password", "least", 1, "most", MaxPassword)
	}
	if !in.ExpiresAt.IsZero() && !in.ExpiresAt.After(s.cfg.Now()) {
		return kuva.E(kuva.CodeInvalid, "identity.expires_past")
	}
	return checkRules(in.Rules)
}

// chooseRoles finds the ids of the wanted roles among the caller's own.
func chooseRoles(ctx context.Context, tx *catalog.Tx, p kuva.Principal, wanted []Role) ([]string, error) {
	all, err := rolesOn(ctx, tx, p.UserID, scopeProject, p.ProjectID)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, r := range all {
		if p.HasRole(r.Name) && (len(wanted) == 0 || slices.ContainsFunc(wanted, func(w Role) bool { return w.ID == r.ID || w.ID == "" && w.Name == r.Name })) {
			ids = append(ids, r.ID)
		}
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(all, func(r Role) bool {
			return (w.ID == r.ID || w.ID == "" && w.Name == r.Name) && slices.Contains(ids, r.ID)
		}) {
			return nil, kuva.E(kuva.CodeInvalid, "identity.role_not_yours", "role", short(w.ID+w.Name))
		}
	}
	if len(ids) == 0 {
		return nil, unauthenticated()
	}
	return ids, nil
}

// ApplicationCredentials lists a user's, for itself and for administrators;
// name "" takes all.
func (s *Service) ApplicationCredentials(ctx context.Context, p kuva.Principal, user, name string) ([]ApplicationCredential, error) {
	if err := mayTend(p, user); err != nil {
		return nil, err
	}
	var out []ApplicationCredential
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		if err := userThere(ctx, tx, user); err != nil {
			return err
		}
		out, err = readApplicationCredentials(ctx, tx, `c.account = $1 AND ($2 = '' OR c.name = $2)`, user, name)
		return err
	})
	return out, err
}

// ApplicationCredential returns one of a user's.
func (s *Service) ApplicationCredential(ctx context.Context, p kuva.Principal, user, id string) (*ApplicationCredential, error) {
	if err := mayTend(p, user); err != nil {
		return nil, err
	}
	var out *ApplicationCredential
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out, err = readApplicationCredential(ctx, tx, user, id)
		return err
	})
	return out, err
}

// DeleteApplicationCredential removes one and takes back the tokens that were
// made with it.
func (s *Service) DeleteApplicationCredential(ctx context.Context, p kuva.Principal, user, id string) error {
	if err := mayTend(p, user); err != nil {
		return err
	}
	if err := mayKeepSecrets(p, "delete_application_credential"); err != nil {
		return err
	}
	defer s.changes.Add(1)
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := readApplicationCredential(ctx, tx, user, id); err != nil {
			return err
		}
		if err := execAll(ctx, tx, id, `DELETE FROM token WHERE credential = $1`,
			`DELETE FROM application_credential_rule WHERE credential = $1`, `DELETE FROM application_credential WHERE id = $1`); err != nil {
			return err
		}
		_, err := audit.Write(ctx, tx, audit.By(p, s.cfg.Now(), "application_credential.delete", id))
		return err
	})
}

func userThere(ctx context.Context, tx *catalog.Tx, user string) error {
	there, err := exists(ctx, tx, `SELECT 1 FROM account WHERE id = $1`, user)
	if err == nil && !there {
		err = notFound("user", user)
	}
	return err
}

func readApplicationCredential(ctx context.Context, tx *catalog.Tx, user, id string) (*ApplicationCredential, error) {
	found, err := readApplicationCredentials(ctx, tx, `c.account = $1 AND c.id = $2`, user, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, notFound("application_credential", id)
	}
	return &found[0], nil
}

func readApplicationCredentials(ctx context.Context, tx *catalog.Tx, where string, args ...any) ([]ApplicationCredential, error) {
	var out []ApplicationCredential
	at, names := map[string]int{}, map[string]string{}
	err := each(ctx, tx, `SELECT c.id, c.account, c.project, c.name, c.description, c.roles, c.unrestricted, c.expires_at
		FROM application_credential c WHERE `+where+` ORDER BY c.name, c.id LIMIT `+number(MaxList), args, func(scan func(...any) error) error {
		var c ApplicationCredential
		var roles string
		var expires int64
		if err := scan(&c.ID, &c.UserID, &c.ProjectID, &c.Name, &c.Description, &roles, &c.Unrestricted, &expires); err != nil {
			return err
		}
		if expires != 0 {
			c.ExpiresAt = fromMicros(expires)
		}
		var ids []string
		if err := json.Unmarshal([]byte(roles), &ids); err != nil {
			return err
		}
		for _, id := range ids {
			c.Roles = append(c.Roles, Role{ID: id})
		}
		at[c.ID] = len(out)
		out = append(out, c)
		return nil
	})
	if err != nil || len(out) == 0 {
		return out, err
	}
	if err := each(ctx, tx, `SELECT id, name FROM role`, nil, func(scan func(...any) error) error {
		var id, name string
		err := scan(&id, &name)
		names[id] = name
		return err
	}); err != nil {
		return nil, err
	}
	for i := range out {
		kept := out[i].Roles[:0]
		for _, r := range out[i].Roles {
			if r.Name = names[r.ID]; r.Name != "" { // else it was deleted
				kept = append(kept, r)
			}
		}
		out[i].Roles = kept
	}
	return out, each(ctx, tx, `SELECT x.credential, r.id, r.service, r.method, r.path FROM application_credential_rule x JOIN access_rule r ON r.id = x.rule
		WHERE x.credential IN (SELECT c.id FROM application_credential c WHERE `+where+`) ORDER BY r.service, r.path, r.method`, args, func(scan func(...any) error) error {
		var id string
		var r AccessRule
		err := scan(&id, &r.ID, &r.Service, &r.Method, &r.Path)
		if i, ok := at[id]; ok {
			out[i].Rules = append(out[i].Rules, r)
		}
		return err
	})
}
