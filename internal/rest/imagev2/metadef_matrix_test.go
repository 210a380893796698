package imagev2

// metadefCalls are the calls of the matrix about metadata definitions: of a
// public and of a private namespace, both of the owner's project. The calls of
// the file follow each other, and administrators do what they ask for.
var metadefCalls = map[string]matrixCall{
	"md namespaces":                  {"GET /v2/metadefs/namespaces", "", "", ""},
	"md create":                      {"POST /v2/metadefs/namespaces", "", `{"namespace":"new"}`, ""},
	"md resource types":              {"GET /v2/metadefs/resource_types", "", "", ""},
	"md show, public":                {"GET /v2/metadefs/namespaces/{ns}", "/v2/metadefs/namespaces/public", "", ""},
	"md show, private":               {"GET /v2/metadefs/namespaces/{ns}", "/v2/metadefs/namespaces/private", "", ""},
	"md add object, public":          {"POST /v2/metadefs/namespaces/{ns}/objects", "/v2/metadefs/namespaces/public/objects", `{"name":"o"}`, ""},
	"md add object, private":         {"POST /v2/metadefs/namespaces/{ns}/objects", "/v2/metadefs/namespaces/private/objects", `{"name":"o"}`, ""},
	"md objects, public":             {"GET /v2/metadefs/namespaces/{ns}/objects", "/v2/metadefs/namespaces/public/objects", "", ""},
	"md objects, private":            {"GET /v2/metadefs/namespaces/{ns}/objects", "/v2/metadefs/namespaces/private/objects", "", ""},
	"md show object, public":         {"GET /v2/metadefs/namespaces/{ns}/objects/{object}", "/v2/metadefs/namespaces/public/objects/there", "", ""},
	"md show object, private":        {"GET /v2/metadefs/namespaces/{ns}/objects/{object}", "/v2/metadefs/namespaces/private/objects/there", "", ""},
	"md set object, public":          {"PUT /v2/metadefs/namespaces/{ns}/objects/{object}", "/v2/metadefs/namespaces/public/objects/o", `{"name":"o"}`, ""},
	"md set object, private":         {"PUT /v2/metadefs/namespaces/{ns}/objects/{object}", "/v2/metadefs/namespaces/private/objects/o", `{"name":"o"}`, ""},
	"md remove object, public":       {"DELETE /v2/metadefs/namespaces/{ns}/objects/{object}", "/v2/metadefs/namespaces/public/objects/o", "", ""},
	"md remove object, private":      {"DELETE /v2/metadefs/namespaces/{ns}/objects/{object}", "/v2/metadefs/namespaces/private/objects/o", "", ""},
	"md add property, public":        {"POST /v2/metadefs/namespaces/{ns}/properties", "/v2/metadefs/namespaces/public/properties", `{"name":"p","type":"string","title":"P"}`, ""},
	"md add property, private":       {"POST /v2/metadefs/namespaces/{ns}/properties", "/v2/metadefs/namespaces/private/properties", `{"name":"p","type":"string","title":"P"}`, ""},
	"md properties, public":          {"GET /v2/metadefs/namespaces/{ns}/properties", "/v2/metadefs/namespaces/public/properties", "", ""},
	"md properties, private":         {"GET /v2/metadefs/namespaces/{ns}/properties", "/v2/metadefs/namespaces/private/properties", "", ""},
	"md show property, public":       {"GET /v2/metadefs/namespaces/{ns}/properties/{property}", "/v2/metadefs/namespaces/public/properties/there", "", ""},
	"md show property, private":      {"GET /v2/metadefs/namespaces/{ns}/properties/{property}", "/v2/metadefs/namespaces/private/properties/there", "", ""},
	"md set property, public":        {"PUT /v2/metadefs/namespaces/{ns}/properties/{property}", "/v2/metadefs/namespaces/public/properties/p", `{"name":"p","type":"string","title":"P"}`, ""},
	"md set property, private":       {"PUT /v2/metadefs/namespaces/{ns}/properties/{property}", "/v2/metadefs/namespaces/private/properties/p", `{"name":"p","type":"string","title":"P"}`, ""},
	"md remove property, public":     {"DELETE /v2/metadefs/namespaces/{ns}/properties/{property}", "/v2/metadefs/namespaces/public/properties/p", "", ""},
	"md remove property, private":    {"DELETE /v2/metadefs/namespaces/{ns}/properties/{property}", "/v2/metadefs/namespaces/private/properties/p", "", ""},
	"md add tag, public":             {"POST /v2/metadefs/namespaces/{ns}/tags/{tag}", "/v2/metadefs/namespaces/public/tags/t", "", ""},
	"md add tag, private":            {"POST /v2/metadefs/namespaces/{ns}/tags/{tag}", "/v2/metadefs/namespaces/private/tags/t", "", ""},
	"md tags, public":                {"GET /v2/metadefs/namespaces/{ns}/tags", "/v2/metadefs/namespaces/public/tags", "", ""},
	"md tags, private":               {"GET /v2/metadefs/namespaces/{ns}/tags", "/v2/metadefs/namespaces/private/tags", "", ""},
	"md show tag, public":            {"GET /v2/metadefs/namespaces/{ns}/tags/{tag}", "/v2/metadefs/namespaces/public/tags/there", "", ""},
	"md show tag, private":           {"GET /v2/metadefs/namespaces/{ns}/tags/{tag}", "/v2/metadefs/namespaces/private/tags/there", "", ""},
	"md set tag, public":             {"PUT /v2/metadefs/namespaces/{ns}/tags/{tag}", "/v2/metadefs/namespaces/public/tags/t", `{"name":"t"}`, ""},
	"md set tag, private":            {"PUT /v2/metadefs/namespaces/{ns}/tags/{tag}", "/v2/metadefs/namespaces/private/tags/t", `{"name":"t"}`, ""},
	"md remove tag, public":          {"DELETE /v2/metadefs/namespaces/{ns}/tags/{tag}", "/v2/metadefs/namespaces/public/tags/t", "", ""},
	"md remove tag, private":         {"DELETE /v2/metadefs/namespaces/{ns}/tags/{tag}", "/v2/metadefs/namespaces/private/tags/t", "", ""},
	"md associate, public":           {"POST /v2/metadefs/namespaces/{ns}/resource_types", "/v2/metadefs/namespaces/public/resource_types", `{"name":"r"}`, ""},
	"md associate, private":          {"POST /v2/metadefs/namespaces/{ns}/resource_types", "/v2/metadefs/namespaces/private/resource_types", `{"name":"r"}`, ""},
	"md associations, public":        {"GET /v2/metadefs/namespaces/{ns}/resource_types", "/v2/metadefs/namespaces/public/resource_types", "", ""},
	"md associations, private":       {"GET /v2/metadefs/namespaces/{ns}/resource_types", "/v2/metadefs/namespaces/private/resource_types", "", ""},
	"md dissociate, public":          {"DELETE /v2/metadefs/namespaces/{ns}/resource_types/{resource_type}", "/v2/metadefs/namespaces/public/resource_types/r", "", ""},
	"md dissociate, private":         {"DELETE /v2/metadefs/namespaces/{ns}/resource_types/{resource_type}", "/v2/metadefs/namespaces/private/resource_types/r", "", ""},
	"md remove objects, public":      {"DELETE /v2/metadefs/namespaces/{ns}/objects", "/v2/metadefs/namespaces/public/objects", "", ""},
	"md remove objects, private":     {"DELETE /v2/metadefs/namespaces/{ns}/objects", "/v2/metadefs/namespaces/private/objects", "", ""},
	"md remove properties, public":   {"DELETE /v2/metadefs/namespaces/{ns}/properties", "/v2/metadefs/namespaces/public/properties", "", ""},
	"md remove properties, private":  {"DELETE /v2/metadefs/namespaces/{ns}/properties", "/v2/metadefs/namespaces/private/properties", "", ""},
	"md add tags, public":            {"POST /v2/metadefs/namespaces/{ns}/tags", "/v2/metadefs/namespaces/public/tags", `{"tags":[{"name":"t"}]}`, ""},
	"md add tags, private":           {"POST /v2/metadefs/namespaces/{ns}/tags", "/v2/metadefs/namespaces/private/tags", `{"tags":[{"name":"t"}]}`, ""},
	"md remove tags, public":         {"DELETE /v2/metadefs/namespaces/{ns}/tags", "/v2/metadefs/namespaces/public/tags", "", ""},
	"md remove tags, private":        {"DELETE /v2/metadefs/namespaces/{ns}/tags", "/v2/metadefs/namespaces/private/tags", "", ""},
	"md update, public":              {"PUT /v2/metadefs/namespaces/{ns}", "/v2/metadefs/namespaces/public", `{"namespace":"public","visibility":"public","owner":"OWNER"}`, ""},
	"md update, private":             {"PUT /v2/metadefs/namespaces/{ns}", "/v2/metadefs/namespaces/private", `{"namespace":"private","visibility":"private","owner":"OWNER"}`, ""},
	"md delete, public":              {"DELETE /v2/metadefs/namespaces/{ns}", "/v2/metadefs/namespaces/public", "", ""},
	"md delete, private":             {"DELETE /v2/metadefs/namespaces/{ns}", "/v2/metadefs/namespaces/private", "", ""},
	"schema metadefs/namespace":      {"GET /v2/schemas/metadefs/namespace", "", "", ""},
	"schema metadefs/namespaces":     {"GET /v2/schemas/metadefs/namespaces", "", "", ""},
	"schema metadefs/object":         {"GET /v2/schemas/metadefs/object", "", "", ""},
	"schema metadefs/objects":        {"GET /v2/schemas/metadefs/objects", "", "", ""},
	"schema metadefs/property":       {"GET /v2/schemas/metadefs/property", "", "", ""},
	"schema metadefs/properties":     {"GET /v2/schemas/metadefs/properties", "", "", ""},
	"schema metadefs/tag":            {"GET /v2/schemas/metadefs/tag", "", "", ""},
	"schema metadefs/tags":           {"GET /v2/schemas/metadefs/tags", "", "", ""},
	"schema metadefs/resource_type":  {"GET /v2/schemas/metadefs/resource_type", "", "", ""},
	"schema metadefs/resource_types": {"GET /v2/schemas/metadefs/resource_types", "", "", ""},
}

