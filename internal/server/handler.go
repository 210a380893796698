package server

import (
	"net/http"

	"kuva/internal/rest"
	"kuva/internal/rest/identityv3"
	"kuva/internal/rest/imagev2"
	"kuva/internal/rest/kuvav1"
)

// handler is the one listener's table of doors.
func (s *Server) handler() http.Handler {
	door := rest.Door{Log: s.log, Metrics: s.metrics, PublicURL: s.cfg.PublicURL}
	image := imagev2.New(imagev2.Config{
		Images: s.images, Auth: s.identity, PublicURL: s.cfg.PublicURL, Log: s.log, Metrics: s.metrics,
	})
	s.own = kuvav1.New(kuvav1.Config{Images: s.images, Jobs: s.jobs, Auth: s.identity, Door: door})
	who := identityv3.New(identityv3.Config{Identity: s.identity, Door: door})
	ops := s.operations(door)

	mux := http.NewServeMux()
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		mux.Handle(path, ops)
	}
	mux.Handle("/identity", who)
	mux.Handle("/identity/", who)
	mux.Handle("/kuva/v1", s.own)
	mux.Handle("/kuva/v1/", s.own)
	// The Image API answers at the root too, and whatever no other door has
	// gets its list of versions, as the reference does.
	mux.Handle("/", image)
	return clean(mux)
}

// clean keeps http.ServeMux from redirecting paths such as "//v2": a door
// answers them itself, as the reference does.
func clean(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern == "" {
			h, _ = mux.Handler(&http.Request{Method: http.MethodGet, URL: r.URL.JoinPath("/"), Host: r.Host})
		}
		h.ServeHTTP(w, r)
	})
}
