// Package links is the door for whoever has a link: /l/SECRET/NAME gives the
// content of one image, or takes it, without a token. NAME is what programs may
// call the file; any is as good.
//
//	curl -LO https://…/l/SECRET/debian-12.qcow2      download; ranges and HEAD work
//	curl -T disk.qcow2 https://…/l/SECRET/           upload
//
// The path is a secret: the frame shows the route in logs and metrics and never
// the path, answers are kept by no cache, and no page learns where they came
// from.
package links

import (
	"log/slog"
	"net/http"
	"time"

	"kuva"
	"kuva/internal/rest"
	"kuva/internal/transfer/link"
)

// Prefix is where the door is mounted, without taking the prefix away.
const Prefix = link.Path

// Config is what the door stands on. Links is needed.
type Config struct {
	Links *link.Service
	// Door is the frame: log, metrics and public URL. Its name and the format
	// of errors are set here.
	Door rest.Door
	// Stall ends a transfer whose other side moves no byte for so long. 0 is
	// rest.DefaultStall.
	Stall time.Duration
}

// API is the door.
type API struct {
	cfg    Config
	door   *rest.Door
	log    *slog.Logger
	routes *rest.Router
	serve  http.Handler
}

// New makes the door.
func New(cfg Config) *API {
	if cfg.Stall <= 0 {
		cfg.Stall = rest.DefaultStall
	}
	door := cfg.Door
	door.Name, door.Errors = "links", rest.KuvaErrors
	a := &API{cfg: cfg, door: &door, log: door.Log}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.routes = rest.NewRouter(a.door)
	for _, path := range []string{Prefix + "/{secret}", Prefix + "/{secret}/{name}"} {
		a.routes.HandleFunc("GET "+path, a.paced(a.get))
		a.routes.HandleFunc("PUT "+path, a.paced(a.put))
	}
	a.routes.Unmatched = a.door.Func(a.paced(func(http.ResponseWriter, *http.Request) error { return link.Refused() }))
	a.serve = a.door.Wrap(a.routes)
	return a
}

// ServeHTTP answers what lies at and below Prefix.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.serve.ServeHTTP(w, r) }

type action = func(w http.ResponseWriter, r *http.Request) error

// paced sets what all answers have in common, and answers refusals alike: the
// same words, the same headers, after the same time.
func (a *API) paced(next action) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		began := time.Now()
		w.Header().Set("Cache-Control", "private, no-store")
		err := next(w, r)
		if kuva.CodeOf(err) == kuva.CodeNotFound {
			atPace(r.Context(), began)
		}
		return err
	}
}

// open finds the link of a call.
func (a *API) open(r *http.Request, write bool) (*link.Use, error) {
	return a.cfg.Links.Open(r.Context(), link.Secret(r.PathValue("secret")), write, rest.Address(r), rest.CallOf(r.Context()).RequestID)
}
