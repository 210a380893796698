package identity

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
)

// The bounds of credentials: how many a user may have, and the bytes of one.
const (
	MaxCredentials = 1000
	maxBlob        = 64 << 10
)

// KindEC2 is the type of credentials that are a pair of EC2 keys: their blob
// is a JSON object with access and secret.
const KindEC2 = "ec2"

// Credential is a secret that kuva keeps for a user: for EC2 keys, or for
// whatever a service of the cloud wants kept. It logs nobody in here.
type Credential struct {
	ID        string
	UserID    string
	ProjectID string
	Kind      string
	Blob      Secret
}

// EC2 is a pair of EC2 keys.
type EC2 struct {
	Access    string
	Secret    Secret
	UserID    string
	ProjectID string
}

type ec2Blob struct {
	Access string `json:"access"`
	Secret string `json:"secret"`
}

// CredentialFilter narrows a list; "" takes all.
type CredentialFilter struct{ UserID, Kind string }

// CreateCredential keeps a secret for a user: for oneself, or by an
// administrator. Credentials of the type ec2 have the SHA-256 of their access
// key for an id, as in Keystone.
func (s *Service) CreateCredential(ctx context.Context, p kuva.Principal, in Credential) (*Credential, error) {
	if in.UserID == "" {
		in.UserID = p.UserID
	}
	if err := mayTend(p, in.UserID); err != nil {
		return nil, err
	}
	if err := mayKeepSecrets(p, "create_credential"); err != nil {
		return nil, err
	}
	in.ID = newID()
	if err := checkCredential(&in); err != nil {
		return nil, err
	}
	err := s.db.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := lockAccount(ctx, tx, in.UserID); err != nil { // one at a time: the count holds
			if kuva.CodeOf(err) == kuva.CodeUnauthenticated {
				err = notFound("user", in.UserID)
			}
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM credential WHERE account = $1`, in.UserID).Scan(&n); err != nil {
			return err
		}
		if n >= MaxCredentials {
			return kuva.E(kuva.CodeForbidden, "identity.too_many_credentials", "limit", MaxCredentials)
		}
		if err := s.inOwnProject(ctx, tx, p, in); err != nil {
			return err
		}
		key, content, err := s.seal(ctx, tx, in)
		if err != nil {
			return err
		}
		made, err := tx.Exec(ctx, `INSERT INTO credential (id, account, project, kind, wrapping, content, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			in.ID, in.UserID, in.ProjectID, in.Kind, key, content, micros(s.cfg.Now()))
		if err == nil && made == 0 {
			err = kuva.E(kuva.CodeConflict, "identity.credential_taken")
		}
		if err != nil {
			return err
		}
		_, err = audit.Write(ctx, tx, audit.By(p, s.cfg.Now(), "credential.create", in.ID))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &in, nil
}

// inOwnProject holds that a credential's project exists and that its user has
// a role there.
func (s *Service) inOwnProject(ctx context.Context, tx *catalog.Tx, p kuva.Principal, c Credential) error {
	if c.ProjectID == "" {
		return nil
	}
	mine, err := exists(ctx, tx, `SELECT 1 WHERE CAST($3 AS TEXT) IN (`+scopesOf+`)`, c.UserID, scopeProject, c.ProjectID)
	if err != nil || mine {
		return err
	}
	if there, err := exists(ctx, tx, `SELECT 1 FROM project WHERE id = $1`, c.ProjectID); err != nil || there && p.Admin {
		return err
	}
	return notFound("project", c.ProjectID)
}

func checkCredential(c *Credential) error {
	bad := c.Kind == "" || len(c.Kind) > MaxName || !printable(c.Kind, false) || len(c.Blob) == 0 || len(c.Blob) > maxBlob || len(c.ProjectID) > MaxName
	if c.Kind == KindEC2 && !bad {
		var keys ec2Blob
		if json.Unmarshal([]byte(c.Blob.Reveal()), &keys) != nil || keys.Access == "" || len(keys.Access) > MaxName || keys.Secret == "" || c.ProjectID == "" {
			bad = true
		}
		c.ID = ec2ID(keys.Access)
	}
	if bad {
		return kuva.E(kuva.CodeInvalid, "identity.bad_credential", "limit", maxBlob)
	}
	return nil
}

func ec2ID(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:])
}

