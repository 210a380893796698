package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"kuva/api"
)

// Project is a tenant, as the Identity API v3 writes it.
type Project struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	DomainID    string   `json:"domain_id"`
	Description string   `json:"description"`
	Enabled     bool     `json:"enabled"`
	Tags        []string `json:"tags"`
}

// User is somebody who can log in.
type User struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	DomainID       string `json:"domain_id"`
	Description    string `json:"description,omitempty"`
	Email          string `json:"email,omitempty"`
	DefaultProject string `json:"default_project_id,omitempty"`
	Enabled        bool   `json:"enabled"`
}

// Role is a name that rules ask for.
type Role struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// Group is some users that are given roles together.
type Group struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	DomainID string `json:"domain_id"`
}

// Domain is a space of names.
type Domain struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Assignment says who has which role where. Of User and Group, and of Project
// and Domain, at most one is set.
type Assignment struct {
	Role  Named  `json:"role"`
	User  *Named `json:"user,omitempty"`
	Group *Named `json:"group,omitempty"`
	Scope struct {
		Project *Named          `json:"project,omitempty"`
		Domain  *Named          `json:"domain,omitempty"`
		System  map[string]bool `json:"system,omitempty"`
	} `json:"scope"`
}

// Named is a thing's id and name.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Identity manages users and projects, at the same cloud and as the same
// user as the client it comes from.
type Identity struct {
	svc *gophercloud.ServiceClient
}

// Identity finds the identity service in the catalogue.
func (c *Client) Identity() (*Identity, error) {
	svc, err := openstack.NewIdentityV3(c.image.ProviderClient, gophercloud.EndpointOpts{})
	if err != nil {
		return nil, fmt.Errorf("find the identity service: %w", answered(err))
	}
	return &Identity{svc}, nil
}

// Things that Identity manages, by their names in the API.
type thing interface {
	Project | User | Role | Group | Domain
}

func kind[T thing]() (one, many string) {
	var x T
	switch any(x).(type) {
	case Project:
		one = "project"
	case User:
		one = "user"
	case Role:
		one = "role"
	case Group:
		one = "group"
	case Domain:
		one = "domain"
	}
	return one, one + "s"
}

// ListThings lists what a query chooses (name, domain_id, enabled, …), all its
// pages.
func ListThings[T thing](ctx context.Context, i *Identity, q url.Values) ([]T, error) {
	_, many := kind[T]()
	var out []T
	for {
		var page map[string]json.RawMessage
		if _, err := i.svc.Get(ctx, i.svc.ServiceURL(many)+"?"+q.Encode(), &page, nil); err != nil {
			return nil, fmt.Errorf("list %s: %w", many, answered(err))
		}
		var found []T
		var links struct {
			Next string `json:"next"`
		}
		if err := errors.Join(json.Unmarshal(page[many], &found), json.Unmarshal(page["links"], &links)); err != nil {
			return nil, fmt.Errorf("list %s: the answer is none: %w", many, err)
		}
		out = append(out, found...)
		// Only where to go on is taken from the link: a proxy may have changed
		// the path.
		next, err := url.Parse(links.Next)
		if err != nil || len(found) == 0 || next.Query().Get("marker") == "" || next.Query().Get("marker") == q.Get("marker") {
			return out, nil
		}
		q.Set("marker", next.Query().Get("marker"))
	}
}

// FindThing reads the thing with an id, or else the only one with a name in a
// domain ("" for any). ErrNotFound where there is none.
func FindThing[T thing](ctx context.Context, i *Identity, nameOrID, domain string) (T, error) {
	one, many := kind[T]()
	var none T
	if nameOrID == "" {
		return none, fmt.Errorf("%s with an empty name: %w", one, errNoThing)
	}
	var got map[string]T
	_, err := i.svc.Get(ctx, i.svc.ServiceURL(many, url.PathEscape(nameOrID)), &got, nil)
	if err == nil {
		return got[one], nil
	}
	if err = answered(err); !errors.Is(err, ErrNotFound) {
		var refused *Error
		if !errors.As(err, &refused) || refused.Status != http.StatusForbidden {
			return none, fmt.Errorf("%s %q: %w", one, nameOrID, err)
		}
	}
	q := url.Values{"name": {nameOrID}}
	if domain != "" {
		q.Set("domain_id", domain)
	}
	found, err := ListThings[T](ctx, i, q)
	switch {
	case err != nil:
		return none, err
	case len(found) == 0:
		return none, fmt.Errorf("%s %q: %w", one, nameOrID, errNoThing)
	case len(found) > 1:
		return none, fmt.Errorf("several %s are named %q: say which by its id, or name a domain", many, nameOrID)
	}
	return found[0], nil
}

// errNoThing is ErrNotFound in words that are no image's.
var errNoThing = &Error{Status: http.StatusNotFound, Text: "there is none with this name or id"}

