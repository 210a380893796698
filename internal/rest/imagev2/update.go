package imagev2

import (
	"net/http"

	"kuva/internal/images"
)

func (h *handler) patch(w http.ResponseWriter, r *http.Request) error {
	body, draft4, err := readPatch(w, r)
	if err != nil {
		return err
	}
	if h.images.Locations() {
		if at, ok, err := locationPatch(body, draft4); ok || err != nil {
			return h.patchLocation(w, r, at, err)
		}
	}
	changes, err := decodePatch(body, draft4)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	img, err := h.images.Update(ctx, p, r.PathValue("id"), operations(changes))
	if err != nil {
		return err
	}
	return h.answer(w, r, http.StatusOK, img)
}

func operations(changes []change) []images.Change {
	out := make([]images.Change, len(changes))
	for i, c := range changes {
		out[i] = images.Change{Op: operation(c), Name: c.name, Value: c.value}
	}
	return out
}

func operation(c change) images.Op {
	switch {
	case c.op == "remove":
		return images.OpRemove
	case c.op == "replace":
		return images.OpReplace
	case c.strict:
		return images.OpCreate
	}
	return images.OpAdd
}
