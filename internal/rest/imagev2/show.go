package imagev2

import (
	"net/http"

	"kuva"
	"kuva/internal/rest"
)

func (h *handler) show(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	img, err := h.images.Show(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.answer(w, r, http.StatusOK, img)
}

// answer shows one image, to its owner with the location that it named.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, status int, img *kuva.Image) error {
	ctx, p := h.who(r)
	out := view(p, img, rest.LanguageOf(r))
	var err error
	if out.Location, err = h.images.LocationOf(ctx, p, img); err != nil {
		return err
	}
	rest.WriteJSON(w, status, out)
	return nil
}
