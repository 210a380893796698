package imagev2

import (
	"encoding/json"
	"net/http"
	"slices"

	"kuva"
	"kuva/internal/metadef"
	"kuva/internal/rest"
)

// mdRead reads the body of a request with one of the parsers.
func mdRead[T any](r *http.Request, parse func(body []byte) (*T, error)) (*T, error) {
	if err := checkJSONType(r); err != nil {
		return nil, err
	}
	body, err := rest.ReadBody(r)
	if err != nil {
		return nil, err
	}
	return parse(body)
}

// parseDocument reads a JSON object. Members that only the service sets are
// refused as such, unknown ones as unknown.
func parseDocument[T any](body []byte, readOnly ...string) (*T, error) {
	var members map[string]json.RawMessage
	if err := rest.DecodeJSON(body, &members, rest.AnyFields); err != nil {
		return nil, err
	}
	if members == nil { // null
		return nil, kuva.E(kuva.CodeInvalid, "imagev2.not_object")
	}
	for _, name := range slices.Sorted(slices.Values(readOnly)) {
		if _, there := members[name]; there {
			return nil, kuva.E(kuva.CodeForbidden, "image.read_only_attribute", "name", name)
		}
	}
	var doc T
	if err := rest.DecodeJSON(body, &doc, rest.KnownFields); err != nil {
		return nil, err
	}
	return &doc, nil
}

// parseNamespace reads a namespace, maybe with all that is in it.
func parseNamespace(body []byte) (*metadef.Namespace, error) {
	doc, err := parseDocument[metadef.Namespace](body, "self", "schema", "created_at", "updated_at")
	if err != nil {
		return nil, err
	}
	// What stands inside may be a copy of an answer, with its links and times.
	for i := range doc.Objects {
		o := &doc.Objects[i]
		o.Self, o.Schema, o.CreatedAt, o.UpdatedAt = "", "", "", ""
	}
	for i := range doc.Tags {
		doc.Tags[i] = metadef.Tag{Name: doc.Tags[i].Name}
	}
	for i := range doc.Associations {
		doc.Associations[i].CreatedAt, doc.Associations[i].UpdatedAt = "", ""
	}
	return doc, nil
}

func parseObject(body []byte) (*metadef.Object, error) {
	return parseDocument[metadef.Object](body, "self", "schema", "created_at", "updated_at")
}

func parseProperty(body []byte) (*metadef.Property, error) {
	return parseDocument[metadef.Property](body, "created_at", "updated_at")
}

func parseTag(body []byte) (*metadef.Tag, error) {
	return parseDocument[metadef.Tag](body, "created_at", "updated_at")
}

func parseAssociation(body []byte) (*metadef.Association, error) {
	return parseDocument[metadef.Association](body, "created_at", "updated_at")
}

// mdTagList is {"tags":[{"name":…}]}.
type mdTagList struct {
	Tags []metadef.Tag `json:"tags"`
}

func parseTags(body []byte) (*mdTagList, error) {
	list, err := parseDocument[mdTagList](body, "created_at", "updated_at")
	if err != nil {
		return nil, err
	}
	for i := range list.Tags {
		list.Tags[i] = metadef.Tag{Name: list.Tags[i].Name}
	}
	return list, nil
}