// seal wraps a credential's content under the newest wrapping key in use, or
// a new one.
func (s *Service) seal(ctx context.Context, tx *catalog.Tx, c Credential) (key, content string, err error) {
	if s.cfg.Keys == nil {
		return "", "", kuva.E(kuva.CodeUnavailable, "identity.no_keys")
	}
	err = tx.QueryRow(ctx, `SELECT wrapping FROM credential ORDER BY created_at DESC LIMIT 1`).Scan(&key)
	if errors.Is(err, sql.ErrNoRows) {
		key, err = s.cfg.Keys.Create(ctx)
	}
	if err != nil {
		return "", "", err
	}
	sealed, err := s.cfg.Keys.Wrap(ctx, key, []byte(c.Blob.Reveal()), c.bound())
	return key, base64.StdEncoding.EncodeToString(sealed), err
}

// bound is what ties the sealed content to its row.
func (c Credential) bound() []byte { return []byte("credential " + c.ID + " " + c.UserID) }

// UpdateCredential replaces the content, the type or the project of one; ""
// leaves them as they are. EC2 keys stay what they are: make others.
func (s *Service) UpdateCredential(ctx context.Context, p kuva.Principal, id string, change Credential) (*Credential, error) {
	old, err := s.Credential(ctx, p, id)
	if err != nil {
		return nil, err
	}
	if err := mayKeepSecrets(p, "update_credential"); err != nil {
		return nil, err
	}
	next := *old
	for _, x := range []struct{ to, from *string }{{&next.Kind, &change.Kind}, {&next.ProjectID, &change.ProjectID}} {
		if *x.from != "" {
			*x.to = *x.from
		}
	}
	if change.Blob != "" {
		next.Blob = change.Blob
	}
	if err := checkCredential(&next); err != nil {
		return nil, err
	}
	if old.Kind == KindEC2 || next.Kind == KindEC2 {
		return nil, kuva.E(kuva.CodeInvalid, "identity.ec2_fixed")
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := s.inOwnProject(ctx, tx, p, next); err != nil {
			return err
		}
		key, content, err := s.seal(ctx, tx, next)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE credential SET kind = $1, project = $2, wrapping = $3, content = $4 WHERE id = $5`, next.Kind, next.ProjectID, key, content, id)
		if err == nil && n == 0 {
			err = notFound("credential", id)
		}
		if err != nil {
			return err
		}
		_, err = audit.Write(ctx, tx, audit.By(p, s.cfg.Now(), "credential.update", id))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &next, nil
}

// Credentials lists the caller's, or for administrators all.
func (s *Service) Credentials(ctx context.Context, p kuva.Principal, f CredentialFilter) ([]Credential, error) {
	if !p.Admin {
		if f.UserID != "" && f.UserID != p.UserID || p.UserID == "" {
			return nil, nil
		}
		f.UserID = p.UserID
	}
	return s.credentials(ctx, `($1 = '' OR account = $1) AND ($2 = '' OR kind = $2)`, f.UserID, f.Kind)
}

// Credential returns one to its user and to administrators.
func (s *Service) Credential(ctx context.Context, p kuva.Principal, id string) (*Credential, error) {
	found, err := s.credentials(ctx, `id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 || mayTend(p, found[0].UserID) != nil {
		return nil, notFound("credential", id)
	}
	return &found[0], nil
}

func (s *Service) credentials(ctx context.Context, where string, args ...any) ([]Credential, error) {
	type row struct {
		Credential
		key, content string
	}
	var rows []row
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		rows = nil
		return each(ctx, tx, `SELECT id, account, project, kind, wrapping, content FROM credential WHERE `+where+` ORDER BY id LIMIT `+number(MaxList), args,
			func(scan func(...any) error) error {
				var r row
				err := scan(&r.ID, &r.UserID, &r.ProjectID, &r.Kind, &r.key, &r.content)
				rows = append(rows, r)
				return err
			})
	})
	if err != nil {
		return nil, err
	}
	out := make([]Credential, 0, len(rows))
	for _, r := range rows {
		if s.cfg.Keys == nil {
			return nil, kuva.E(kuva.CodeUnavailable, "identity.no_keys")
		}
		sealed, err := base64.StdEncoding.DecodeString(r.content)
		if err != nil {
			return nil, kuva.E(kuva.CodeDamaged, "identity.credential_damaged", "id", r.ID).Because(err)
		}
		plain, err := s.cfg.Keys.Unwrap(ctx, r.key, sealed, r.bound())
		if err != nil {
			return nil, kuva.E(kuva.CodeDamaged, "identity.credential_damaged", "id", r.ID).Because(err)
		}
		r.Blob = Secret(plain)
		out = append(out, r.Credential)
	}
	return out, nil
}

