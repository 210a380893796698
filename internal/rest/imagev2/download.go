package imagev2

import (
	"net/http"

	"kuva/internal/rest"
)

// download sends the content of an image, or one range of it; with the
// parameter format, the disk in it as a file of that format. Other parameters
// mean nothing without it, as in the reference.
func (h *handler) download(w http.ResponseWriter, r *http.Request) error {
	if q := r.URL.Query(); !q.Has("format") && len(q) > 0 {
		plain := *r.URL
		plain.RawQuery = ""
		clone := *r
		clone.URL = &plain
		r = &clone
	}
	return rest.SendView(w, r, h.images, h.stall, h.log)
}
