package imagev2

import "net/http"

func (h *handler) deactivate(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	if err := h.images.Deactivate(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handler) reactivate(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	if err := h.images.Reactivate(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