// DeleteCredential removes one.
func (s *Service) DeleteCredential(ctx context.Context, p kuva.Principal, id string) error {
	if _, err := s.Credential(ctx, p, id); err != nil {
		return err
	}
	if err := mayKeepSecrets(p, "delete_credential"); err != nil {
		return err
	}
	return s.db.Update(ctx, func(tx *catalog.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM credential WHERE id = $1`, id)
		if err == nil && n == 0 {
			err = notFound("credential", id)
		}
		if err != nil {
			return err
		}
		_, err = audit.Write(ctx, tx, audit.By(p, s.cfg.Now(), "credential.delete", id))
		return err
	})
}

// CreateEC2 makes a pair of EC2 keys for a user in a project that it has a
// role in.
func (s *Service) CreateEC2(ctx context.Context, p kuva.Principal, user, project string) (*EC2, error) {
	if err := mayTend(p, user); err != nil {
		return nil, err
	}
	if project == "" {
		return nil, kuva.E(kuva.CodeInvalid, "identity.credential_project")
	}
	keys := ec2Blob{Access: newID(), Secret: hex.EncodeToString(randomBytes(32))}
	blob, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	if _, err := s.CreateCredential(ctx, p, Credential{UserID: user, ProjectID: project, Kind: KindEC2, Blob: Secret(blob)}); err != nil {
		return nil, err
	}
	return &EC2{Access: keys.Access, Secret: Secret(keys.Secret), UserID: user, ProjectID: project}, nil
}

// EC2s lists the EC2 keys of a user.
func (s *Service) EC2s(ctx context.Context, p kuva.Principal, user string) ([]EC2, error) {
	if err := mayTend(p, user); err != nil {
		return nil, err
	}
	found, err := s.Credentials(ctx, p, CredentialFilter{UserID: user, Kind: KindEC2})
	if err != nil {
		return nil, err
	}
	out := make([]EC2, 0, len(found))
	for _, c := range found {
		out = append(out, c.ec2())
	}
	return out, nil
}

func (c Credential) ec2() EC2 {
	var keys ec2Blob
	_ = json.Unmarshal([]byte(c.Blob.Reveal()), &keys) // it was checked when it was kept
	return EC2{Access: keys.Access, Secret: Secret(keys.Secret), UserID: c.UserID, ProjectID: c.ProjectID}
}

// EC2 returns a user's pair of keys by its access key.
func (s *Service) EC2(ctx context.Context, p kuva.Principal, user, access string) (*EC2, error) {
	if err := mayTend(p, user); err != nil {
		return nil, err
	}
	c, err := s.Credential(ctx, p, ec2ID(access))
	switch {
	case kuva.CodeOf(err) == kuva.CodeNotFound, err == nil && c.UserID != user:
		return nil, notFound("credential", access)
	case err != nil:
		return nil, err
	}
	x := c.ec2()
	return &x, nil
}

// DeleteEC2 removes a user's pair of keys.
func (s *Service) DeleteEC2(ctx context.Context, p kuva.Principal, user, access string) error {
	if _, err := s.EC2(ctx, p, user, access); err != nil {
		return err
	}
	return s.DeleteCredential(ctx, p, ec2ID(access))
}
