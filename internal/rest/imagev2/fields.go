package imagev2

import (
	"math"
	"regexp"
	"strings"

	"kuva"
	"kuva/internal/images"
)

// kind is what JSON may hold under a name.
type kind int

const (
	kindText    kind = iota // string
	kindMaybe               // string or null
	kindBool                // true, false
	kindInteger             // whole number that fits 31 bits
	kindTexts               // array of strings
	kindList                // array
)

// base are the fields of an image that callers write, with their kinds.
var base = map[string]kind{
	"name": kindMaybe, "owner": kindMaybe, "visibility": kindText, "protected": kindBool, "os_hidden": kindBool,
	"disk_format": kindMaybe, "container_format": kindMaybe, "min_disk": kindInteger, "min_ram": kindInteger,
	"tags": kindTexts, "locations": kindList,
}

// references are extra properties that may be null, which is kept as "".
var references = map[string]bool{"kernel_id": true, "ramdisk_id": true}

// readOnly are the names that show facts of the service. Those that begin
// with kuva_ are this service's own.
var readOnly = map[string]bool{
	"created_at": true, "updated_at": true, "status": true, "checksum": true, "size": true, "virtual_size": true,
	"direct_url": true, "self": true, "file": true, "schema": true, "id": true, "os_hash_algo": true,
	"os_hash_value": true, "stores": true,
	propertyLastFailure: true, propertyOrigin: true,
	images.PropertySourceSHA512: true, images.PropertySourceFormat: true, images.PropertySourceSize: true,
	images.PropertyTerms: true,
}

// reserved are the names that the reference keeps for itself, and for older
// versions of the API.
var reserved = map[string]bool{"location": true, "deleted": true, "deleted_at": true}

const reservedPrefix = "os_glance"

// isBase reports whether every image has a field of that name.
func isBase(name string) bool {
	_, ok := base[name]
	return ok
}

// checkWritable refuses the names that nobody may set.
func checkWritable(name string) error {
	if readOnly[name] {
		return kuva.E(kuva.CodeForbidden, "imagev2.read_only", "name", name)
	}
	if reserved[name] || strings.HasPrefix(name, reservedPrefix) {
		return kuva.E(kuva.CodeForbidden, "imagev2.reserved", "name", clip(name))
	}
	return nil
}

// checkValue refuses a value of the wrong JSON type, as the image schema does.
// Whether the value makes sense is for the use cases.
func checkValue(name string, value any) error {
	var ok bool
	want := "string"
	switch base[name] {
	case kindText:
		_, ok = value.(string)
		ok = ok || value == nil && references[name]
	case kindMaybe:
		_, ok = value.(string)
		ok, want = ok || value == nil, "string or null"
	case kindBool:
		_, ok = value.(bool)
		want = "boolean"
	case kindInteger:
		_, ok = integer(value)
		want = "integer from 0 to 2147483647"
	case kindTexts:
		_, ok = texts(value)
		want = "array of strings"
	case kindList:
		_, ok = value.([]any)
		want = "array"
	}
	if !ok {
		return kuva.E(kuva.CodeInvalid, "imagev2.value", "name", clip(name), "kind", want)
	}
	return nil
}

func integer(value any) (int64, bool) {
	f, ok := value.(float64)
	if !ok || f != math.Trunc(f) || f < 0 || f > math.MaxInt32 {
		return 0, false
	}
	return int64(f), true
}

func texts(value any) ([]string, bool) {
	list, ok := value.([]any)
	if !ok {
		return nil, false
	}
	out := make([]string, len(list))
	for i, v := range list {
		if out[i], ok = v.(string); !ok {
			return nil, false
		}
	}
	return out, true
}

// imageID is the form of ids that callers may choose.
var imageID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
