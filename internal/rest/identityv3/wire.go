package identityv3

import (
	"net/http"
	"time"

	"kuva/internal/identity"
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
		ID: x.ID, Name: x.Name, Description: x.Description, Enabled: x.Enabled, Tags: []string{}, Options: optionsOf(x.Immutable),
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
		ParentID: p.DomainID, Tags: append([]string{}, p.Tags...), Options: optionsOf(p.Immutable), Links: selfLink{d.base(r) + "/projects/" + p.ID},
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
	Options           any      `json:"options"`
	Links             selfLink `json:"links"`
}

func (d *door) user(r *http.Request, u identity.User) userBody {
	return userBody{
		ID: u.ID, Name: u.Name, DomainID: u.DomainID, Enabled: u.Enabled, Email: u.Email, Description: u.Description,
		DefaultProject: u.DefaultProject, Options: u.Options, Links: selfLink{d.base(r) + "/users/" + u.ID},
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
	b := roleBody{ID: x.ID, Name: x.Name, Options: optionsOf(x.Immutable), Links: selfLink{d.base(r) + "/roles/" + x.ID}}
	if x.Description != "" {
		b.Description = &x.Description
	}
	return b
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
	Domain    *idName    `json:"domain,omitempty"`
	System    object     `json:"system,omitempty"`
	Roles     []idName   `json:"roles,omitempty"`
	Catalog   *[]service `json:"catalog,omitempty"`

	Credential *tokenCredential `json:"application_credential,omitempty"`
}

// tokenCredential tells services how a token that was made with an application
// credential is limited. They hold it to AccessRules where there are any.
type tokenCredential struct {
	ID          string           `json:"id"`
	Name        string           `json:"name"`
	Restricted  bool             `json:"restricted"`
	AccessRules []accessRuleBody `json:"access_rules,omitempty"`
}

func (d *door) token(r *http.Request, t *identity.Token) (tokenBody, error) {
	b := tokenBody{
		Methods:  t.Methods,
		User:     tokenUser{owned: owned{t.User.ID, t.User.Name, idName{t.User.DomainID, t.User.DomainName}}},
		AuditIDs: t.AuditIDs, ExpiresAt: stamp(t.ExpiresAt), IssuedAt: stamp(t.IssuedAt),
	}
	if c := t.Credential; c != nil {
		b.Credential = &tokenCredential{ID: c.ID, Name: c.Name, Restricted: !c.Unrestricted}
		for _, rule := range c.Rules {
			b.Credential.AccessRules = append(b.Credential.AccessRules, accessRuleOf(rule))
		}
	}
	project := ""
	switch {
	case t.Project != nil:
		project = t.Project.ID
		b.Project = &owned{t.Project.ID, t.Project.Name, idName{t.Project.DomainID, t.Project.DomainName}}
		b.IsDomain = new(bool)
	case t.Domain != nil:
		b.Domain = &idName{t.Domain.ID, t.Domain.Name}
	case t.System:
		b.System = object{"all": true}
	default:
		return b, nil
	}
	for _, x := range t.Roles {
		b.Roles = append(b.Roles, idName{x.ID, x.Name})
	}
	if !r.URL.Query().Has("nocatalog") {
		c, err := d.catalog(r, t.User.ID, project)
		if err != nil {
			return b, err
		}
		b.Catalog = &c
	}
	return b, nil
}

type groupBody struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	DomainID    string   `json:"domain_id"`
	Description string   `json:"description"`
	Links       selfLink `json:"links"`
}

func (d *door) group(r *http.Request, x identity.Group) groupBody {
	return groupBody{ID: x.ID, Name: x.Name, DomainID: x.DomainID, Description: x.Description, Links: selfLink{d.base(r) + "/groups/" + x.ID}}
}