// CreateThing makes a thing of the API's members.
func CreateThing[T thing](ctx context.Context, i *Identity, members map[string]any) (T, error) {
	one, many := kind[T]()
	var got map[string]T
	_, err := i.svc.Post(ctx, i.svc.ServiceURL(many), map[string]any{one: members}, &got, &gophercloud.RequestOpts{OkCodes: []int{http.StatusCreated}})
	if err != nil {
		return got[one], fmt.Errorf("create %s: %w", one, answered(err))
	}
	return got[one], nil
}

// UpdateThing changes the members that are given.
func UpdateThing[T thing](ctx context.Context, i *Identity, id string, members map[string]any) (T, error) {
	one, many := kind[T]()
	var got map[string]T
	_, err := i.svc.Patch(ctx, i.svc.ServiceURL(many, url.PathEscape(id)), map[string]any{one: members}, &got, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
	if err != nil {
		return got[one], fmt.Errorf("change %s: %w", one, answered(err))
	}
	return got[one], nil
}

// DeleteThing deletes a thing by its id.
func DeleteThing[T thing](ctx context.Context, i *Identity, id string) error {
	one, many := kind[T]()
	if _, err := i.svc.Delete(ctx, i.svc.ServiceURL(many, url.PathEscape(id)), nil); err != nil {
		return fmt.Errorf("delete %s: %w", one, answered(err))
	}
	return nil
}

// Grant is a role of a user or a group in a project or a domain, by ids: one
// of each.
type Grant struct{ Role, User, Group, Project, Domain string }

func (i *Identity) grantURL(g Grant) string {
	on, who := []string{"projects", g.Project}, []string{"users", g.User}
	if g.Project == "" {
		on = []string{"domains", g.Domain}
	}
	if g.User == "" {
		who = []string{"groups", g.Group}
	}
	parts := append(append(on, who...), "roles", g.Role)
	for n := range parts {
		parts[n] = url.PathEscape(parts[n])
	}
	return i.svc.ServiceURL(parts...)
}

// Give gives a role; doing it twice changes nothing.
func (i *Identity) Give(ctx context.Context, g Grant) error {
	if _, err := i.svc.Put(ctx, i.grantURL(g), nil, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusNoContent}}); err != nil {
		return fmt.Errorf("give role: %w", answered(err))
	}
	return nil
}

// Take takes a role back.
func (i *Identity) Take(ctx context.Context, g Grant) error {
	if _, err := i.svc.Delete(ctx, i.grantURL(g), nil); err != nil {
		return fmt.Errorf("take role: %w", answered(err))
	}
	return nil
}

// Assignments lists who has which role where, with names; ids that are "" are
// left open.
func (i *Identity) Assignments(ctx context.Context, g Grant) ([]Assignment, error) {
	q := url.Values{"include_names": {"true"}}
	for name, id := range map[string]string{"role.id": g.Role, "user.id": g.User, "group.id": g.Group, "scope.project.id": g.Project, "scope.domain.id": g.Domain} {
		if id != "" {
			q.Set(name, id)
		}
	}
	var got struct {
		Assignments []Assignment `json:"role_assignments"`
	}
	if _, err := i.svc.Get(ctx, i.svc.ServiceURL("role_assignments")+"?"+q.Encode(), &got, nil); err != nil {
		return nil, fmt.Errorf("list assignments: %w", answered(err))
	}
	return got.Assignments, nil
}

// ownURL is an address of kuva's own API, which lies beside the Image API.
func (c *Client) ownURL(path string) string {
	base := strings.TrimSuffix(strings.TrimRight(c.image.Endpoint, "/"), "/v2")
	return strings.TrimSuffix(base, "/image") + "/kuva/v1/" + path
}

// Quota reads what a project may keep and what it keeps; "" is the caller's
// own. Only a kuva has it.
func (c *Client) Quota(ctx context.Context, project string) (api.Quota, error) {
	var q api.Quota
	if _, err := c.image.Get(ctx, c.ownURL("quota")+projectQuery(project), &q, nil); err != nil {
		return q, fmt.Errorf("quota: %w", answered(err))
	}
	return q, nil
}

// SetQuota sets limits of a project by their names; nil takes one back to the
// site's default, -1 is unlimited.
func (c *Client) SetQuota(ctx context.Context, project string, limits map[string]*int64) (api.Quota, error) {
	var q api.Quota
	_, err := c.image.Put(ctx, c.ownURL("quota")+projectQuery(project), api.QuotaChange{Limits: limits}, &q, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}})
	if err != nil {
		return q, fmt.Errorf("set quota: %w", answered(err))
	}
	return q, nil
}

func projectQuery(project string) string {
	if project == "" {
		return ""
	}
	return "?project=" + url.QueryEscape(project)
}
