package imagev2

import (
	"net/http"

	"kuva/internal/images"
	"kuva/internal/rest"
)

func (h *handler) patch(w http.ResponseWriter, r *http.Request) error {
	changes, err := readPatch(w, r)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	img, err := h.images.Update(ctx, p, r.PathValue("id"), operations(changes))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, view(p, img))
	return nil
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