type accessRuleBody struct {
	ID      string    `json:"id"`
	Service string    `json:"service"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Links   *selfLink `json:"links,omitempty"`
}

func accessRuleOf(x identity.AccessRule) accessRuleBody {
	return accessRuleBody{ID: x.ID, Service: x.Service, Method: x.Method, Path: x.Path}
}

func (d *door) accessRule(r *http.Request, x identity.AccessRule) accessRuleBody {
	b := accessRuleOf(x)
	b.Links = &selfLink{d.base(r) + "/users/" + r.PathValue("user") + "/access_rules/" + x.ID}
	return b
}

type appCredentialBody struct {
	ID           string           `json:"id"`
	Name         string           `json:"name"`
	Description  *string          `json:"description"`
	ProjectID    string           `json:"project_id"`
	Roles        []idName         `json:"roles"`
	ExpiresAt    *string          `json:"expires_at"`
	Unrestricted bool             `json:"unrestricted"`
	AccessRules  []accessRuleBody `json:"access_rules,omitempty"`
	Secret       string           `json:"secret,omitempty"` // in the answer that made it, and never again
	Links        selfLink         `json:"links"`
}

func (d *door) appCredential(r *http.Request, x identity.ApplicationCredential) appCredentialBody {
	b := appCredentialBody{
		ID: x.ID, Name: x.Name, ProjectID: x.ProjectID, Roles: []idName{}, Unrestricted: x.Unrestricted, Secret: x.Secret.Reveal(),
		Links: selfLink{d.base(r) + "/users/" + x.UserID + "/application_credentials/" + x.ID},
	}
	if x.Description != "" {
		b.Description = &x.Description
	}
	if !x.ExpiresAt.IsZero() {
		at := x.ExpiresAt.UTC().Format("2006-01-02T15:04:05.000000")
		b.ExpiresAt = &at
	}
	for _, role := range x.Roles {
		b.Roles = append(b.Roles, idName{role.ID, role.Name})
	}
	for _, rule := range x.Rules {
		b.AccessRules = append(b.AccessRules, accessRuleOf(rule))
	}
	return b
}

type credentialBody struct {
	ID        string   `json:"id"`
	UserID    string   `json:"user_id"`
	ProjectID *string  `json:"project_id"`
	Type      string   `json:"type"`
	Blob      string   `json:"blob"`
	Links     selfLink `json:"links"`
}

func (d *door) credential(r *http.Request, x identity.Credential) credentialBody {
	b := credentialBody{ID: x.ID, UserID: x.UserID, Type: x.Kind, Blob: x.Blob.Reveal(), Links: selfLink{d.base(r) + "/credentials/" + x.ID}}
	if x.ProjectID != "" {
		b.ProjectID = &x.ProjectID
	}
	return b
}

type ec2Body struct {
	UserID    string   `json:"user_id"`
	ProjectID string   `json:"tenant_id"`
	Access    string   `json:"access"`
	Secret    string   `json:"secret"`
	TrustID   *string  `json:"trust_id"`
	Links     selfLink `json:"links"`
}

func (d *door) ec2(r *http.Request, x identity.EC2) ec2Body {
	return ec2Body{
		UserID: x.UserID, ProjectID: x.ProjectID, Access: x.Access, Secret: x.Secret.Reveal(),
		Links: selfLink{d.base(r) + "/users/" + x.UserID + "/credentials/OS-EC2/" + x.Access},
	}
}

type regionBody struct {
	ID          string   `json:"id"`
	Description string   `json:"description"`
	Parent      *string  `json:"parent_region_id"`
	Links       selfLink `json:"links"`
}

func (d *door) region(r *http.Request, x identity.Region) regionBody {
	b := regionBody{ID: x.ID, Description: x.Description, Links: selfLink{d.base(r) + "/regions/" + x.ID}}
	if x.Parent != "" {
		b.Parent = &x.Parent
	}
	return b
}

type serviceBody struct {
	ID          string   `json:"id"`
	Type        string   `json:"type"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Enabled     bool     `json:"enabled"`
	Links       selfLink `json:"links"`
}

func (d *door) service(r *http.Request, x identity.CloudService) serviceBody {
	return serviceBody{ID: x.ID, Type: x.Kind, Name: x.Name, Description: x.Description, Enabled: x.Enabled, Links: selfLink{d.base(r) + "/services/" + x.ID}}
}

type endpointBody struct {
	ID        string   `json:"id"`
	Interface string   `json:"interface"`
	Region    *string  `json:"region"`
	RegionID  *string  `json:"region_id"`
	ServiceID string   `json:"service_id"`
	URL       string   `json:"url"`
	Name      string   `json:"name,omitempty"`
	Enabled   bool     `json:"enabled"`
	Links     selfLink `json:"links"`
}

func (d *door) endpoint(r *http.Request, x identity.Endpoint) endpointBody {
	b := endpointBody{
		ID: x.ID, Interface: x.Interface, ServiceID: x.ServiceID, URL: d.url(r, x.URL), Name: x.Name, Enabled: x.Enabled,
		Links: selfLink{d.base(r) + "/endpoints/" + x.ID},
	}
	if x.Region != "" {
		b.Region, b.RegionID = &x.Region, &x.Region
	}
	return b
}
