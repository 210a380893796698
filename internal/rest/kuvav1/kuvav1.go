// Package kuvav1 is the door for kuva's own API, at /kuva/v1: what the
// OpenStack APIs have no words for. It translates between that API's words
// (package api, openapi.yaml) and the use cases of package images, and decides
// nothing itself.
//
//	discovery.go   the version and the OpenAPI document, for everybody
//	routes         behind the caller's token: jobs, events, usage, quota,
//	               activity, images, views, depot: one file each
//	params.go      the parser of queries
//	hub.go         events of this node, for as many streams as there are
//
// openapi.yaml is written by hand. Tests compare it with the routes, and every
// answer with it.
package kuvav1

import (
	"context"
	"net/http"
	"sync"
	"time"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/job"
	"kuva/internal/rest"
	"kuva/internal/transfer/ask"
	"kuva/internal/transfer/catalogue"
	"kuva/internal/transfer/export"
	"kuva/internal/transfer/link"
	"kuva/internal/transfer/region"
	"kuva/internal/transfer/upload"
)

// Prefix is where the door is mounted, without taking the prefix away.
const Prefix = "/kuva/v1"

// Config is what the door stands on. Images, Links, Jobs and Auth are needed.
type Config struct {
	Images *images.Service
	Links  *link.Service
	// Catalogue is what may be imported by its name; nil is nothing.
	Catalogue *catalogue.Catalogue
	// Uploads are content on its way, Asks those of them that ask first.
	Uploads *upload.Service
	Asks    *ask.Service
	// Exports are needed where there are any.
	Exports *export.Service
	// Regions are those that images are sent to.
	Regions *region.Service
	// Jobs must be started where events are to come.
	Jobs *job.Queue
	Auth rest.Authenticator
	// Door is the frame: log, metrics and public URL. Its name and the format
	// of errors are set here.
	Door rest.Door

	// Streams is how many event streams one project may have on this node.
	// 0 is 32.
	Streams int
	// Heartbeat is how often a quiet stream shows that it lives. 0 is 15 s.
	Heartbeat time.Duration
	// Stall ends a download whose other side takes no byte for so long. 0 is
	// rest.DefaultStall.
	Stall time.Duration
	// Look is the time between two looks at what changed. 0 is
	// images.WatchEvery.
	Look time.Duration
	// Linger is how long events are kept for clients that come back after
	// the last one left. 0 is one minute.
	Linger time.Duration
}

// API is the door. Close it before the server stops: a stream has no end of
// its own.
type API struct {
	cfg     Config
	door    *rest.Door
	images  *images.Service
	exports *export.Service
	regions *region.Service
	routes  *rest.Router // behind the token
	open    *rest.Router // for everybody
	hub     *hub
	serve   http.Handler

	stop     context.CancelFunc
	stopping <-chan struct{}
	closing  sync.Once
}

// New makes the door.
func New(cfg Config) *API {
	if cfg.Streams <= 0 {
		cfg.Streams = 32
	}
	if cfg.Heartbeat <= 0 {
		cfg.Heartbeat = 15 * time.Second
	}
	if cfg.Linger <= 0 {
		cfg.Linger = time.Minute
	}
	if cfg.Stall <= 0 {
		cfg.Stall = rest.DefaultStall
	}
	if cfg.Look <= 0 {
		cfg.Look = images.WatchEvery
	}
	door := cfg.Door
	door.Name, door.Errors = "kuvav1", rest.KuvaErrors
	ctx, stop := context.WithCancel(context.Background())
	a := &API{
		cfg: cfg, door: &door, images: cfg.Images, exports: cfg.Exports, regions: cfg.Regions, stop: stop, stopping: ctx.Done(),
		hub: newHub(ctx, cfg),
	}
	a.open, a.routes = rest.NewRouter(a.door), rest.NewRouter(a.door)
	for pattern, f := range a.everybody() {
		a.open.HandleFunc(pattern, noBody(f))
	}
	for pattern, f := range a.table() {
		a.routes.HandleFunc(pattern, f)
	}
	a.open.Unmatched = a.door.Authenticate(cfg.Auth, a.routes)
	a.serve = a.door.Wrap(a.open)
	return a
}

// ServeHTTP answers what lies at and below Prefix.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.serve.ServeHTTP(w, r) }

// Close ends all event streams, with a word to each client, and refuses new
// ones. Other calls go on. It may be called twice.
func (a *API) Close() { a.closing.Do(a.stop) }

