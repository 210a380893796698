// Package portal is the door for people: the pages, and the log-in of browsers.
//
//	/portal/assets/…       code and styles of the pages, named by their hash
//	/portal/session        log-in, and tokens for the page: session.go
//	/portal/report         where browsers say what the policy of the pages refused
//	any path, for browsers the one page, which draws what the path asks for
//
// The pages are written in web/ and built into dist/, which is embedded, so
// that building the service needs no Node. They use the public APIs and nothing
// else: what people can do here, a program can do, and the token that a page
// holds for 15 minutes may do no more than any other.
package portal

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"kuva/internal/identity"
	"kuva/internal/rest"
)

// Prefix is where the door is mounted, without taking the prefix away.
const Prefix = "/portal"

// Config is what the door stands on.
type Config struct {
	// Identity logs people in; nil where another service keeps the users.
	Identity *identity.Service
	// Elsewhere is the address of that service.
	Elsewhere string
	// Door is the frame: log, metrics and public URL. Its name and the format
	// of errors are set here.
	Door rest.Door
	// Registry gets the count of what browsers reported; nil counts nothing.
	Registry prometheus.Registerer
}

// Portal is the door. It is used by many goroutines.
type Portal struct {
	door      *rest.Door
	identity  *identity.Service
	elsewhere string
	files     *files
	reports   *prometheus.CounterVec
	router    *rest.Router
	serve     http.Handler
	page      http.Handler
}

// New makes the door. It does no I/O.
func New(cfg Config) *Portal {
	door := cfg.Door
	door.Name, door.Errors = "portal", rest.KuvaErrors
	p := &Portal{door: &door, identity: cfg.Identity, elsewhere: cfg.Elsewhere, files: embedded(), reports: newReports(cfg.Registry)}
	p.router = rest.NewRouter(p.door)
	for pattern, h := range p.table() {
		p.router.HandleFunc(pattern, h)
	}
	p.serve = p.door.Wrap(p.router)
	p.page = p.door.Wrap(p.door.Func(p.index))
	return p
}

// table lists the routes. None asks for a token: the session's own answer to
// its cookie, the rest is the same for everybody.
func (p *Portal) table() map[string]func(w http.ResponseWriter, r *http.Request) error {
	return map[string]func(w http.ResponseWriter, r *http.Request) error{
		"GET /portal/assets/{file...}": p.asset,
		"GET /portal/icon.svg":         p.icon,
		"GET /portal/session":          p.showSession,
		"POST /portal/session":         p.sameOrigin(p.logIn),
		"DELETE /portal/session":       p.sameOrigin(p.logOut),
		"POST /portal/session/token":   p.sameOrigin(p.token),
		"POST /portal/report":          p.report,
	}
}

// Routes lists the patterns of the door, for tests over all routes.
func (p *Portal) Routes() []string { return p.router.Routes() }

// ServeHTTP answers what lies below Prefix.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.serve.ServeHTTP(w, r) }

// Page answers any path with the page, which shows what the path asks for.
func (p *Portal) Page() http.Handler { return p.page }
