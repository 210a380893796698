package imagev2

import (
	"net/http"

	"kuva"
	"kuva/api"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// locations tells services of the cloud where an image's content lies.
func (h *handler) locations(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	url, err := h.images.FetchLocation(ctx, p, r.PathValue("id"))
	if err != nil {
		return err
	}
	list := []api.ImageLocation{}
	if url != "" {
		list = append(list, api.ImageLocation{URL: url, Metadata: map[string]string{}})
	}
	rest.WriteJSON(w, http.StatusOK, list)
	return nil
}

// addLocation fills an image from a URL.
func (h *handler) addLocation(w http.ResponseWriter, r *http.Request) error {
	object, err := readObject(r)
	if err != nil {
		return err
	}
	at, err := readLocation(object)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	if _, err := h.images.AddLocation(ctx, p, r.PathValue("id"), at); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// patchLocation does the one change of locations that there is; err is what
// was wrong with it.
func (h *handler) patchLocation(w http.ResponseWriter, r *http.Request, at images.Location, err error) error {
	ctx, p := h.who(r)
	id := r.PathValue("id")
	if _, unseen := h.images.Show(ctx, p, id); unseen != nil {
		return unseen
	}
	if err != nil {
		return err
	}
	if _, err := h.images.AddLocation(ctx, p, id, at); err != nil {
		return err
	}
	img, err := h.images.Show(ctx, p, id)
	if err != nil {
		return err
	}
	return h.answer(w, r, http.StatusOK, img)
}

// locationPatch reads a PATCH that changes locations; ok is false for others.
// An image has one, which is set once: there is nothing to take away.
func locationPatch(body []byte, draft4 bool) (at images.Location, ok bool, err error) {
	var list []map[string]any
	if rest.DecodeJSON(body, &list, rest.AnyFields) != nil || len(list) == 0 {
		return at, false, nil
	}
	read := operationOf
	if draft4 {
		read = operationOfDraft4
	}
	for _, operation := range list {
		op, pointer, err := read(operation)
		if err != nil {
			return at, false, nil
		}
		path, err := decodePointer(pointer)
		if err != nil || path[0] != "locations" {
			continue
		}
		if err := checkDepth(op, path, pointer); err != nil {
			return at, true, err
		}
		if len(list) > 1 {
			return at, true, kuva.E(kuva.CodeInvalid, "imagev2.location_alone")
		}
		at, err = locationOf(op, operation["value"])
		return at, true, err
	}
	return at, false, nil
}

func locationOf(op string, value any) (images.Location, error) {
	if op == "remove" {
		return images.Location{}, kuva.E(kuva.CodeForbidden, "imagev2.location_last")
	}
	if op == "replace" {
		list, ok := value.([]any)
		switch {
		case !ok:
			return images.Location{}, kuva.E(kuva.CodeInvalid, "imagev2.value", "name", "locations", "kind", "array")
		case len(list) == 0:
			return images.Location{}, kuva.E(kuva.CodeForbidden, "imagev2.location_last")
		case len(list) > 1:
			return images.Location{}, kuva.E(kuva.CodeConflict, "imagev2.location_one")
		}
		value = list[0]
	}
	object, ok := value.(map[string]any)
	if !ok {
		return images.Location{}, kuva.E(kuva.CodeInvalid, "imagev2.location_body")
	}
	return readLocation(object)
}

// readLocation reads {"url":…, "validation_data":{…}}.
func readLocation(object map[string]any) (at images.Location, err error) {
	malformed := kuva.E(kuva.CodeInvalid, "imagev2.location_body")
	var ok bool
	if at.URL, ok = object["url"].(string); !ok || at.URL == "" {
		return at, malformed
	}
	if m, there := object["metadata"]; there {
		if _, ok := m.(map[string]any); !ok {
			return at, malformed
		}
	}
	data, there := object["validation_data"]
	if !there {
		return at, nil
	}
	fields, ok := data.(map[string]any)
	if !ok {
		return at, malformed
	}
	for name, to := range map[string]*string{"os_hash_algo": &at.HashAlgo, "os_hash_value": &at.HashValue, "checksum": &at.MD5} {
		value, there := fields[name]
		if *to, ok = value.(string); there && !ok {
			return at, malformed
		}
	}
	if (at.HashAlgo == "") != (at.HashValue == "") {
		return at, malformed
	}
	return at, nil
}
