package tus

import (
	"net/http"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/rest"
	"kuva/internal/transfer/upload"
)

// patch takes the next bytes of an upload.
func (h *handler) patch(w http.ResponseWriter, r *http.Request) error {
	if r.Header.Get("Content-Type") != mediaType {
		return kuva.E(kuva.CodeUnsupported, "tus.media_type", "type", mediaType)
	}
	c, err := h.chunk(r)
	if err != nil {
		return err
	}
	if c.Offset, err = number(r.Header, headerOffset); err != nil || c.Offset < 0 {
		return bad(headerOffset)
	}
	if c.Length, err = number(r.Header, headerLength); err != nil {
		return err
	}
	if _, err := h.known(r); err != nil {
		return err
	}
	u, err := h.receive(w, r, r.PathValue("id"), c)
	if err != nil {
		return err
	}
	state(w.Header(), u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// chunk is what the headers say of a body.
func (h *handler) chunk(r *http.Request) (c upload.Chunk, err error) {
	c.Size = r.ContentLength
	if text := r.Header.Get(headerChecksum); text != "" {
		c.Digest, err = parseChecksum(text)
	}
	return c, err
}

// receive hands the body to the use case. Nothing of it is read before its first
// byte is wanted, so that a caller who sent Expect: 100-continue learns of a
// refusal before it sends anything.
func (h *handler) receive(w http.ResponseWriter, r *http.Request, id string, c upload.Chunk) (*catalog.Upload, error) {
	ctx, p := who(r)
	body := rest.NewStalling(rest.GuardedBody(r), http.NewResponseController(w), h.stall)
	defer body.Release()
	c.Content, c.Interrupt = body, body.Interrupt
	return h.uploads.Receive(ctx, p, id, c)
}

// known reads the upload of a path, where it came by this door.
func (h *handler) known(r *http.Request) (*catalog.Upload, error) {
	ctx, p := who(r)
	u, err := h.uploads.Get(ctx, p, r.PathValue("id"))
	if err == nil && u.Protocol != upload.ProtocolTus {
		err = kuva.E(kuva.CodeNotFound, "upload.not_found", "id", u.ID)
	}
	return u, err
}
