package identityv3

import (
	"encoding/json"
	"net/http"
	"slices"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

const headerSubject = "X-Subject-Token"

// authBody is POST /v3/auth/tokens.
type authBody struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User struct {
					ID       string          `json:"id"`
					Name     string          `json:"name"`
					Domain   *domainRef      `json:"domain"`
					Password identity.Secret `json:"password"`
				} `json:"user"`
			} `json:"password"`
			Token *struct {
				ID identity.Secret `json:"id"`
			} `json:"token"`
		} `json:"identity"`
		Scope json.RawMessage `json:"scope"` // an object, or the word unscoped
	} `json:"auth"`
}

type domainRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type scopeBody struct {
	Project *struct {
		ID     string     `json:"id"`
		Name   string     `json:"name"`
		Domain *domainRef `json:"domain"`
	} `json:"project"`
	Unscoped *struct{}       `json:"unscoped"`
	Domain   json.RawMessage `json:"domain"`
	System   json.RawMessage `json:"system"`
	Trust    json.RawMessage `json:"OS-TRUST:trust"`
}

// authRequest is what a body asks for: exactly one of the two methods.
type authRequest struct {
	user     identity.Ref
	password identity.Secret
	token    identity.Secret // set for the method token
	scope    identity.Scope
}

// parseAuth reads the body of a log-in. Other members are ignored, as clients
// send them (reauthenticate, passcode fields); methods that kuva lacks are
// not. The form is checked before anything is looked up.
func parseAuth(body []byte) (authRequest, error) {
	var in authBody
	var out authRequest
	if err := rest.DecodeJSON(body, &in, rest.AnyFields); err != nil {
		return out, err
	}
	id := in.Auth.Identity
	bad := kuva.E(kuva.CodeInvalid, "identity.bad_auth")
	switch {
	case slices.Equal(id.Methods, []string{"password"}) && id.Password != nil:
		u := id.Password.User
		if u.ID == "" && (u.Name == "" || u.Domain == nil || *u.Domain == (domainRef{})) {
			return out, bad
		}
		out.user, out.password = ref(u.ID, u.Name, u.Domain), u.Password
	case slices.Equal(id.Methods, []string{"token"}) && id.Token != nil && id.Token.ID != "":
		out.token = id.Token.ID
	default:
		return out, bad
	}
	var err error
	out.scope, err = parseScope(in.Auth.Scope)
	return out, err
}

func parseScope(raw json.RawMessage) (identity.Scope, error) {
	switch string(raw) {
	case "", "null":
		return identity.Scope{}, nil
	case `"unscoped"`:
		return identity.Scope{Unscoped: true}, nil
	}
	var s scopeBody
	if err := rest.DecodeJSON(raw, &s, rest.AnyFields); err != nil {
		return identity.Scope{}, err
	}
	unsupported := kuva.E(kuva.CodeInvalid, "identity.unsupported_scope")
	switch {
	case s.Domain != nil, s.System != nil, s.Trust != nil, s.Unscoped != nil && s.Project != nil:
		return identity.Scope{}, unsupported
	case s.Unscoped != nil:
		return identity.Scope{Unscoped: true}, nil
	case s.Project == nil:
		return identity.Scope{}, unsupported
	}
	p := s.Project
	if p.ID == "" && (p.Name == "" || p.Domain == nil || *p.Domain == (domainRef{})) {
		return identity.Scope{}, unsupported
	}
	return identity.Scope{Project: ref(p.ID, p.Name, p.Domain)}, nil
}

// ref prefers the id; name and domain beside it are ignored, as in Keystone.
func ref(id, name string, d *domainRef) identity.Ref {
	if id != "" {
		return identity.Ref{ID: id}
	}
	out := identity.Ref{Name: name}
	if d != nil {
		out.DomainID, out.DomainName = d.ID, d.Name
	}
	return out
}

func (d *door) logIn(w http.ResponseWriter, r *http.Request) error {
	body, err := rest.ReadBody(r)
	if err != nil {
		return err
	}
	in, err := parseAuth(body)
	if err != nil {
		return err
	}
	var t *identity.Token
	if in.token != "" {
		t, err = d.identity.LogInToken(r.Context(), in.token.Reveal(), in.scope)
	} else {
		t, err = d.identity.LogInPassword(r.Context(), identity.LogIn{
			User: in.user, Password: in.password, Scope: in.scope, Address: rest.Address(r),
		})
	}
	if err != nil {
		return err
	}
	w.Header().Set(headerSubject, t.Secret.Reveal())
	return answer(w, http.StatusCreated, object{"token": d.token(r, t)})
}

func (d *door) showToken(w http.ResponseWriter, r *http.Request) error {
	subject := r.Header.Get(headerSubject)
	t, err := d.identity.DescribeFor(r.Context(), caller(r), subject)
	if err != nil {
		return err
	}
	w.Header().Set(headerSubject, subject)
	return answer(w, http.StatusOK, object{"token": d.token(r, t)})
}

func (d *door) revokeToken(w http.ResponseWriter, r *http.Request) error {
	if err := d.identity.Revoke(r.Context(), caller(r), r.Header.Get(headerSubject)); err != nil {
		return err
	}
	return noContent(w)
}

func (d *door) ownProjects(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.ProjectsOf(r.Context(), caller(r), caller(r).UserID)
	if err != nil {
		return err
	}
	return list(d, w, r, "projects", found, d.project)
}

// ownDomains is empty: no token is for a domain.
func (d *door) ownDomains(w http.ResponseWriter, r *http.Request) error {
	return list(d, w, r, "domains", nil, d.domain)
}

// ownSystem is empty: no token is for the system.
func (d *door) ownSystem(w http.ResponseWriter, r *http.Request) error {
	return answer(w, http.StatusOK, object{"system": []object{}, "links": d.links(r)})
}
