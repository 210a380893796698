package imagev2

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"kuva"
	"kuva/api"
	"kuva/internal/rest"
)

// listed are the minor versions that the list shows, newest first; the first
// is current. Those that only add the image cache (2.14) or several stores
// (2.8, 2.10 to 2.13) are left out, as the reference does where these are off.
var listed = []string{
	"v2.18", "v2.17", "v2.16", "v2.15", "v2.9", "v2.7", "v2.6", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0",
}

// accepted are the versions that may stand in a path or an Accept header. All
// lead to the same routes.
var accepted = map[string]bool{
	"v2": true, "v2.0": true, "v2.1": true, "v2.2": true, "v2.3": true, "v2.4": true, "v2.5": true, "v2.6": true,
	"v2.7": true, "v2.8": true, "v2.9": true, "v2.10": true, "v2.11": true, "v2.12": true, "v2.13": true,
	"v2.14": true, "v2.15": true, "v2.16": true, "v2.17": true, "v2.18": true,
}

// mediaPrefix begins an Accept header that names a version.
const mediaPrefix = "application/vnd.openstack.images-"

// negotiate finds out which version a request means and hands it on, or
// answers with the list of versions.
func (h *handler) negotiate(w http.ResponseWriter, r *http.Request) {
	// The escaped path keeps a "/" inside a tag apart from those between.
	p := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(p, Prefix); ok && (rest == "" || rest[0] == '/') {
		p = rest
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	media, byMedia := strings.CutPrefix(r.Header.Get("Accept"), mediaPrefix)
	switch {
	case first == "versions":
		h.versions(w, r, http.StatusOK)
	case accepted[first]:
		h.route(w, r, "/v2/"+rest)
	case byMedia && accepted[media]:
		h.route(w, r, "/v2/"+strings.TrimPrefix(p, "/"))
	default:
		h.versions(w, r, http.StatusMultipleChoices)
	}
}

// route serves p, an escaped path below /v2. One slash at its end is let pass.
// A path with empty or dotted parts is unknown: it is not rewritten, so that
// nothing is reached by two names.
func (h *handler) route(w http.ResponseWriter, r *http.Request, p string) {
	p = strings.TrimSuffix(p, "/")
	plain, err := url.PathUnescape(p)
	if err != nil || path.Clean(p) != p {
		h.door.Fail(w, r, kuva.E(kuva.CodeNotFound, "rest.not_found"))
		return
	}
	r2 := new(http.Request)
	*r2 = *r
	r2.URL = new(url.URL)
	*r2.URL = *r.URL
	r2.URL.Path, r2.URL.RawPath = plain, p
	h.v2.ServeHTTP(w, r2)
}

func (h *handler) versions(w http.ResponseWriter, r *http.Request, status int) {
	href := rest.PublicURL(h.public, r) + Prefix + "/v2/"
	list := api.ImageVersions{Versions: make([]api.ImageVersion, 0, len(listed))}
	for i, id := range listed {
		v := api.ImageVersion{ID: id, Status: "SUPPORTED", Links: []api.ImageLink{{Rel: "self", Href: href}}}
		if i == 0 {
			v.Status = "CURRENT"
		}
		list.Versions = append(list.Versions, v)
	}
	rest.WriteJSON(w, status, list)
}
