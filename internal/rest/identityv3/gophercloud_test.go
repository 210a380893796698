package identityv3

import (
	"net/http"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"

	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
)

// The library below Terraform and Packer finds the endpoints, logs in again
// when its token is gone, and manages projects and users.
func TestGophercloud(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	ctx := t.Context()
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: s.URL + "/identity/v3", Username: "admin", Password: canary, DomainName: "Default", TenantName: "admin", AllowReauth: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{Region: Region})
	if err != nil {
		t.Fatal(err)
	}
	opts := gophercloud.EndpointOpts{Type: "image", Region: Region, Availability: gophercloud.AvailabilityPublic}
	if at, err := provider.EndpointLocator(opts); err != nil || at != s.URL+"/image/" {
		t.Errorf("image at %q, %v", at, err)
	}
	p, err := projects.Create(ctx, c, projects.CreateOpts{Name: "blue", Description: "d"}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	u, err := users.Create(ctx, c, users.CreateOpts{Name: "alice", Password: canary + "1", DefaultProjectID: p.ID}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	if err := roles.Assign(ctx, c, identity.RoleID("member"), roles.AssignOpts{UserID: u.ID, ProjectID: p.ID}).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	s.do("DELETE", "/v3/auth/tokens", s.admin, "", "X-Subject-Token", provider.Token())
	pages, err := roles.ListAssignments(c, roles.ListAssignmentsOpts{UserID: u.ID}).AllPages(ctx)
	if err != nil {
		t.Fatal(err) // it should have logged in again
	}
	if found, err := roles.ExtractRoleAssignments(pages); err != nil || len(found) != 1 || found[0].Scope.Project.ID != p.ID {
		t.Errorf("%+v, %v", found, err)
	}
	if err := users.Delete(ctx, c, u.ID).ExtractErr(); err != nil {
		t.Error(err)
	}
	if _, err := users.Get(ctx, c, u.ID).Extract(); !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		t.Errorf("got %v", err)
	}
}
