// Package identityv3 is the door of the Identity API v3: tokens, the
// catalogue, domains, projects, users, groups, roles and credentials, so that
// unmodified OpenStack clients and test suites can do without Keystone. It
// translates between the wire and package identity, and decides nothing.
package identityv3

import (
	"net/http"
	"strings"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/policy"
	"kuva/internal/rest"
)

// Prefix is where the door is mounted. The handler takes whole paths; do not
// strip it.
const Prefix = "/identity"

// Config is what the door needs.
type Config struct {
	Identity *identity.Service
	// Policy stands before the calls with a token; nil is the default.
	Policy *policy.Policy
	// Door is the frame: log, metrics, public URL. Name and Errors are set
	// by New.
	Door rest.Door
}

type door struct {
	rest.Door
	identity *identity.Service
}

// Handler serves everything below Prefix, and Prefix itself.
type Handler struct {
	http.Handler
	router *rest.Router
}

// Routes lists the patterns of the door, for tests over all routes.
func (h *Handler) Routes() []string { return h.router.Routes() }

// New makes the door.
func New(cfg Config) *Handler {
	d := &door{Door: cfg.Door, identity: cfg.Identity}
	d.Name, d.Errors = "identityv3", rest.KeystoneErrors
	rt := rest.NewRouter(&d.Door)

	type handler = func(w http.ResponseWriter, r *http.Request) error
	open := func(pattern string, h handler) {
		method, path, _ := strings.Cut(pattern, " ")
		rt.HandleFunc(method+" "+Prefix+path, h)
	}
	// Everything else needs a token.
	with := func(pattern string, h handler) {
		method, path, _ := strings.Cut(pattern, " ")
		rt.Handle(method+" "+Prefix+path, d.Authenticate(cfg.Identity, d.Authorize(cfg.Policy, method+" "+Prefix+path, d.Func(h))))
	}

	open("GET ", d.versions)
	open("GET /{$}", d.versions)
	open("GET /v3", d.version)
	open("GET /v3/{$}", d.version)
	open("POST /v3/auth/tokens", d.logIn)
	open("POST /v3/users/{user}/password", d.changePassword)

	with("GET /v3/auth/tokens", d.showToken) // HEAD too
	with("DELETE /v3/auth/tokens", d.revokeToken)
	with("GET /v3/auth/catalog", d.showCatalog)
	with("GET /v3/auth/projects", d.ownProjects)
	with("GET /v3/auth/domains", d.ownDomains)
	with("GET /v3/auth/system", d.ownSystem)

	with("GET /v3/domains", d.listDomains)
	with("POST /v3/domains", d.createDomain)
	with("GET /v3/domains/{domain}", d.showDomain)
	with("PATCH /v3/domains/{domain}", d.updateDomain)
	with("DELETE /v3/domains/{domain}", d.deleteDomain)

	with("GET /v3/projects", d.listProjects)
	with("POST /v3/projects", d.createProject)
	with("GET /v3/projects/{project}", d.showProject)
	with("PATCH /v3/projects/{project}", d.updateProject)
	with("DELETE /v3/projects/{project}", d.deleteProject)
	with("GET /v3/projects/{project}/tags", d.listTags)
	with("PUT /v3/projects/{project}/tags", d.setTags)
	with("DELETE /v3/projects/{project}/tags", d.deleteTags)
	with("GET /v3/projects/{project}/tags/{tag}", d.checkTag)
	with("PUT /v3/projects/{project}/tags/{tag}", d.addTag)
	with("DELETE /v3/projects/{project}/tags/{tag}", d.removeTag)

	with("GET /v3/users", d.listUsers)
	with("POST /v3/users", d.createUser)
	with("GET /v3/users/{user}", d.showUser)
	with("PATCH /v3/users/{user}", d.updateUser)
	with("DELETE /v3/users/{user}", d.deleteUser)
	with("GET /v3/users/{user}/projects", d.userProjects)
	with("GET /v3/users/{user}/groups", d.userGroups)

	with("GET /v3/groups", d.listGroups)
	with("POST /v3/groups", d.createGroup)
	with("GET /v3/groups/{group}", d.showGroup)
	with("PATCH /v3/groups/{group}", d.updateGroup)
	with("DELETE /v3/groups/{group}", d.deleteGroup)
	with("GET /v3/groups/{group}/users", d.listMembers)
	with("GET /v3/groups/{group}/users/{user}", d.checkMember)
	with("PUT /v3/groups/{group}/users/{user}", d.addMember)
	with("DELETE /v3/groups/{group}/users/{user}", d.removeMember)

	with("GET /v3/roles", d.listRoles)
	with("POST /v3/roles", d.createRole)
	with("GET /v3/roles/{role}", d.showRole)
	with("PATCH /v3/roles/{role}", d.updateRole)
	with("DELETE /v3/roles/{role}", d.deleteRole)
	with("GET /v3/role_inferences", d.listInferences)
	with("GET /v3/roles/{role}/implies", d.listImplied)
	with("GET /v3/roles/{role}/implies/{implied}", d.showImplied)
	with("PUT /v3/roles/{role}/implies/{implied}", d.imply)
	with("DELETE /v3/roles/{role}/implies/{implied}", d.unimply)

	for _, on := range []string{"projects/{project}", "domains/{domain}", "system"} {
		for _, actor := range []string{"users/{user}", "groups/{group}"} {
			path := "/v3/" + on + "/" + actor + "/roles"
			with("GET "+path, d.listGrants)
			with("GET "+path+"/{role}", d.checkGrant) // HEAD too
			with("PUT "+path+"/{role}", d.grant)
			with("DELETE "+path+"/{role}", d.revokeGrant)
		}
	}
	with("GET /v3/role_assignments", d.listAssignments)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		with(method+" /v3/OS-INHERIT/{rest...}", d.inherited)
	}

	with("GET /v3/users/{user}/application_credentials", d.listAppCredentials)
	with("POST /v3/users/{user}/application_credentials", d.createAppCredential)
	with("GET /v3/users/{user}/application_credentials/{credential}", d.showAppCredential)
	with("DELETE /v3/users/{user}/application_credentials/{credential}", d.deleteAppCredential)
	with("GET /v3/users/{user}/access_rules", d.listAccessRules)
	with("GET /v3/users/{user}/access_rules/{rule}", d.showAccessRule)
	with("DELETE /v3/users/{user}/access_rules/{rule}", d.deleteAccessRule)

	with("GET /v3/credentials", d.listCredentials)
	with("POST /v3/credentials", d.createCredential)
	with("GET /v3/credentials/{credential}", d.showCredential)
	with("PATCH /v3/credentials/{credential}", d.updateCredential)
	with("DELETE /v3/credentials/{credential}", d.deleteCredential)
	with("GET /v3/users/{user}/credentials/OS-EC2", d.listEC2)
	with("POST /v3/users/{user}/credentials/OS-EC2", d.createEC2)
	with("GET /v3/users/{user}/credentials/OS-EC2/{access}", d.showEC2)
	with("DELETE /v3/users/{user}/credentials/OS-EC2/{access}", d.deleteEC2)

	with("GET /v3/services", d.listServices)
	with("POST /v3/services", d.createService)
	with("GET /v3/services/{service}", d.showService)
	with("PATCH /v3/services/{service}", d.updateService)
	with("DELETE /v3/services/{service}", d.deleteService)
	with("GET /v3/endpoints", d.listEndpoints)
	with("POST /v3/endpoints", d.createEndpoint)
	with("GET /v3/endpoints/{endpoint}", d.showEndpoint)
	with("PATCH /v3/endpoints/{endpoint}", d.updateEndpoint)
	with("DELETE /v3/endpoints/{endpoint}", d.deleteEndpoint)
	with("GET /v3/regions", d.listRegions)
	with("POST /v3/regions", d.createRegion)
	with("GET /v3/regions/{region}", d.showRegion)
	with("PUT /v3/regions/{region}", d.createRegion)
	with("PATCH /v3/regions/{region}", d.updateRegion)
	with("DELETE /v3/regions/{region}", d.deleteRegion)
	return &Handler{Handler: d.Wrap(rt), router: rt}
}

// base is the address of the API's version, without a slash at the end.
func (d *door) base(r *http.Request) string {
	return rest.PublicURL(d.PublicURL, r) + Prefix + "/v3"
}

func caller(r *http.Request) kuva.Principal { return rest.PrincipalOf(r.Context()) }

func answer(w http.ResponseWriter, status int, v any) error {
	rest.WriteJSON(w, status, v)
	return nil
}
