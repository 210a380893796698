package tus

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/rest"
)

// show says how far an upload is; it changes nothing.
func (h *handler) show(w http.ResponseWriter, r *http.Request) error {
	u, err := h.known(r)
	if err != nil {
		return err
	}
	if u.State == catalog.UploadFailed {
		return kuva.E(kuva.CodeGone, "upload.gone")
	}
	out := w.Header()
	state(out, u)
	if u.Size < 0 {
		out.Set(headerDefer, "1")
	} else {
		out.Set(headerLength, strconv.FormatInt(u.Size, 10))
	}
	if text := formatMetadata(u.Metadata); text != "" {
		out.Set(headerMetadata, text)
	}
	switch {
	case len(u.Options.Partials) > 0:
		out.Set(headerConcat, u.Concat+";"+Prefix+"/"+strings.Join(u.Options.Partials, " "+Prefix+"/"))
	case u.Concat != "":
		out.Set(headerConcat, u.Concat)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// end ends an upload.
func (h *handler) end(w http.ResponseWriter, r *http.Request) error {
	u, err := h.known(r)
	if err != nil {
		return err
	}
	if u.State == catalog.UploadFailed {
		return kuva.E(kuva.CodeGone, "upload.gone")
	}
	ctx, p := who(r)
	if err := h.uploads.End(ctx, p, u.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// options says what the door can do. It needs no token; with one, the size is
// what the caller's project may send.
func (h *handler) options(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	project := ""
	if token := r.Header.Get(rest.HeaderToken); token != "" {
		if p, err := h.auth.Check(ctx, token); err == nil {
			project = p.ProjectID
		}
	}
	most, err := h.uploads.MostBytes(ctx, project)
	if err != nil {
		return err
	}
	out := w.Header()
	out.Set("Tus-Version", Version)
	out.Set("Tus-Extension", extensions)
	out.Set("Tus-Checksum-Algorithm", strings.Join(slices.Sorted(maps.Keys(checksums)), ","))
	if most >= 0 {
		out.Set("Tus-Max-Size", strconv.FormatInt(most, 10))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
