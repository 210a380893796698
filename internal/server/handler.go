package server

import (
	"net/http"
	"strings"

	"kuva/internal/portal"
	"kuva/internal/rest"
	"kuva/internal/rest/imagev2"
	"kuva/internal/rest/kuvav1"
	"kuva/internal/rest/links"
	"kuva/internal/rest/tus"
)

// handler is the one listener's table of doors.
func (s *Server) handler() http.Handler {
	door := rest.Door{Log: s.log, Metrics: s.metrics, PublicURL: s.cfg.PublicURL}
	image := imagev2.New(imagev2.Config{
		Images: s.images, Metadef: s.metadef, Auth: s.auth, PublicURL: s.cfg.PublicURL, Log: s.log, Metrics: s.metrics,
	})
	s.own = kuvav1.New(kuvav1.Config{Images: s.images, Links: s.links, Catalogue: s.shelf, Uploads: s.uploads, Asks: s.asks, Exports: s.exports, Regions: s.regions, Jobs: s.jobs, Auth: s.auth, Door: door})
	who := s.identityDoor(door)
	pages := portal.New(portal.Config{Identity: s.identity, Elsewhere: s.cfg.Identity.address(), Door: door, Registry: s.registry})
	ops := s.operations(door)

	return rest.CORS(s.cfg.CORSOrigins, doors{
		"healthz": ops, "readyz": ops, "metrics": ops,
		"identity": who, "kuva": s.own, "portal": pages,
		"files": tus.New(tus.Config{Uploads: s.uploads, Auth: s.auth, Door: door}),
		"l":     links.New(links.Config{Links: s.links, Door: door}),
		// The Image API answers at the root too, and whatever no other door has
		// gets its list of versions, as the reference does.
		"": front(pages.Page(), image),
	})
}

// doors chooses by the first element of the path. http.ServeMux would redirect
// unclean paths such as "//v2"; here the door answers them itself.
type doors map[string]http.Handler

func (d doors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	h, ok := d[first]
	if !ok {
		h = d[""]
	}
	h.ServeHTTP(w, r)
}
