package identityv3

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"

	"kuva/internal/identity"
	"kuva/internal/rest"
)

type userInput struct {
	User struct {
		Name           *string          `json:"name"`
		Password       *identity.Secret `json:"password"`
		Email          *string          `json:"email"`
		Description    *string          `json:"description"`
		DefaultProject *string          `json:"default_project_id"`
		DomainID       *string          `json:"domain_id"`
		Enabled        *bool            `json:"enabled"`
		Options        json.RawMessage  `json:"options"`
	} `json:"user"`

	options identity.UserOptions
}

// unsupported reads the options; several factors are what kuva cannot ask for.
func (in *userInput) unsupported() error {
	raw := bytes.TrimSpace(in.User.Options)
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var o struct {
		identity.UserOptions

		Factors *bool      `json:"multi_factor_auth_enabled"`
		Rules   [][]string `json:"multi_factor_auth_rules"`
	}
	if err := rest.DecodeJSON(raw, &o, rest.KnownFields); err != nil {
		return err
	}
	if o.Factors != nil && *o.Factors || len(o.Rules) > 0 {
		return unsupported("log-ins with several factors")
	}
	in.options = o.UserOptions
	return nil
}

func userFilter(q url.Values) (identity.UserFilter, error) {
	p, err := page(q)
	return identity.UserFilter{Page: p, DomainID: q.Get("domain_id"), Name: q.Get("name"), Enabled: boolean(q, "enabled")}, err
}

func userID(x identity.User) string { return x.ID }

func (d *door) createUser(w http.ResponseWriter, r *http.Request) error {
	var in userInput
	if err := read(r, "create_user", &in); err != nil {
		return err
	}
	x := in.User
	u, err := d.identity.CreateUser(r.Context(), caller(r), identity.User{
		Name: or(x.Name, ""), Email: or(x.Email, ""), Description: or(x.Description, ""), Options: in.options,
		DefaultProject: or(x.DefaultProject, ""), DomainID: or(x.DomainID, ""), Enabled: or(x.Enabled, true),
	}, or(x.Password, ""))
	return made(w, r, http.StatusCreated, "user", u, err, d.user)
}

func (d *door) showUser(w http.ResponseWriter, r *http.Request) error {
	u, err := d.identity.User(r.Context(), caller(r), r.PathValue("user"))
	return made(w, r, http.StatusOK, "user", u, err, d.user)
}

func (d *door) listUsers(w http.ResponseWriter, r *http.Request) error {
	f, err := userFilter(r.URL.Query())
	if err != nil {
		return err
	}
	found, err := d.identity.Users(r.Context(), caller(r), f)
	return pages(d, w, r, "users", found, err, f.Page, userID, d.user)
}

func (d *door) updateUser(w http.ResponseWriter, r *http.Request) error {
	var in userInput
	if err := read(r, "update_user", &in); err != nil {
		return err
	}
	x := in.User
	if x.DomainID != nil {
		return unsupported("moving users to another domain")
	}
	u, err := d.identity.UpdateUser(r.Context(), caller(r), r.PathValue("user"), identity.UserChange{
		Name: x.Name, Email: x.Email, Description: x.Description, DefaultProject: x.DefaultProject,
		Enabled: x.Enabled, Password: x.Password, Options: in.options,
	})
	return made(w, r, http.StatusOK, "user", u, err, d.user)
}

func (d *door) deleteUser(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.DeleteUser(r.Context(), caller(r), r.PathValue("user")))
}

// changePassword needs no token: the old password is the proof.
func (d *door) changePassword(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		User struct {
			Password identity.Secret `json:"password"`
			Original identity.Secret `json:"original_password"`
		} `json:"user"`
	}
	if err := rest.ReadJSON(r, &in, rest.KnownFields); err != nil {
		return err
	}
	p := caller(r)
	p.RequestID, p.Address = rest.CallOf(r.Context()).RequestID, rest.Address(r)
	return done(w, d.identity.ChangePassword(r.Context(), r.PathValue("user"), in.User.Original, in.User.Password, p))
}
