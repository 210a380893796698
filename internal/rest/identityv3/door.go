// Package identityv3 is the door of the Identity API v3: enough of it that
// unmodified OpenStack clients log in and manage projects, users and roles. It
// translates between the wire and package identity, and decides nothing.
package identityv3

import (
	"net/http"
	"strings"

	"kuva"
	"kuva/internal/identity"
	"kuva/internal/rest"
)

// Prefix is where the door is mounted. The handler takes whole paths; do not
// strip it.
const Prefix = "/identity"

// Config is what the door needs.
type Config struct {
	Identity *identity.Service
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
		rt.Handle(method+" "+Prefix+path, d.Authenticate(cfg.Identity, d.Func(h)))
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

	with("GET /v3/projects", d.listProjects)
	with("POST /v3/projects", d.createProject)
	with("GET /v3/projects/{project}", d.showProject)
	with("PATCH /v3/projects/{project}", d.updateProject)
	with("DELETE /v3/projects/{project}", d.deleteProject)

	with("GET /v3/users", d.listUsers)
	with("POST /v3/users", d.createUser)
	with("GET /v3/users/{user}", d.showUser)
	with("PATCH /v3/users/{user}", d.updateUser)
	with("DELETE /v3/users/{user}", d.deleteUser)
	with("GET /v3/users/{user}/projects", d.userProjects)

	with("GET /v3/roles", d.listRoles)
	with("GET /v3/roles/{role}", d.showRole)
	with("GET /v3/projects/{project}/users/{user}/roles", d.listGrants)
	with("GET /v3/projects/{project}/users/{user}/roles/{role}", d.checkGrant) // HEAD too
	with("PUT /v3/projects/{project}/users/{user}/roles/{role}", d.grant)
	with("DELETE /v3/projects/{project}/users/{user}/roles/{role}", d.revokeGrant)
	with("GET /v3/role_assignments", d.listAssignments)

	with("GET /v3/domains", d.listDomains)
	with("GET /v3/domains/{domain}", d.showDomain)
	with("GET /v3/services", d.listServices)
	with("GET /v3/services/{service}", d.showService)
	with("GET /v3/endpoints", d.listEndpoints)
	with("GET /v3/endpoints/{endpoint}", d.showEndpoint)
	with("GET /v3/regions", d.listRegions)
	with("GET /v3/regions/{region}", d.showRegion)
	return &Handler{Handler: d.Wrap(rt), router: rt}
}

// base is the address of the API's version, without a slash at the end.
func (d *door) base(r *http.Request) string {
	return rest.PublicURL(d.PublicURL, r) + Prefix + "/v3"
}

func caller(r *http.Request) kuva.Principal { return rest.PrincipalOf(r.Context()) }

// noContent answers 204.
func noContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func answer(w http.ResponseWriter, status int, v any) error {
	rest.WriteJSON(w, status, v)
	return nil
}
