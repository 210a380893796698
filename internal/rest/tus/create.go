package tus

import (
	"net/http"

	"kuva"
	"kuva/internal/transfer/upload"
)

// create begins an upload, and takes its first bytes where some are there.
func (h *handler) create(w http.ResponseWriter, r *http.Request) error {
	ctx, p := who(r)
	metadata, err := parseMetadata(r.Header.Get(headerMetadata))
	if err != nil {
		return err
	}
	partial, ids, err := parseConcat(r.Header.Get(headerConcat))
	if err != nil {
		return err
	}
	begin := upload.Begin{Protocol: upload.ProtocolTus, Partial: partial, Metadata: metadata}
	body := r.ContentLength != 0
	if body && r.Header.Get("Content-Type") != mediaType {
		if !empty(r) {
			return kuva.E(kuva.CodeUnsupported, "tus.media_type", "type", mediaType)
		}
		body = false
	}
	if ids != nil {
		if body || r.Header.Get(headerLength) != "" || r.Header.Get(headerDefer) != "" {
			return bad(headerConcat)
		}
		u, err := h.uploads.Join(ctx, p, ids, begin)
		if err != nil {
			return err
		}
		w.Header().Set("Location", h.location(u))
		state(w.Header(), u)
		w.WriteHeader(http.StatusCreated)
		return nil
	}
	if begin.Size, err = length(r.Header); err != nil {
		return err
	}
	chunk, err := h.chunk(r)
	if err != nil {
		return err
	}
	if begin.Size >= 0 && chunk.Size > begin.Size {
		return kuva.E(kuva.CodeTooLarge, "upload.longer", "size", begin.Size)
	}
	u, err := h.uploads.Begin(ctx, p, begin)
	if err != nil {
		return err
	}
	w.Header().Set("Location", h.location(u))
	if body && u.Received == 0 && u.Size != 0 {
		chunk.Length = -1
		if u, err = h.receive(w, r, u.ID, chunk); err != nil {
			return err
		}
	}
	state(w.Header(), u)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// empty reports whether a body of unknown length has nothing in it.
func empty(r *http.Request) bool {
	if r.ContentLength > 0 {
		return false
	}
	var one [1]byte
	n, err := r.Body.Read(one[:])
	return n == 0 && err != nil
}
