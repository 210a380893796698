package identityv3

import (
	"net/http"

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
		Options        object           `json:"options"`
	} `json:"user"`
}

func (in *userInput) unsupported() error {
	if len(in.User.Options) > 0 {
		return unsupported("options of users")
	}
	return nil
}

func (d *door) createUser(w http.ResponseWriter, r *http.Request) error {
	if err := adminOnly(r, "user.create"); err != nil {
		return err
	}
	var in userInput
	if err := rest.ReadJSON(r, &in, rest.KnownFields); err != nil {
		return err
	}
	if err := in.unsupported(); err != nil {
		return err
	}
	x := in.User
	u, err := d.identity.CreateUser(r.Context(), caller(r), identity.User{
		Name: or(x.Name, ""), Email: or(x.Email, ""), Description: or(x.Description, ""),
		DefaultProject: or(x.DefaultProject, ""), DomainID: or(x.DomainID, ""), Enabled: or(x.Enabled, true),
	}, or(x.Password, ""))
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, object{"user": d.user(r, *u)})
}

func (d *door) showUser(w http.ResponseWriter, r *http.Request) error {
	u, err := d.identity.User(r.Context(), caller(r), r.PathValue("user"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, object{"user": d.user(r, *u)})
}

func (d *door) listUsers(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	found, err := d.identity.Users(r.Context(), caller(r), identity.UserFilter{
		DomainID: q.Get("domain_id"), Name: q.Get("name"), Enabled: boolean(q, "enabled"),
	})
	if err != nil {
		return err
	}
	return list(d, w, r, "users", found, d.user)
}

func (d *door) updateUser(w http.ResponseWriter, r *http.Request) error {
	if err := adminOnly(r, "user.update"); err != nil {
		return err
	}
	var in userInput
	if err := rest.ReadJSON(r, &in, rest.KnownFields); err != nil {
		return err
	}
	if err := in.unsupported(); err != nil {
		return err
	}
	x := in.User
	if x.DomainID != nil {
		return unsupported("moving users to another domain")
	}
	u, err := d.identity.UpdateUser(r.Context(), caller(r), r.PathValue("user"), identity.UserChange{
		Name: x.Name, Email: x.Email, Description: x.Description, DefaultProject: x.DefaultProject,
		Enabled: x.Enabled, Password: x.Password,
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, object{"user": d.user(r, *u)})
}

func (d *door) deleteUser(w http.ResponseWriter, r *http.Request) error {
	if err := d.identity.DeleteUser(r.Context(), caller(r), r.PathValue("user")); err != nil {
		return err
	}
	return noContent(w)
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
	if err := d.identity.ChangePassword(r.Context(), r.PathValue("user"), in.User.Original, in.User.Password, p); err != nil {
		return err
	}
	return noContent(w)
}