type action = func(w http.ResponseWriter, r *http.Request) error

// everybody lists the routes that need no token.
func (a *API) everybody() map[string]action {
	return map[string]action{
		"GET /kuva/v1":              a.version,
		"GET /kuva/v1/openapi.yaml": a.documentYAML,
		"GET /kuva/v1/openapi.json": a.documentJSON,
	}
}

// table lists all other routes. GET answers HEAD too, but for the events,
// whose stream HEAD would wait for.
func (a *API) table() map[string]action {
	return map[string]action{
		"GET /kuva/v1/jobs":              noBody(a.jobs),
		"GET /kuva/v1/jobs/{id}":         noBody(a.job),
		"DELETE /kuva/v1/jobs/{id}":      noBody(a.cancelJob),
		"POST /kuva/v1/jobs/{id}/cancel": noBody(a.cancelJob),

		"GET /kuva/v1/events": noBody(a.events),

		"GET /kuva/v1/images":               noBody(a.ownImages),
		"GET /kuva/v1/images/{id}":          noBody(a.image),
		"GET /kuva/v1/images/{id}/activity": noBody(a.activity),
		"GET /kuva/v1/images/{id}/views":    noBody(a.views),
		"GET /kuva/v1/images/{id}/file":     noBody(a.file),
		"GET /kuva/v1/images/{id}/report":   noBody(a.report),

		"POST /kuva/v1/images/{id}/import":      a.importImage,
		"POST /kuva/v1/images/{id}/copy":        a.copyImage,
		"POST /kuva/v1/images/{id}/move":        a.offerMove,
		"GET /kuva/v1/images/{id}/move":         noBody(a.moveOffer),
		"DELETE /kuva/v1/images/{id}/move":      noBody(a.endMove),
		"POST /kuva/v1/images/{id}/move/accept": noBody(a.acceptMove),
		"GET /kuva/v1/moves":                    noBody(a.moves),

		"POST /kuva/v1/images/{id}/exports":   a.startExport,
		"GET /kuva/v1/images/{id}/exports":    noBody(a.imageExports),
		"GET /kuva/v1/exports":                noBody(a.allExports),
		"GET /kuva/v1/peers":                  noBody(a.peers),
		"POST /kuva/v1/images/{id}/replicate": a.replicate,
		"GET /kuva/v1/exports/{id}":           noBody(a.export),
		"DELETE /kuva/v1/exports/{id}":        noBody(a.cancelExport),
		"GET /kuva/v1/buckets":                noBody(a.buckets),
		"GET /kuva/v1/buckets/{name}/objects": noBody(a.objects),

		"GET /kuva/v1/terms":                    noBody(a.terms),
		"GET /kuva/v1/catalogue":                noBody(a.catalogue),
		"GET /kuva/v1/catalogue/{name}":         noBody(a.catalogueEntry),
		"POST /kuva/v1/catalogue/{name}/import": a.importEntry,

		"POST /kuva/v1/links":        a.makeLink,
		"GET /kuva/v1/links":         noBody(a.links),
		"GET /kuva/v1/links/{id}":    noBody(a.link),
		"DELETE /kuva/v1/links/{id}": noBody(a.revokeLink),

		"GET /kuva/v1/uploads":                     noBody(a.uploads),
		"POST /kuva/v1/uploads":                    a.beginUpload,
		"GET /kuva/v1/uploads/{id}":                noBody(a.upload),
		"DELETE /kuva/v1/uploads/{id}":             noBody(a.endUpload),
		"GET /kuva/v1/uploads/{id}/parts":          noBody(a.parts),
		"POST /kuva/v1/uploads/{id}/parts/{n}/ask": a.askPart,
		"PUT /kuva/v1/uploads/{id}/parts/{n}":      a.putPart,
		"POST /kuva/v1/uploads/{id}/finish":        a.finishUpload,

		"GET /kuva/v1/usage": noBody(a.usage),
		"GET /kuva/v1/quota": noBody(a.quota),
		"PUT /kuva/v1/quota": a.setQuota,

		"GET /kuva/v1/depot":          noBody(a.depot),
		"POST /kuva/v1/depot/collect": a.collect,
	}
}

// noBody refuses a body where none is expected: it would mean that the caller
// takes the call for another one.
func noBody(next action) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := rest.NoBody(r); err != nil {
			return err
		}
		return next(w, r)
	}
}

func who(r *http.Request) (context.Context, kuva.Principal) {
	return r.Context(), rest.PrincipalOf(r.Context())
}
