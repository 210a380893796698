package imagev2

import "net/http"

func (h *handler) delete(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	if err := h.images.Delete(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
