package rest

import (
	"net/http"
	"slices"
	"strings"

	"kuva"
)

// Router is a table of routes over http.ServeMux that answers for unknown
// paths and wrong methods in the door's own error format. Fill it first, then
// serve; it is not safe to add routes while it serves.
type Router struct {
	door   *Door
	mux    *http.ServeMux
	routes []string
	// Unmatched answers for paths without a route. Nil means 404.
	Unmatched http.Handler
}

// NewRouter makes an empty table.
func NewRouter(door *Door) *Router {
	return &Router{door: door, mux: http.NewServeMux()}
}

// Handle adds a route, with a pattern of http.ServeMux such as
// "GET /identity/v3/projects/{id}". Two routes that overlap panic.
func (rt *Router) Handle(pattern string, h http.Handler) {
	rt.routes = append(rt.routes, pattern)
	rt.mux.Handle(pattern, h)
}

// HandleFunc is Handle for a function that may fail; its error is answered by
// Door.Fail. Such a function returns an error only before it writes.
func (rt *Router) HandleFunc(pattern string, h func(w http.ResponseWriter, r *http.Request) error) {
	rt.Handle(pattern, rt.door.Func(h))
}

// Routes lists the patterns, sorted, for tests that go over the whole table.
func (rt *Router) Routes() []string {
	out := slices.Clone(rt.routes)
	slices.Sort(out)
	return out
}

// Func makes a handler of a function that may fail.
func (d *Door) Func(h func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			d.Fail(w, r, err)
		}
	})
}

// ServeHTTP finds the route and notes its pattern for log and metrics.
func (rt *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, pattern := rt.mux.Handler(r)
	if pattern != "" {
		CallOf(r.Context()).Pattern = pattern
		rt.mux.ServeHTTP(w, r)
		return
	}
	// The mux has no name for "wrong method": its own answer tells, so look at
	// that one without sending it.
	probe := &probe{header: http.Header{}}
	h.ServeHTTP(probe, r)
	switch {
	case probe.status == http.StatusMethodNotAllowed:
		w.Header().Set("Allow", strings.Join(probe.header["Allow"], ", "))
		rt.door.FailStatus(w, r, http.StatusMethodNotAllowed, kuva.E(kuva.CodeInvalid, "rest.method_not_allowed", "method", methodName(r.Method)))
	case rt.Unmatched != nil:
		rt.Unmatched.ServeHTTP(w, r)
	default:
		rt.door.Fail(w, r, kuva.E(kuva.CodeNotFound, "rest.not_found"))
	}
}

// methodName keeps a made-up method of any length out of the sentence.
func methodName(m string) string {
	if len(m) > 16 {
		return m[:16]
	}
	return m
}

type probe struct {
	header http.Header
	status int
}

func (p *probe) Header() http.Header         { return p.header }
func (p *probe) WriteHeader(status int)      { p.status = status }
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }
