package identityv3

import (
	"net/http"

	"kuva/internal/identity"
	"kuva/internal/rest"
)

type credentialInput struct {
	Credential struct {
		Type      string          `json:"type"`
		Blob      identity.Secret `json:"blob"`
		ProjectID string          `json:"project_id"`
		UserID    string          `json:"user_id"`
	} `json:"credential"`
}

func (in *credentialInput) credential() identity.Credential {
	c := in.Credential
	return identity.Credential{Kind: c.Type, Blob: c.Blob, ProjectID: c.ProjectID, UserID: c.UserID}
}

func (d *door) listCredentials(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	found, err := d.identity.Credentials(r.Context(), caller(r), identity.CredentialFilter{UserID: q.Get("user_id"), Kind: q.Get("type")})
	return list(d, w, r, "credentials", found, err, d.credential)
}

func (d *door) createCredential(w http.ResponseWriter, r *http.Request) error {
	var in credentialInput
	if err := rest.ReadJSON(r, &in, rest.KnownFields); err != nil {
		return err
	}
	x, err := d.identity.CreateCredential(r.Context(), caller(r), in.credential())
	return made(w, r, http.StatusCreated, "credential", x, err, d.credential)
}

func (d *door) showCredential(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.Credential(r.Context(), caller(r), r.PathValue("credential"))
	return made(w, r, http.StatusOK, "credential", x, err, d.credential)
}

func (d *door) updateCredential(w http.ResponseWriter, r *http.Request) error {
	old, err := d.identity.Credential(r.Context(), caller(r), r.PathValue("credential"))
	if err != nil {
		return err
	}
	var in credentialInput
	if err := rest.ReadJSON(r, &in, rest.KnownFields); err != nil {
		return err
	}
	if in.Credential.UserID != "" && in.Credential.UserID != old.UserID {
		return unsupported("moving credentials to another user")
	}
	x, err := d.identity.UpdateCredential(r.Context(), caller(r), old.ID, in.credential())
	return made(w, r, http.StatusOK, "credential", x, err, d.credential)
}

func (d *door) deleteCredential(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteCredential(r.Context(), caller(r), r.PathValue("credential")))
}

func (d *door) listEC2(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.EC2s(r.Context(), caller(r), r.PathValue("user"))
	return list(d, w, r, "credentials", found, err, d.ec2)
}

func (d *door) createEC2(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Project string `json:"tenant_id"`
	}
	if err := rest.ReadJSON(r, &in, rest.KnownFields); err != nil {
		return err
	}
	x, err := d.identity.CreateEC2(r.Context(), caller(r), r.PathValue("user"), in.Project)
	return made(w, r, http.StatusCreated, "credential", x, err, d.ec2)
}

func (d *door) showEC2(w http.ResponseWriter, r *http.Request) error {
	x, err := d.identity.EC2(r.Context(), caller(r), r.PathValue("user"), r.PathValue("access"))
	return made(w, r, http.StatusOK, "credential", x, err, d.ec2)
}

func (d *door) deleteEC2(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteEC2(r.Context(), caller(r), r.PathValue("user"), r.PathValue("access")))
}
