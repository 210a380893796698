package imagev2

import (
	"encoding/json"
	"net/http"

	"kuva/api"
	"kuva/internal/rest"
)

func (h *handler) show(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	img, err := h.images.Show(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, view(p, img))
	return nil
}

// tasks lists the imports of an image. There are none: content comes in by
// PUT alone.
func (h *handler) tasks(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	if _, err := h.images.Show(ctx, p, r.PathValue("id")); err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, api.ImageTaskList{Tasks: []json.RawMessage{}})
	return nil
}
