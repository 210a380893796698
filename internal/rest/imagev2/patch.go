package imagev2

import (
	"mime"
	"net/http"

	"kuva"
	"kuva/internal/rest"
)

// The two dialects in which an image is changed. The first one is an early
// draft of what became RFC 6902 and is kept for old clients.
const (
	patchDraft4 = "application/openstack-images-v2.0-json-patch"
	patch21     = "application/openstack-images-v2.1-json-patch"
)

// acceptPatch is sent with the 415 for any other media type.
const acceptPatch = patchDraft4 + ", " + patch21

// maxChanges bounds the operations of one PATCH. An image has at most a few
// hundred things that could be changed.
const maxChanges = 1000

// change is one operation of a PATCH, checked as far as that is possible
// without the image.
type change struct {
	op    string // add, replace, remove
	name  string // of the field or property
	value any    // nil for remove; else what checkValue lets through, "" for null
	// strict is set in the older dialect, where add refuses what exists.
	strict bool
}

// readPatch reads the body of a PATCH and says in which dialect it is by its
// Content-Type.
func readPatch(w http.ResponseWriter, r *http.Request) (body []byte, draft4 bool, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != patchDraft4 && media != patch21 {
		w.Header().Set("Accept-Patch", acceptPatch)
		return nil, false, kuva.E(kuva.CodeUnsupported, "imagev2.patch_type", "types", acceptPatch)
	}
	body, err = rest.ReadBody(r)
	return body, media == patchDraft4, err
}

// decodePatch takes a patch document apart. Its errors are those of the
// reference: 400 for what is malformed, 403 for what nobody may change.
func decodePatch(body []byte, draft4 bool) ([]change, error) {
	var document any
	if err := rest.DecodeJSON(body, &document, rest.AnyFields); err != nil {
		return nil, err
	}
	list, ok := document.([]any)
	if !ok {
		return nil, kuva.E(kuva.CodeInvalid, "imagev2.patch_not_array")
	}
	if len(list) > maxChanges {
		return nil, kuva.E(kuva.CodeTooLarge, "imagev2.patch_long", "limit", maxChanges)
	}
	changes := make([]change, 0, len(list))
	for _, item := range list {
		operation, ok := item.(map[string]any)
		if !ok {
			return nil, kuva.E(kuva.CodeInvalid, "imagev2.patch_not_object")
		}
		c, err := decodeChange(operation, draft4)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func decodeChange(operation map[string]any, draft4 bool) (change, error) {
	read := operationOf
	if draft4 {
		read = operationOfDraft4
	}
	op, pointer, err := read(operation)
	if err != nil {
		return change{}, err
	}
	path, err := decodePointer(pointer)
	if err != nil {
		return change{}, err
	}
	if err := checkDepth(op, path, pointer); err != nil {
		return change{}, err
	}
	c := change{op: op, name: path[0], strict: draft4}
	if op != "remove" {
		value, ok := operation["value"]
		if !ok {
			return change{}, kuva.E(kuva.CodeInvalid, "imagev2.patch_no_value", "op", op)
		}
		c.value = value
	}
	if err := checkWritable(c.name); err != nil {
		return change{}, err
	}
	if c.name == "locations" {
		// Where the bytes lie is nobody's business, so it cannot be changed.
		return change{}, kuva.E(kuva.CodeForbidden, "imagev2.locations")
	}
	if op == "remove" {
		if isBase(c.name) {
			return change{}, kuva.E(kuva.CodeForbidden, "imagev2.not_removable", "name", c.name)
		}
		return c, nil
	}
	if err := checkValue(c.name, c.value); err != nil {
		return change{}, err
	}
	if c.value == nil {
		c.value = ""
	}
	return c, nil
}

// operationOf reads {"op":…,"path":…}.
func operationOf(operation map[string]any) (op, pointer string, err error) {
	op, ok := operation["op"].(string)
	if !ok || op != "add" && op != "replace" && op != "remove" {
		return "", "", kuva.E(kuva.CodeInvalid, "imagev2.patch_op")
	}
	pointer, ok = operation["path"].(string)
	if !ok {
		return "", "", kuva.E(kuva.CodeInvalid, "imagev2.patch_no_path")
	}
	return op, pointer, nil
}

// operationOfDraft4 reads {"add":PATH,…}: the operation is the name of the
// one member that is called add, remove or replace.
func operationOfDraft4(operation map[string]any) (op, pointer string, err error) {
	for _, name := range []string{"add", "remove", "replace"} {
		value, ok := operation[name]
		if !ok {
			continue
		}
		if op != "" {
			return "", "", kuva.E(kuva.CodeInvalid, "imagev2.patch_op_draft4")
		}
		op = name
		if pointer, ok = value.(string); !ok {
			return "", "", kuva.E(kuva.CodeInvalid, "imagev2.patch_no_path")
		}
	}
	if op == "" {
		return "", "", kuva.E(kuva.CodeInvalid, "imagev2.patch_op_draft4")
	}
	return op, pointer, nil
}

// checkDepth lets through /NAME for everything, and only /locations/N and
// /locations/- for adding and removing locations.
func checkDepth(op string, path []string, pointer string) error {
	want := 1
	if path[0] == "locations" && op != "replace" {
		want = 2
	}
	if len(path) != want || want == 2 && !isPosition(path[1]) {
		return kuva.E(kuva.CodeInvalid, "imagev2.pointer", "pointer", clip(pointer))
	}
	return nil
}

func isPosition(s string) bool {
	if s == "-" {
		return true
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) <= 9
}
