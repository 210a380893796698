package identityv3

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/applicationcredentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/catalog"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/credentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/domains"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/ec2credentials"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/endpoints"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/groups"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/regions"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/roles"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/services"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/users"
	"github.com/gophercloud/gophercloud/v2/pagination"

	"kuva/internal/catalog/catalogtest"
	"kuva/internal/identity"
)

// must is for calls of gophercloud that have to succeed.
func must[T any](t *testing.T) func(x T, err error) T {
	t.Helper()
	return func(x T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

func ok(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// all reads every page of a list.
func all[T any](t *testing.T, p pagination.Pager, extract func(pagination.Page) ([]T, error)) []T {
	t.Helper()
	pages, err := p.AllPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return must[[]T](t)(extract(pages))
}

func gopher(t *testing.T, s *site, opts gophercloud.AuthOptions) *gophercloud.ServiceClient {
	t.Helper()
	opts.IdentityEndpoint = s.URL + "/identity/v3"
	provider := must[*gophercloud.ProviderClient](t)(openstack.AuthenticatedClient(t.Context(), opts))
	return must[*gophercloud.ServiceClient](t)(openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{Region: Region}))
}

// TestGophercloudAll goes through the library's packages of the Identity API,
// which Terraform's provider is made of.
func TestGophercloudAll(t *testing.T) {
	s := newSite(t, catalogtest.SQLite(t))
	ctx, yes, no := t.Context(), true, false
	c := gopher(t, s, gophercloud.AuthOptions{Username: "admin", Password: canary, DomainName: "Default", TenantName: "admin"})
	check := func(what string, ok bool) {
		t.Helper()
		if !ok {
			t.Error(what)
		}
	}

	// domains
	d := must[*domains.Domain](t)(domains.Create(ctx, c, domains.CreateOpts{Name: "lab", Description: "d", Enabled: &yes}).Extract())
	check("get domain", must[*domains.Domain](t)(domains.Get(ctx, c, d.ID).Extract()).Name == "lab")
	check("list domains", len(all(t, domains.List(c, domains.ListOpts{Name: "lab"}), domains.ExtractDomains)) == 1)

	// projects, in pages of one
	p := must[*projects.Project](t)(projects.Create(ctx, c, projects.CreateOpts{Name: "blue", DomainID: d.ID, Tags: []string{"a", "b"}, Description: "d"}).Extract())
	must[*projects.Project](t)(projects.Create(ctx, c, projects.CreateOpts{Name: "green", DomainID: d.ID, Tags: []string{"b"}}).Extract())
	check("parent", p.ParentID == d.ID && len(p.Tags) == 2)
	text, tags := "other", []string{"c"}
	p = must[*projects.Project](t)(projects.Update(ctx, c, p.ID, projects.UpdateOpts{Description: &text, Tags: &tags}).Extract())
	check("update project", p.Description == text && len(p.Tags) == 1 && p.Name == "blue")
	check("by tag", len(all(t, projects.List(c, projects.ListOpts{Tags: "c"}), projects.ExtractProjects)) == 1)
	check("by no tag", len(all(t, projects.List(c, projects.ListOpts{NotTags: "c", DomainID: d.ID}), projects.ExtractProjects)) == 1)
	check("contains", len(all(t, projects.List(c, projects.ListOpts{Filters: map[string]string{"name__contains": "ee"}}), projects.ExtractProjects)) == 1)
	check("istartswith", len(all(t, projects.List(c, projects.ListOpts{Filters: map[string]string{"name__istartswith": "BL"}}), projects.ExtractProjects)) == 1)

	// users, groups
	u := must[*users.User](t)(users.Create(ctx, c, users.CreateOpts{
		Name: "alice", DomainID: d.ID, DefaultProjectID: p.ID, Password: canary + "1", Options: map[users.Option]any{"lock_password": true},
	}).Extract())
	check("options", must[*users.User](t)(users.Get(ctx, c, u.ID).Extract()).Options["lock_password"] == true)
	err := users.ChangePassword(ctx, c, u.ID, users.ChangePasswordOpts{OriginalPassword: canary + "1", Password: canary + "2"}).ExtractErr()
	check("locked password", gophercloud.ResponseCodeIs(err, http.StatusForbidden))
	must[*users.User](t)(users.Update(ctx, c, u.ID, users.UpdateOpts{Description: &text, Options: map[users.Option]any{"lock_password": false}}).Extract())
	g := must[*groups.Group](t)(groups.Create(ctx, c, groups.CreateOpts{Name: "crew", DomainID: d.ID, Description: "g"}).Extract())
	g = must[*groups.Group](t)(groups.Update(ctx, c, g.ID, groups.UpdateOpts{Name: "team"}).Extract())
	check("get group", must[*groups.Group](t)(groups.Get(ctx, c, g.ID).Extract()).Name == "team" && g.Description == "g")
	ok(t, users.AddToGroup(ctx, c, g.ID, u.ID).ExtractErr())
	check("member", must[bool](t)(users.IsMemberOfGroup(ctx, c, g.ID, u.ID).Extract()))
	check("list groups", len(all(t, groups.List(c, groups.ListOpts{DomainID: d.ID}), groups.ExtractGroups)) == 1)
	check("groups of a user", len(all(t, users.ListGroups(c, u.ID), groups.ExtractGroups)) == 1)
	check("users in a group", len(all(t, users.ListInGroup(c, g.ID, users.ListOpts{}), users.ExtractUsers)) == 1)
	check("list users", len(all(t, users.List(c, users.ListOpts{DomainID: d.ID, Enabled: &yes}), users.ExtractUsers)) == 1)

	// roles: of users and groups, on projects and domains, implied
	member, reader := identity.RoleID("member"), identity.RoleID("reader")
	ok(t, roles.Assign(ctx, c, member, roles.AssignOpts{GroupID: g.ID, ProjectID: p.ID}).ExtractErr(),
		roles.Assign(ctx, c, reader, roles.AssignOpts{UserID: u.ID, DomainID: d.ID}).ExtractErr(),
		roles.Validate(ctx, c, member, roles.ValidateOpts{GroupID: g.ID, ProjectID: p.ID}).ExtractErr())
	check("not given", gophercloud.ResponseCodeIs(roles.Validate(ctx, c, reader, roles.ValidateOpts{GroupID: g.ID, ProjectID: p.ID}).ExtractErr(), http.StatusNotFound))
	check("on a domain", len(all(t, roles.ListAssignmentsOnResource(c, roles.ListAssignmentsOnResourceOpts{UserID: u.ID, DomainID: d.ID}), roles.ExtractRoles)) == 1)
	check("by the group", len(all(t, roles.ListAssignments(c, roles.ListAssignmentsOpts{UserID: u.ID, Effective: &yes, IncludeNames: &yes}), roles.ExtractRoleAssignments)) == 3)
	check("projects of a user", len(all(t, users.ListProjects(c, u.ID), projects.ExtractProjects)) == 1)
	r := must[*roles.Role](t)(roles.Create(ctx, c, roles.CreateOpts{Name: "auditor"}).Extract())
	r = must[*roles.Role](t)(roles.Update(ctx, c, r.ID, roles.UpdateOpts{Name: "inspector"}).Extract())
	rule := must[*roles.RoleInferenceRule](t)(roles.CreateRoleInferenceRule(ctx, c, r.ID, reader).Extract())
	check("implied", rule.RoleInference.ImpliedRole.ID == reader)
	inferences := must[*roles.RoleInferenceRuleList](t)(roles.ListRoleInferenceRules(ctx, c).Extract())
	check("role inferences", len(inferences.RoleInferenceRuleList) == 3)
	ok(t, roles.DeleteRoleInferenceRule(ctx, c, r.ID, reader).ExtractErr(), roles.Delete(ctx, c, r.ID).ExtractErr())
	check("list roles", len(all(t, roles.List(c, roles.ListOpts{}), roles.ExtractRoles)) == 3)

	// tokens: the user, by the group's role; for the domain
	scope := tokens.AuthOptions{UserID: u.ID, Password: canary + "1", Scope: tokens.Scope{DomainID: d.ID}}
	got := tokens.Create(ctx, c, &scope)
	tok := must[*tokens.Token](t)(got.ExtractToken())
	check("domain token", must[*tokens.Domain](t)(got.ExtractDomain()).ID == d.ID)
	check("valid", must[bool](t)(tokens.Validate(ctx, c, tok.ID)))
	ok(t, tokens.Revoke(ctx, c, tok.ID).Err)
	check("revoked", !must[bool](t)(tokens.Validate(ctx, c, tok.ID)))
	alice := gopher(t, s, gophercloud.AuthOptions{UserID: u.ID, Password: canary + "1", Scope: &gophercloud.AuthScope{ProjectID: p.ID}})
	check("catalog", len(all(t, catalog.List(alice), catalog.ExtractServiceCatalog)) == 2)
	check("own projects", len(all(t, projects.ListAvailable(alice), projects.ExtractProjects)) == 1)
	check("own domains", len(all(t, domains.ListAvailable(alice), domains.ExtractDomains)) == 1)

	// application credentials
	later := time.Now().Add(time.Hour)
	ac := must[*applicationcredentials.ApplicationCredential](t)(applicationcredentials.Create(ctx, alice, u.ID, applicationcredentials.CreateOpts{
		Name: "ci", Roles: []applicationcredentials.Role{{Name: "reader"}}, ExpiresAt: &later,
		AccessRules: []applicationcredentials.AccessRule{{Service: "identity", Method: "GET", Path: "/v3/auth/projects"}},
	}).Extract())
	check("secret once", ac.Secret != "" && must[*applicationcredentials.ApplicationCredential](t)(applicationcredentials.Get(ctx, alice, u.ID, ac.ID).Extract()).Secret == "")
	robot := gopher(t, s, gophercloud.AuthOptions{ApplicationCredentialID: ac.ID, ApplicationCredentialSecret: ac.Secret})
	check("allowed", len(all(t, projects.ListAvailable(robot), projects.ExtractProjects)) == 1)
	_, err = users.Get(ctx, robot, u.ID).Extract()
	check("not allowed", gophercloud.ResponseCodeIs(err, http.StatusUnauthorized))
	gopher(t, s, gophercloud.AuthOptions{ApplicationCredentialName: "ci", ApplicationCredentialSecret: ac.Secret, Username: "alice", DomainID: d.ID})
	check("list", len(all(t, applicationcredentials.List(alice, u.ID, nil), applicationcredentials.ExtractApplicationCredentials)) == 1)
	rules := all(t, applicationcredentials.ListAccessRules(alice, u.ID), applicationcredentials.ExtractAccessRules)
	check("rules", len(rules) == 1 && rules[0].ID == ac.AccessRules[0].ID)
	ok(t, applicationcredentials.Delete(ctx, alice, u.ID, ac.ID).ExtractErr(), applicationcredentials.DeleteAccessRule(ctx, alice, u.ID, rules[0].ID).ExtractErr())

	// EC2 keys and other credentials
	keys := must[*ec2credentials.Credential](t)(ec2credentials.Create(ctx, alice, u.ID, ec2credentials.CreateOpts{TenantID: p.ID}).Extract())
	check("ec2", must[*ec2credentials.Credential](t)(ec2credentials.Get(ctx, alice, u.ID, keys.Access).Extract()).Secret == keys.Secret)
	check("ec2 list", len(all(t, ec2credentials.List(alice, u.ID), ec2credentials.ExtractCredentials)) == 1)
	check("as a credential", len(all(t, credentials.List(alice, credentials.ListOpts{Type: "ec2"}), credentials.ExtractCredentials)) == 1)
	ok(t, ec2credentials.Delete(ctx, alice, u.ID, keys.Access).ExtractErr())
	cert := must[*credentials.Credential](t)(credentials.Create(ctx, c, credentials.CreateOpts{UserID: u.ID, Type: "cert", Blob: "pem", ProjectID: p.ID}).Extract())
	cert = must[*credentials.Credential](t)(credentials.Update(ctx, c, cert.ID, credentials.UpdateOpts{Blob: "other"}).Extract())
	check("credential", must[*credentials.Credential](t)(credentials.Get(ctx, alice, cert.ID).Extract()).Blob == "other" && cert.Type == "cert")
	ok(t, credentials.Delete(ctx, c, cert.ID).ExtractErr())

	// the catalogue
	must[*regions.Region](t)(regions.Create(ctx, c, regions.CreateOpts{ID: "north", ParentRegionID: Region}).Extract())
	north := must[*regions.Region](t)(regions.Update(ctx, c, "north", regions.UpdateOpts{Description: &text}).Extract())
	check("region", north.Description == text && len(all(t, regions.List(c, regions.ListOpts{ParentRegionID: Region}), regions.ExtractRegions)) == 1)
	swift := must[*services.Service](t)(services.Create(ctx, c, services.CreateOpts{Type: "object-store", Extra: map[string]any{"name": "swift"}}).Extract())
	must[*services.Service](t)(services.Update(ctx, c, swift.ID, services.UpdateOpts{Enabled: &yes}).Extract())
	check("services", len(all(t, services.List(c, services.ListOpts{ServiceType: "object-store"}), services.ExtractServices)) == 1)
	e := must[*endpoints.Endpoint](t)(endpoints.Create(ctx, c, endpoints.CreateOpts{
		Availability: gophercloud.AvailabilityPublic, Name: "e", Region: "north", URL: "https://swift.example.org/", ServiceID: swift.ID,
	}).Extract())
	e = must[*endpoints.Endpoint](t)(endpoints.Update(ctx, c, e.ID, endpoints.UpdateOpts{URL: "https://other.example.org/"}).Extract())
	check("endpoint", must[*endpoints.Endpoint](t)(endpoints.Get(ctx, c, e.ID).Extract()).URL == "https://other.example.org/" && e.ServiceID == swift.ID)
	check("endpoints", len(all(t, endpoints.List(c, endpoints.ListOpts{ServiceID: swift.ID}), endpoints.ExtractEndpoints)) == 1)
	ok(t, endpoints.Delete(ctx, c, e.ID).ExtractErr(), services.Delete(ctx, c, swift.ID).ExtractErr(), regions.Delete(ctx, c, "north").ExtractErr())

	// and away: a domain goes with all that is in it
	ok(t, roles.Unassign(ctx, c, member, roles.UnassignOpts{GroupID: g.ID, ProjectID: p.ID}).ExtractErr(), users.RemoveFromGroup(ctx, c, g.ID, u.ID).ExtractErr())
	_, err = projects.Get(ctx, alice, p.ID).Extract()
	check("lost with the role", gophercloud.ResponseCodeIs(err, http.StatusUnauthorized))
	must[*domains.Domain](t)(domains.Update(ctx, c, d.ID, domains.UpdateOpts{Enabled: &no}).Extract())
	ok(t, domains.Delete(ctx, c, d.ID).ExtractErr())
	_, err = users.Get(ctx, c, u.ID).Extract()
	check("gone with the domain", gophercloud.ResponseCodeIs(err, http.StatusNotFound))
	_, err = groups.Get(ctx, c, g.ID).Extract()
	check("gone with the domain", gophercloud.ResponseCodeIs(err, http.StatusNotFound))
}
