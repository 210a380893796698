package imagev2

import (
	"context"
	"mime"
	"net/http"
	"strconv"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// headerSize announces the length of an upload whose Content-Length is not
// known.
const headerSize = "X-Openstack-Image-Size"

// upload fills an image with the bytes of the body.
func (h *handler) upload(w http.ResponseWriter, r *http.Request) error {
	return h.send(w, r, func(ctx context.Context, p kuva.Principal, src images.Source) error {
		_, err := h.images.Ingest(ctx, p, r.PathValue("id"), src)
		return err
	})
}

// source reads what the headers say of the content.
func source(r *http.Request) (images.Source, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/octet-stream" {
		return images.Source{}, kuva.E(kuva.CodeUnsupported, "imagev2.data_type")
	}
	if r.Header.Get("X-Image-Meta-Store") != "" {
		return images.Source{}, kuva.E(kuva.CodeInvalid, "imagev2.no_stores")
	}
	// The origin is left open: an image that names its instance becomes a
	// snapshot by its content.
	src := images.Source{Size: r.ContentLength}
	if value := r.Header.Get(headerSize); value != "" {
		size, err := strconv.ParseInt(value, 10, 64)
		if err != nil || size < 0 || r.ContentLength >= 0 && size != r.ContentLength {
			return images.Source{}, kuva.E(kuva.CodeInvalid, "imagev2.size_header")
		}
		src.Size = size
	}
	src.Digests, err = rest.Announced(r.Header)
	return src, err
}