func init() {
	for name, call := range metadefCalls {
		matrixCalls[name] = call
	}
}

// define makes the namespaces that the matrix asks about.
func (m *matrix) define() {
	m.t.Helper()
	for _, visibility := range []string{"public", "private"} {
		m.want(201, m.world.admin, "POST", "/v2/metadefs/namespaces", map[string]any{
			"namespace": visibility, "visibility": visibility, "owner": m.owner, "objects": []any{map[string]any{"name": "there"}},
			"properties": map[string]any{"there": map[string]any{"type": "string", "title": "There"}}, "tags": []any{map[string]any{"name": "there"}},
		})
	}
}

// defineX makes a namespace x that everybody sees, with an x of each kind, and
// adds what the calls about it send.
func (w *world) defineX(bodies map[string]any) {
	w.t.Helper()
	x := map[string]any{"name": "x", "type": "string", "title": "X"}
	named := map[string]any{"name": "x"}
	namespace := map[string]any{
		"namespace": "x", "visibility": "public", "objects": []any{named}, "properties": map[string]any{"x": x}, "tags": []any{named},
	}
	w.want(201, w.admin, "POST", metadefNamespaces, namespace)
	bodies["POST "+metadefNamespaces], bodies["PUT "+metadefNamespace] = namespace, namespace
	bodies["POST "+metadefNamespace+"/objects"], bodies["PUT "+metadefNamespace+"/objects/{object}"] = named, named
	bodies["POST "+metadefNamespace+"/properties"], bodies["PUT "+metadefNamespace+"/properties/{property}"] = x, x
	bodies["POST "+metadefNamespace+"/tags"], bodies["PUT "+metadefNamespace+"/tags/{tag}"] = map[string]any{"tags": []any{named}}, named
	bodies["POST "+metadefNamespace+"/resource_types"] = named
}
