package imagev2

import (
	"net/http"
	"strings"

	"kuva"
	"kuva/internal/images"
	"kuva/internal/rest"
)

// importImage begins to bring an image's content.
func (h *handler) importImage(w http.ResponseWriter, r *http.Request) error {
	object, err := readObject(r)
	if err != nil {
		return err
	}
	in, err := readImport(object, r.Header.Get("X-Image-Meta-Store"))
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	if in.Method == images.MethodRemote {
		in.Token = rest.CallOf(ctx).Token()
	}
	if _, err := h.images.Import(ctx, p, r.PathValue("id"), in); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// copyImage is the method that a service of one store has no use for.
const copyImage = "copy-image"

// readImport reads the body of POST /v2/images/{id}/import. The one store
// needs no name; another one is unknown.
func readImport(object map[string]any, header string) (in images.Import, err error) {
	method, ok := object["method"].(map[string]any)
	if !ok {
		return in, kuva.E(kuva.CodeInvalid, "imagev2.import_body")
	}
	if in.Method, ok = method["name"].(string); !ok || in.Method == "" {
		return in, kuva.E(kuva.CodeInvalid, "imagev2.import_body")
	}
	if err := checkStores(object, header); err != nil {
		return in, err
	}
	for name, to := range map[string]*string{"uri": &in.URI, "glance_image_id": &in.Remote, "glance_region": &in.Region} {
		value, there := method[name]
		if *to, ok = value.(string); there && !ok {
			return in, kuva.E(kuva.CodeInvalid, "imagev2.value", "name", name, "kind", "string")
		}
	}
	need := map[string][]string{images.MethodWeb: {"uri"}, images.MethodRemote: {"glance_image_id", "glance_region"}}
	for _, name := range need[in.Method] {
		if text, _ := method[name].(string); text == "" {
			return in, kuva.E(kuva.CodeInvalid, "imagev2.import_needs", "method", in.Method, "name", name)
		}
	}
	if in.Method == copyImage {
		return in, kuva.E(kuva.CodeInvalid, "imagev2.copy_image")
	}
	return in, nil
}

// checkStores holds the rules for what names stores.
func checkStores(object map[string]any, header string) error {
	for _, name := range []string{"all_stores", "all_stores_must_succeed"} {
		if value, there := object[name]; there {
			if _, ok := value.(bool); !ok {
				return kuva.E(kuva.CodeInvalid, "imagev2.value", "name", name, "kind", "boolean")
			}
		}
	}
	value, there := object["stores"]
	if !there {
		if header != "" && !strings.EqualFold(header, theStore) {
			return kuva.E(kuva.CodeInvalid, "imagev2.no_stores")
		}
		return nil
	}
	stores, ok := texts(value)
	switch all, _ := object["all_stores"].(bool); {
	case !ok:
		return kuva.E(kuva.CodeInvalid, "imagev2.value", "name", "stores", "kind", "array of strings")
	case header != "" || all:
		return kuva.E(kuva.CodeInvalid, "imagev2.stores_twice")
	}
	for _, s := range stores {
		if !strings.EqualFold(s, theStore) {
			return kuva.E(kuva.CodeConflict, "imagev2.unknown_store")
		}
	}
	return nil
}
