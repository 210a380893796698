package imagev2

import "net/http"

func (h *handler) addTag(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	if err := h.images.AddTag(ctx, p, r.PathValue("id"), r.PathValue("tag")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *handler) removeTag(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	if err := h.images.RemoveTag(ctx, p, r.PathValue("id"), r.PathValue("tag")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
