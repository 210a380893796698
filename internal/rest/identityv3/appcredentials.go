package identityv3

import (
	"net/http"
	"strings"
	"time"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

type appCredentialInput struct {
	Credential struct {
		Name        string           `json:"name"`
		Description *string          `json:"description"`
		Secret      *identity.Secret `json:"secret"`
		ExpiresAt   *string          `json:"expires_at"`
		Roles       []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"roles"`
		Unrestricted bool `json:"unrestricted"`
		Rules        []struct {
			ID      string `json:"id"`
			Service string `json:"service"`
			Method  string `json:"method"`
			Path    string `json:"path"`
		} `json:"access_rules"`
		ProjectID string `json:"project_id"` // the token's, as some clients repeat it
	} `json:"application_credential"`
}

// maxListed bounds the lists of one application credential before they are
// copied.
const maxListed = 256

func (in *appCredentialInput) credential() (identity.NewApplicationCredential, error) {
	c := in.Credential
	out := identity.NewApplicationCredential{
		Name: c.Name, Description: or(c.Description, ""), Secret: or(c.Secret, ""), Unrestricted: c.Unrestricted,
	}
	if len(c.Roles) > maxListed {
		return out, kuva.E(kuva.CodeInvalid, "identity.role_not_yours", "role", "")
	}
	for _, x := range c.Roles {
		out.Roles = append(out.Roles, identity.Role{ID: x.ID, Name: x.Name})
	}
	for i, x := range c.Rules {
		if i == maxListed {
			break // too many all the same
		}
		out.Rules = append(out.Rules, identity.AccessRule{ID: x.ID, AccessRule: kuva.AccessRule{Service: x.Service, Method: x.Method, Path: x.Path}})
	}
	if c.ExpiresAt != nil && *c.ExpiresAt != "" {
		at, err := expiry(*c.ExpiresAt)
		if err != nil {
			return out, err
		}
		out.ExpiresAt = at
	}
	return out, nil
}

// expiry reads a time as Keystone does: ISO 8601, with or without a zone, with
// or without a fraction.
func expiry(s string) (time.Time, error) {
	if len(s) <= 40 {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999"} {
			if t, err := time.Parse(layout, strings.ToUpper(s)); err == nil && t.Year() < 10000 {
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, kuva.E(kuva.CodeInvalid, "identity.bad_time")
}

func (d *door) listAppCredentials(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.ApplicationCredentials(r.Context(), caller(r), r.PathValue("user"), r.URL.Query().Get("name"))
	return list(d, w, r, "application_credentials", found, err, d.appCredential)
}

func (d *door) createAppCredential(w http.ResponseWriter, r *http.Request) error {
	var in appCredentialInput
	if err := rest.ReadJSON(r, &in, rest.KnownFields); err != nil {
		return err
	}
	n, err := in.credential()
	if err != nil {
		return err
	}
	if p := in.Credential.ProjectID; p != "" && p != caller(r).ProjectID {
		return unsupported("application credentials for other projects than the token's")
	}
	x, err := d.identity.CreateApplicationCredential(r.Context(), caller(r), r.PathValue("user"), n)
	return made(w, r, http.StatusCreated, "application_credential", x, err, d.appCredential)
}

func (d *door) showAppCredential(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.ApplicationCredential(r.Context(), caller(r), r.PathValue("user"), r.PathValue("credential"))
	return made(w, r, http.StatusOK, "application_credential", x, err, d.appCredential)
}

func (d *door) deleteAppCredential(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteApplicationCredential(r.Context(), caller(r), r.PathValue("user"), r.PathValue("credential")))
}

func (d *door) listAccessRules(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	found, err := d.identity.AccessRules(r.Context(), caller(r), r.PathValue("user"), kuva.AccessRule{
		Service: q.Get("service"), Method: q.Get("method"), Path: q.Get("path"),
	})
	return list(d, w, r, "access_rules", found, err, d.accessRule)
}

func (d *door) showAccessRule(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.AccessRule(r.Context(), caller(r), r.PathValue("user"), r.PathValue("rule"))
	return made(w, r, http.StatusOK, "access_rule", x, err, d.accessRule)
}

func (d *door) deleteAccessRule(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteAccessRule(r.Context(), caller(r), r.PathValue("user"), r.PathValue("rule")))
}
