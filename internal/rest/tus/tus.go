// Package tus is the door for resumable uploads by tus 1.0.0, at /files: core
// and the extensions creation, creation-with-upload, creation-defer-length,
// expiration, checksum, termination and concatenation. It translates between
// the protocol's headers and the use cases of package upload.
//
//	tus.go      the routes, and what holds for every call
//	create.go   POST
//	patch.go    PATCH
//	show.go     HEAD, OPTIONS, DELETE
//	headers.go  what the headers say
//
// Specification: https://tus.io/protocols/resumable-upload (1.0.0). Errors have
// its statuses, and bodies as the rest of kuva's own API.
package tus

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/rest"
	"kuva/internal/transfer/upload"
)

// Prefix is where the door is mounted, without taking the prefix away.
const Prefix = "/files"

// Version is the protocol's.
const Version = "1.0.0"

// extensions of the protocol that there are.
const extensions = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination,concatenation"

// statusChecksum is the protocol's for a chunk that is not what its checksum
// says.
const statusChecksum = 460

// Config is what the door stands on. Uploads and Auth are needed.
type Config struct {
	Uploads *upload.Service
	Auth    rest.Authenticator
	// Door is the frame: log, metrics and public URL. Its name and the format
	// of errors are set here.
	Door rest.Door
	// Stall ends a transfer whose sender moves no byte for so long. 0 is
	// rest.DefaultStall.
	Stall time.Duration
}

// Handler is the door.
type Handler struct {
	http.Handler
	routes []string
}

// Routes lists the patterns of the door, for tests over all routes.
func (h *Handler) Routes() []string { return h.routes }

type handler struct {
	door    *rest.Door
	uploads *upload.Service
	auth    rest.Authenticator
	stall   time.Duration
	inner   http.Handler
}

// New makes the door.
func New(cfg Config) *Handler {
	if cfg.Stall == 0 {
		cfg.Stall = rest.DefaultStall
	}
	door := cfg.Door
	door.Name, door.Errors = "tus", rest.KuvaErrors
	h := &handler{door: &door, uploads: cfg.Uploads, auth: cfg.Auth, stall: cfg.Stall}
	open, routes := rest.NewRouter(&door), rest.NewRouter(&door)
	open.HandleFunc("OPTIONS /files", h.options)
	open.HandleFunc("OPTIONS /files/{id}", h.options)
	for pattern, f := range map[string]action{
		"POST /files": h.create, "HEAD /files/{id}": h.show, "PATCH /files/{id}": h.patch, "DELETE /files/{id}": h.end,
	} {
		routes.Handle(pattern, h.versioned(f))
	}
	behind := door.Authenticate(cfg.Auth, routes)
	h.inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			open.ServeHTTP(w, r)
		} else {
			behind.ServeHTTP(w, r)
		}
	})
	all := slices.Concat(open.Routes(), routes.Routes())
	slices.Sort(all)
	return &Handler{Handler: door.Wrap(http.HandlerFunc(h.serve)), routes: all}
}

// methods are those that a call may have by its header.
var methods = []string{http.MethodOptions, http.MethodPost, http.MethodHead, http.MethodPatch, http.MethodDelete}

// serve does what the protocol wants of every call: the version in the answer,
// and the method from a header, for those behind proxies that know only POST.
func (h *handler) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Tus-Resumable", Version)
	method, path := r.Method, r.URL.Path
	if m := r.Header.Get("X-Http-Method-Override"); slices.Contains(methods, m) {
		method = m
	} else if m != "" {
		h.door.Fail(w, r, kuva.E(kuva.CodeInvalid, "tus.method", "list", strings.Join(methods, ", ")))
		return
	}
	if path == Prefix+"/" {
		path = Prefix
	}
	if method != r.Method || path != r.URL.Path {
		u := *r.URL
		u.Path, u.RawPath = path, ""
		r = r.WithContext(r.Context())
		r.Method, r.URL = method, &u
	}
	h.inner.ServeHTTP(w, r)
}

type action = func(w http.ResponseWriter, r *http.Request) error

// versioned refuses callers of another version of the protocol, and gives errors
// the protocol's statuses.
func (h *handler) versioned(next action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Tus-Resumable") != Version {
			w.Header().Set("Tus-Version", Version)
			h.door.FailStatus(w, r, http.StatusPreconditionFailed, kuva.E(kuva.CodeInvalid, "tus.version", "version", Version))
			return
		}
		err := next(w, r)
		if err == nil {
			return
		}
		if r.Method == http.MethodPatch || r.Method == http.MethodPost {
			rest.HangUp(w, r) // what still comes is not worth waiting for
		}
		var e *kuva.Error
		status := 0
		switch kuva.CodeOf(err) {
		case kuva.CodeDigest:
			status = statusChecksum
		case kuva.CodeCancelled:
			// A sender that stood still and lives after all: clients ask how far
			// they are and go on after this one, and give up after others.
			status = http.StatusConflict
		}
		if status != 0 && errors.As(err, &e) {
			h.door.FailStatus(w, r, status, e)
			return
		}
		h.door.Fail(w, r, err)
	})
}

func who(r *http.Request) (context.Context, kuva.Principal) {
	return r.Context(), rest.PrincipalOf(r.Context())
}

// location is where an upload is.
func (h *handler) location(u *catalog.Upload) string {
	return strings.TrimRight(h.door.PublicURL, "/") + Prefix + "/" + u.ID
}
