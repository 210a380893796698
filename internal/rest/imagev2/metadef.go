package imagev2

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"kuva"
	"kuva/internal/metadef"
	"kuva/internal/rest"
)

const (
	metadefNamespaces = "/v2/metadefs/namespaces"
	metadefNamespace  = metadefNamespaces + "/{ns}"
)

// metadefTable is the routes of metadata definitions.
func (h *handler) metadefTable() map[string]action {
	const one = metadefNamespace
	return map[string]action{
		"GET " + metadefNamespaces:  noBody(h.mdNamespaces),
		"POST " + metadefNamespaces: h.mdCreateNamespace,
		"GET " + one:                noBody(h.mdNamespace),
		"PUT " + one:                h.mdUpdateNamespace,
		"DELETE " + one:             noBody(h.mdDelete((*metadef.Service).DeleteNamespace)),

		"GET " + one + "/objects":             noBody(h.mdObjects),
		"POST " + one + "/objects":            h.mdAddObject,
		"DELETE " + one + "/objects":          noBody(h.mdDelete((*metadef.Service).RemoveObjects)),
		"GET " + one + "/objects/{object}":    noBody(h.mdObject),
		"PUT " + one + "/objects/{object}":    h.mdSetObject,
		"DELETE " + one + "/objects/{object}": noBody(h.mdRemove("object", (*metadef.Service).RemoveObject)),

		"GET " + one + "/properties":               noBody(h.mdProperties),
		"POST " + one + "/properties":              h.mdAddProperty,
		"DELETE " + one + "/properties":            noBody(h.mdDelete((*metadef.Service).RemoveProperties)),
		"GET " + one + "/properties/{property}":    noBody(h.mdProperty),
		"PUT " + one + "/properties/{property}":    h.mdSetProperty,
		"DELETE " + one + "/properties/{property}": noBody(h.mdRemove("property", (*metadef.Service).RemoveProperty)),

		"GET " + one + "/tags":          noBody(h.mdTags),
		"POST " + one + "/tags":         h.mdAddTags,
		"DELETE " + one + "/tags":       noBody(h.mdDelete((*metadef.Service).RemoveTags)),
		"GET " + one + "/tags/{tag}":    noBody(h.mdTag),
		"POST " + one + "/tags/{tag}":   noBody(h.mdAddTag),
		"PUT " + one + "/tags/{tag}":    h.mdSetTag,
		"DELETE " + one + "/tags/{tag}": noBody(h.mdRemove("tag", (*metadef.Service).RemoveTag)),

		"GET /v2/metadefs/resource_types":                   noBody(h.mdResourceTypes),
		"GET " + one + "/resource_types":                    noBody(h.mdAssociations),
		"POST " + one + "/resource_types":                   h.mdAssociate,
		"DELETE " + one + "/resource_types/{resource_type}": noBody(h.mdRemove("resource_type", (*metadef.Service).Dissociate)),

		"GET /v2/schemas/metadefs/namespace":      noBody(h.schema(mdNamespaceSchema)),
		"GET /v2/schemas/metadefs/namespaces":     noBody(h.schema(mdCollection("namespaces", mdNamespaceSchema))),
		"GET /v2/schemas/metadefs/object":         noBody(h.schema(mdObjectSchema)),
		"GET /v2/schemas/metadefs/objects":        noBody(h.schema(mdCollection("objects", mdObjectSchema))),
		"GET /v2/schemas/metadefs/property":       noBody(h.schema(mdPropertySchema)),
		"GET /v2/schemas/metadefs/properties":     noBody(h.schema(mdPropertiesSchema)),
		"GET /v2/schemas/metadefs/tag":            noBody(h.schema(mdTagSchema)),
		"GET /v2/schemas/metadefs/tags":           noBody(h.schema(mdCollection("tags", mdTagSchema))),
		"GET /v2/schemas/metadefs/resource_type":  noBody(h.schema(mdAssociationSchema)),
		"GET /v2/schemas/metadefs/resource_types": noBody(h.schema(mdCollection("resource_type_associations", mdAssociationSchema))),
	}
}

