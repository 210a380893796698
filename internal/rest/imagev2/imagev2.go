// Package imagev2 is the door for the OpenStack Image API v2: it translates
// between that API's words and the use cases of package images, and decides
// nothing itself.
//
// A request passes through three parts:
//
//	versions.go   which version is meant: the list of versions, or
//	routes        /v2/… behind the caller's token, and then one of
//	the verbs     create, list, show, patch, delete, upload, download,
//	              members, tags, actions, schemas: one file each
//
// The parsers of what strangers send (patch documents, JSON pointers, ranges,
// list queries, digests) stand alone, take strings or bytes, and have a fuzz
// target each.
package imagev2

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/metadef"
	"kuva/internal/rest"
)

// Config is what the door stands on. Images and Auth are needed.
type Config struct {
	Images *images.Service
	Auth   rest.Authenticator
	// Metadef are the metadata definitions. Without them their routes are not
	// there.
	Metadef *metadef.Service
	// PublicURL is where clients reach the service, without /image and
	// without a slash at the end; "" takes it from each request.
	PublicURL string
	// Log may be nil.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *rest.Metrics
	// Stall ends an upload or download whose other side moves no byte for so
	// long. 0 is rest.DefaultStall.
	Stall time.Duration
}

// Prefix is where the catalogue says that the Image API is. The door answers
// there and at the root.
const Prefix = "/image"

type handler struct {
	door    *rest.Door
	images  *images.Service
	auth    rest.Authenticator
	metadef *metadef.Service
	log     *slog.Logger
	public  string
	stall   time.Duration
	routes  *rest.Router
	v2      http.Handler // routes behind the token check
}

// Handler is the door. It is mounted, without taking a prefix away, at /image,
// /image/, /versions, and /v2 with its minor versions; whatever else reaches
// it is answered by the list of versions, as the reference does. Paths must
// reach it as they were sent: a mux in front that cleans them would make
// redirects of what is 404 here.
type Handler struct {
	http.Handler
	h *handler
}

// Routes lists the patterns of the door, for tests over all routes. The
// version in a path is /v2, whichever the caller names.
func (h *Handler) Routes() []string { return h.h.routes.Routes() }

// New makes the door.
func New(cfg Config) *Handler {
	h := newHandler(cfg)
	return &Handler{Handler: h.door.Wrap(http.HandlerFunc(h.negotiate)), h: h}
}

func newHandler(cfg Config) *handler {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Stall == 0 {
		cfg.Stall = rest.DefaultStall
	}
	h := &handler{
		door: &rest.Door{
			Name: "imagev2", Errors: rest.GlanceErrors, Log: cfg.Log, Metrics: cfg.Metrics, PublicURL: cfg.PublicURL,
		},
		images: cfg.Images, metadef: cfg.Metadef, auth: cfg.Auth, log: cfg.Log, public: cfg.PublicURL, stall: cfg.Stall,
	}
	h.routes = rest.NewRouter(h.door)
	for pattern, f := range h.table() {
		h.routes.HandleFunc(pattern, f)
	}
	if h.metadef != nil {
		for pattern, f := range h.metadefTable() {
			h.routes.HandleFunc(pattern, f)
		}
	}
	h.v2 = h.door.Authenticate(h.auth, h.routes)
	return h
}

type action = func(w http.ResponseWriter, r *http.Request) error

// table is every route of the door. GET answers HEAD too.
func (h *handler) table() map[string]action {
	return map[string]action{
		"POST /v2/images":        h.create,
		"GET /v2/images":         noBody(h.list),
		"GET /v2/images/{id}":    noBody(h.show),
		"PATCH /v2/images/{id}":  h.patch,
		"DELETE /v2/images/{id}": noBody(h.delete),

		"PUT /v2/images/{id}/file": h.upload,
		"GET /v2/images/{id}/file": noBody(h.download),

		"PUT /v2/images/{id}/stage":      h.stage,
		"POST /v2/images/{id}/import":    h.importImage,
		"GET /v2/images/{id}/locations":  noBody(h.locations),
		"POST /v2/images/{id}/locations": h.addLocation,

		"GET /v2/info/import":        noBody(h.importInfo),
		"GET /v2/info/stores":        noBody(oneStore),
		"GET /v2/info/stores/detail": noBody(oneStore),
		"GET /v2/info/usage":         noBody(h.usage),

		"GET /v2/tasks":         noBody(h.tasks),
		"POST /v2/tasks":        h.createTask,
		"GET /v2/tasks/{id}":    noBody(h.task),
		"GET /v2/schemas/task":  noBody(h.schema(taskSchema)),
		"GET /v2/schemas/tasks": noBody(h.schema(tasksSchema)),

		"GET /v2/images/{id}/tasks":               noBody(h.imageTasks),
		"POST /v2/images/{id}/actions/deactivate": noBody(h.deactivate),
		"POST /v2/images/{id}/actions/reactivate": noBody(h.reactivate),
		"PUT /v2/images/{id}/tags/{tag}":          noBody(h.addTag),
		"DELETE /v2/images/{id}/tags/{tag}":       noBody(h.removeTag),

		"GET /v2/images/{id}/members":             noBody(h.members),
		"POST /v2/images/{id}/members":            h.addMember,
		"GET /v2/images/{id}/members/{member}":    noBody(h.member),
		"PUT /v2/images/{id}/members/{member}":    h.setMember,
		"DELETE /v2/images/{id}/members/{member}": noBody(h.removeMember),

		"GET /v2/schemas/image":   noBody(h.schema(imageSchema)),
		"GET /v2/schemas/images":  noBody(h.schema(imagesSchema)),
		"GET /v2/schemas/member":  noBody(h.schema(memberSchema)),
		"GET /v2/schemas/members": noBody(h.schema(membersSchema)),
	}
}

// noBody refuses a body where none is expected, as the reference does: it
// would mean that the caller takes the call for another one.
func noBody(next action) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.ContentLength > 0 || r.ContentLength < 0 && !ended(r.Body) {
			rest.HangUp(w, r)
			return kuva.E(kuva.CodeInvalid, "imagev2.no_body")
		}
		return next(w, r)
	}
}

func ended(body io.Reader) bool {
	var one [1]byte
	n, err := body.Read(one[:])
	return n == 0 && err == io.EOF
}

func (h *handler) who(r *http.Request) (context.Context, kuva.Principal) {
	return r.Context(), rest.PrincipalOf(r.Context())
}

// readObject reads a body that must be a JSON object.
func readObject(r *http.Request) (map[string]any, error) {
	if err := checkJSONType(r); err != nil {
		return nil, err
	}
	body, err := rest.ReadBody(r)
	if err != nil {
		return nil, err
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] != '{' {
		return nil, kuva.E(kuva.CodeInvalid, "imagev2.not_object")
	}
	var object map[string]any
	if err := rest.DecodeJSON(body, &object, rest.AnyFields); err != nil {
		return nil, err
	}
	return object, nil
}
