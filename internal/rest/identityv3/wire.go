package identityv3

import (
	"net/http"
	"time"

	"kuva/internal/identity"
	"kuva/internal/rest"
)

// The structs are the wire of the Identity API v3. Members that clients may
// send but that kuva has no use for are there so that they are accepted.

const keystoneTime = "2006-01-02T15:04:05.000000Z"

func stamp(t time.Time) string { return t.UTC().Format(keystoneTime) }

type object = map[string]any

type links struct {
	Self     string  `json:"self"`
	Previous *string `json:"previous"`
	Next     *string `json:"next"`
}

type selfLink struct {
	Self string `json:"self"`
}

type idName struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type owned struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain idName `json:"domain"`
}

type domainBody struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Enabled     bool     `json:"enabled"`
	Tags        []string `json:"tags"`
	Options     object   `json:"options"`
	Links       selfLink `json:"links"`
}

func (d *door) domain(r *http.Request, x identity.Domain) domainBody {
	return domainBody{
		ID: x.ID, Name: x.Name, Description: x.Description, Enabled: x.Enabled, Tags: []string{}, Options: object{},
		Links: selfLink{d.base(r) + "/domains/" + x.ID},
	}
}

type projectBody struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	DomainID    string   `json:"domain_id"`
	Description string   `json:"description"`
	Enabled     bool     `json:"enabled"`
	ParentID    string   `json:"parent_id"`
	IsDomain    bool     `json:"is_domain"`
	Tags        []string `json:"tags"`
	Options     object   `json:"options"`
	Links       selfLink `json:"links"`
}

func (d *door) project(r *http.Request, p identity.Project) projectBody {
	return projectBody{
		ID: p.ID, Name: p.Name, DomainID: p.DomainID, Description: p.Description, Enabled: p.Enabled,
		ParentID: p.DomainID, Tags: []string{}, Options: object{}, Links: selfLink{d.base(r) + "/projects/" + p.ID},
	}
}

type userBody struct {
	ID                string   `json:"id"`
	Name              string   `json:"name"`
	DomainID          string   `json:"domain_id"`
	Enabled           bool     `json:"enabled"`
	Email             string   `json:"email,omitempty"`
	Description       string   `json:"description,omitempty"`
	DefaultProject    string   `json:"default_project_id,omitempty"`
	PasswordExpiresAt *string  `json:"password_expires_at"`
	Options           object   `json:"options"`
	Links             selfLink `json:"links"`
}

func (d *door) user(r *http.Request, u identity.User) userBody {
	return userBody{
		ID: u.ID, Name: u.Name, DomainID: u.DomainID, Enabled: u.Enabled, Email: u.Email, Description: u.Description,
		DefaultProject: u.DefaultProject, Options: object{}, Links: selfLink{d.base(r) + "/users/" + u.ID},
	}
}

type roleBody struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	DomainID    *string  `json:"domain_id"`
	Description *string  `json:"description"`
	Options     object   `json:"options"`
	Links       selfLink `json:"links"`
}

func (d *door) role(r *http.Request, x identity.Role) roleBody {
	return roleBody{ID: x.ID, Name: x.Name, Options: object{}, Links: selfLink{d.base(r) + "/roles/" + x.ID}}
}

type tokenUser struct {
	owned
	PasswordExpiresAt *string `json:"password_expires_at"`
}

type tokenBody struct {
	Methods   []string   `json:"methods"`
	User      tokenUser  `json:"user"`
	AuditIDs  []string   `json:"audit_ids"`
	ExpiresAt string     `json:"expires_at"`
	IssuedAt  string     `json:"issued_at"`
	Project   *owned     `json:"project,omitempty"`
	IsDomain  *bool      `json:"is_domain,omitempty"`
	Roles     []idName   `json:"roles,omitempty"`
	Catalog   *[]service `json:"catalog,omitempty"`
}

func (d *door) token(r *http.Request, t *identity.Token) tokenBody {
	b := tokenBody{
		Methods:  t.Methods,
		User:     tokenUser{owned: owned{t.User.ID, t.User.Name, idName{t.User.DomainID, t.User.DomainName}}},
		AuditIDs: t.AuditIDs, ExpiresAt: stamp(t.ExpiresAt), IssuedAt: stamp(t.IssuedAt),
	}
	if t.Project == nil {
		return b
	}
	b.Project = &owned{t.Project.ID, t.Project.Name, idName{t.Project.DomainID, t.Project.DomainName}}
	b.IsDomain = new(bool)
	for _, x := range t.Roles {
		b.Roles = append(b.Roles, idName{x.ID, x.Name})
	}
	if !r.URL.Query().Has("nocatalog") {
		c := d.catalog(r)
		b.Catalog = &c
	}
	return b
}

// list writes a collection.
func list[T, B any](d *door, w http.ResponseWriter, r *http.Request, name string, items []T, body func(*http.Request, T) B) error {
	out := make([]B, 0, len(items))
	for _, x := range items {
		out = append(out, body(r, x))
	}
	return answer(w, http.StatusOK, object{name: out, "links": d.links(r)})
}

func (d *door) links(r *http.Request) links {
	return links{Self: rest.PublicURL(d.PublicURL, r) + r.URL.EscapedPath()}
}