// mdPath is the relative address of a namespace, or of something in it.
func mdPath(namespace string, more ...string) string {
	path := metadefNamespaces + "/" + url.PathEscape(namespace)
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

// mdLinked puts the links into a namespace's document.
func mdLinked(n *metadef.Namespace) *metadef.Namespace {
	n.Self, n.Schema = mdPath(n.Namespace), "/v2/schemas/metadefs/namespace"
	for i := range n.Objects {
		mdLinkedObject(n.Namespace, &n.Objects[i])
	}
	return n
}

func mdLinkedObject(namespace string, o *metadef.Object) *metadef.Object {
	o.Self, o.Schema = mdPath(namespace, "objects", o.Name), "/v2/schemas/metadefs/object"
	return o
}

// mdQuery reads the parameters of the list of namespaces. What it does not know
// is left out, as the reference does.
func mdQuery(params []parameter) (q metadef.Query, err error) {
	q.Limit = DefaultPage
	for _, p := range params {
		switch p.name {
		case "limit":
			q.Limit, err = parseLimit(p.value)
		case "marker":
			q.Marker = p.value
		case "sort_key":
			q.Sort = p.value
		case "sort_dir":
			q.Ascending, err = mdAscending(p.value)
		case "visibility":
			q.Visibility, err = oneOf(p.name, p.value, "", metadef.Public, metadef.Private)
		case "resource_types":
			if q.ResourceTypes = strings.Split(p.value, ","); len(q.ResourceTypes) > maxValues {
				err = bad(p.name, p.value)
			}
		}
		if err != nil {
			return q, err
		}
	}
	return q, nil
}

func mdAscending(value string) (bool, error) {
	if _, err := oneOf("sort_dir", value, "asc", "desc"); err != nil {
		return false, err
	}
	return value == "asc", nil
}

// mdPage reads the parameters of the lists inside a namespace.
func mdPage(r *http.Request) (page metadef.Page, err error) {
	params, err := parseParameters(r.URL.RawQuery)
	for i := 0; err == nil && i < len(params); i++ {
		p := params[i]
		switch p.name {
		case "limit":
			if page.Limit, err = parseLimit(p.value); err == nil && page.Limit == 0 {
				err = bad(p.name, p.value)
			}
		case "marker":
			page.Marker = p.value
		case "sort_key":
			page.Sort = p.value
		case "sort_dir":
			page.Ascending, err = mdAscending(p.value)
		}
	}
	return page, err
}

// mdResourceType reads the one parameter of a namespace and of a property.
func mdResourceType(r *http.Request) (resourceType string, err error) {
	params, err := parseParameters(r.URL.RawQuery)
	for _, p := range params {
		if p.name == "resource_type" {
			resourceType = p.value
		}
	}
	return resourceType, err
}

func (h *handler) mdNamespaces(w http.ResponseWriter, r *http.Request) error {
	params, err := parseParameters(r.URL.RawQuery)
	if err != nil {
		return err
	}
	q, err := mdQuery(params)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	found, err := h.metadef.Namespaces(ctx, p, q)
	if err != nil {
		return err
	}
	out := struct {
		Namespaces []metadef.Namespace `json:"namespaces"`
		First      string              `json:"first"`
		Next       string              `json:"next,omitempty"`
		Schema     string              `json:"schema"`
	}{make([]metadef.Namespace, len(found)), pageLinkOf(metadefNamespaces, params, ""), "", "/v2/schemas/metadefs/namespaces"}
	for i := range found {
		out.Namespaces[i] = *mdLinked(&found[i])
	}
	if len(found) > 0 && len(found) == q.Limit {
		out.Next = pageLinkOf(metadefNamespaces, params, found[len(found)-1].Namespace)
	}
	rest.WriteJSON(w, http.StatusOK, out)
	return nil
}

func (h *handler) mdNamespace(w http.ResponseWriter, r *http.Request) error {
	resourceType, err := mdResourceType(r)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	n, err := h.metadef.Namespace(ctx, p, r.PathValue("ns"), resourceType)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, mdLinked(n))
	return nil
}

func (h *handler) mdCreateNamespace(w http.ResponseWriter, r *http.Request) error {
	doc, err := mdRead(r, parseNamespace)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	n, err := h.metadef.CreateNamespace(ctx, p, doc)
	if err != nil {
		return err
	}
	w.Header().Set("Location", rest.PublicURL(h.public, r)+Prefix+mdPath(n.Namespace))
	rest.WriteJSON(w, http.StatusCreated, mdLinked(n))
	return nil
}

func (h *handler) mdUpdateNamespace(w http.ResponseWriter, r *http.Request) error {
	doc, err := mdRead(r, parseNamespace)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	n, err := h.metadef.UpdateNamespace(ctx, p, r.PathValue("ns"), doc)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, mdLinked(n))
	return nil
}

// mdDelete is a call that deletes a namespace, or all of a kind in it.
func (h *handler) mdDelete(remove func(s *metadef.Service, ctx context.Context, p kuva.Principal, namespace string) error) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, p := h.who(r)
		if err := remove(h.metadef, ctx, p, r.PathValue("ns")); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// mdRemove is a call that deletes one thing of a namespace; what is the name of
// its part of the path.
func (h *handler) mdRemove(what string, remove func(s *metadef.Service, ctx context.Context, p kuva.Principal, namespace, name string) error) action {
	return func(w http.ResponseWriter, r *http.Request) error {
		ctx, p := h.who(r)
		if err := remove(h.metadef, ctx, p, r.PathValue("ns"), r.PathValue(what)); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
