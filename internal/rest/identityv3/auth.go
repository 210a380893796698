package identityv3

import (
	"encoding/json"
	"net/http"
	"slices"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

const (
	headerSubject = "X-Subject-Token"
	// headerRules says that a service that looks at a token knows access rules.
	headerRules = "Openstack-Identity-Access-Rules"
)

// authBody is POST /v3/auth/tokens.
type authBody struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User userRef `json:"user"`
			} `json:"password"`
			Token *struct {
				ID identity.Secret `json:"id"`
			} `json:"token"`
			Credential *struct {
				ID     string          `json:"id"`
				Name   string          `json:"name"`
				Secret identity.Secret `json:"secret"`
				User   *userRef        `json:"user"`
			} `json:"application_credential"`
		} `json:"identity"`
		Scope json.RawMessage `json:"scope"` // an object, or the word unscoped
	} `json:"auth"`
}

type userRef struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Domain   *domainRef      `json:"domain"`
	Password identity.Secret `json:"password"`
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
	Domain   *domainRef `json:"domain"`
	Unscoped *struct{}  `json:"unscoped"`
	System   *struct {
		All bool `json:"all"`
	} `json:"system"`
	Trust json.RawMessage `json:"OS-TRUST:trust"`
}

// maxMethods bounds the methods of one log-in: each is there once.
const maxMethods = 3

// authRequest is what a body asks for.
type authRequest struct {
	proofs []identity.Proof
	scope  identity.Scope
}

// parseAuth reads the body of a log-in. Other members are ignored, as clients
// send them (reauthenticate, passcode fields). The form is checked before
// anything is looked up.
func parseAuth(body []byte) (authRequest, error) {
	var in authBody
	var out authRequest
	if err := rest.DecodeJSON(body, &in, rest.AnyFields); err != nil {
		return out, err
	}
	id := in.Auth.Identity
	bad := kuva.E(kuva.CodeInvalid, "identity.bad_auth")
	if len(id.Methods) == 0 || len(id.Methods) > maxMethods {
		return out, bad
	}
	for i, method := range id.Methods {
		proof := identity.Proof{Method: method}
		switch {
		case slices.Contains(id.Methods[:i], method):
			continue
		case method == identity.MethodPassword && id.Password != nil && id.Password.User.whole():
			u := id.Password.User
			proof.User, proof.Secret = ref(u.ID, u.Name, u.Domain), u.Password
		case method == identity.MethodToken && id.Token != nil && id.Token.ID != "":
			proof.Secret = id.Token.ID
		case method == identity.MethodApplicationCredential && id.Credential != nil &&
			(id.Credential.ID != "" || id.Credential.Name != "" && id.Credential.User != nil && id.Credential.User.whole()):
			c := id.Credential
			proof.ID, proof.Secret = c.ID, c.Secret
			if c.ID == "" {
				proof.Name, proof.User = c.Name, ref(c.User.ID, c.User.Name, c.User.Domain)
			}
		case method == identity.MethodPassword, method == identity.MethodToken, method == identity.MethodApplicationCredential:
			return out, bad
		default: // Keystone's answer to a method that it does not have
			return out, kuva.E(kuva.CodeUnauthenticated, "identity.bad_method")
		}
		out.proofs = append(out.proofs, proof)
	}
	var err error
	out.scope, err = parseScope(in.Auth.Scope)
	return out, err
}

// whole says that a user is named: by id, or by name and domain.
func (u userRef) whole() bool {
	return u.ID != "" || u.Name != "" && u.Domain != nil && *u.Domain != (domainRef{})
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
	asked := 0
	for _, there := range []bool{s.Project != nil, s.Domain != nil, s.System != nil, s.Unscoped != nil, s.Trust != nil} {
		if there {
			asked++
		}
	}
	switch {
	case asked != 1, s.Trust != nil:
	case s.Unscoped != nil:
		return identity.Scope{Unscoped: true}, nil
	case s.System != nil && s.System.All:
		return identity.Scope{System: true}, nil
	case s.Domain != nil && *s.Domain != (domainRef{}):
		return identity.Scope{Domain: ref(s.Domain.ID, s.Domain.Name, nil)}, nil
	case s.Project != nil && (s.Project.ID != "" || s.Project.Name != "" && s.Project.Domain != nil && *s.Project.Domain != (domainRef{})):
		return identity.Scope{Project: ref(s.Project.ID, s.Project.Name, s.Project.Domain)}, nil
	}
	return identity.Scope{}, kuva.E(kuva.CodeInvalid, "identity.unsupported_scope")
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
	t, err := d.identity.LogIn(r.Context(), in.proofs, in.scope, rest.Address(r))
	if err != nil {
		return err
	}
	out, err := d.token(r, t)
	if err != nil {
		return err
	}
	w.Header().Set(headerSubject, t.Secret.Reveal())
	return answer(w, http.StatusCreated, object{"token": out})
}

func (d *door) showToken(w http.ResponseWriter, r *http.Request) error {
	subject := r.Header.Get(headerSubject)
	expired := boolean(r.URL.Query(), "allow_expired")
	t, err := d.identity.DescribeFor(r.Context(), caller(r), subject, expired != nil && *expired)
	if err != nil {
		return err
	}
	if c := t.Credential; c != nil && len(c.Rules) > 0 && subject != r.Header.Get(rest.HeaderToken) && r.Header.Get(headerRules) == "" {
		// A service that knows no access rules would take the token for more
		// than it is good for.
		return kuva.E(kuva.CodeNotFound, "identity.token_not_found")
	}
	out, err := d.token(r, t)
	if err != nil {
		return err
	}
	w.Header().Set(headerSubject, subject)
	return answer(w, http.StatusOK, object{"token": out})
}

func (d *door) revokeToken(w http.ResponseWriter, r *http.Request) error {
	return done(w, d.identity.Revoke(r.Context(), caller(r), r.Header.Get(headerSubject)))
}

func (d *door) ownProjects(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.ProjectsOf(r.Context(), caller(r), caller(r).UserID, identity.ProjectFilter{})
	return list(d, w, r, "projects", found, err, d.project)
}

func (d *door) ownDomains(w http.ResponseWriter, r *http.Request) error {
	found, err := d.identity.DomainsOf(r.Context(), caller(r))
	return list(d, w, r, "domains", found, err, d.domain)
}

func (d *door) ownSystem(w http.ResponseWriter, r *http.Request) error {
	on, err := d.identity.OnSystem(r.Context(), caller(r))
	if err != nil {
		return err
	}
	system := []object{}
	if on {
		system = append(system, object{"all": true})
	}
	return answer(w, http.StatusOK, object{"system": system, "links": d.links(r)})
}
