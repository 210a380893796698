package imagev2

import (
	"net/http"
	"strings"

	"kuva/internal/metadef"
	"kuva/internal/rest"
)

func (h *handler) mdObjects(w http.ResponseWriter, r *http.Request) error {
	page, err := mdPage(r)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	found, err := h.metadef.Objects(ctx, p, r.PathValue("ns"), page)
	if err != nil {
		return err
	}
	for i := range found {
		mdLinkedObject(r.PathValue("ns"), &found[i])
	}
	rest.WriteJSON(w, http.StatusOK, struct {
		Objects []metadef.Object `json:"objects"`
		Schema  string           `json:"schema"`
	}{found, "v2/schemas/metadefs/objects"}) // without a slash in the reference, too
	return nil
}

func (h *handler) mdObject(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	o, err := h.metadef.Object(ctx, p, r.PathValue("ns"), r.PathValue("object"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, mdLinkedObject(r.PathValue("ns"), o))
	return nil
}

func (h *handler) mdAddObject(w http.ResponseWriter, r *http.Request) error {
	doc, err := mdRead(r, parseObject)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	o, err := h.metadef.AddObject(ctx, p, r.PathValue("ns"), doc)
	if err != nil {
		return err
	}
	h.mdMade(w, r, "objects", o.Name)
	rest.WriteJSON(w, http.StatusCreated, mdLinkedObject(r.PathValue("ns"), o))
	return nil
}

// mdMade says where something new of a namespace is.
func (h *handler) mdMade(w http.ResponseWriter, r *http.Request, kind, name string) {
	w.Header().Set("Location", rest.PublicURL(h.public, r)+Prefix+mdPath(r.PathValue("ns"), kind, name))
}

func (h *handler) mdSetObject(w http.ResponseWriter, r *http.Request) error {
	doc, err := mdRead(r, parseObject)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	o, err := h.metadef.SetObject(ctx, p, r.PathValue("ns"), r.PathValue("object"), doc)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, mdLinkedObject(r.PathValue("ns"), o))
	return nil
}

func (h *handler) mdProperties(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	found, err := h.metadef.Properties(ctx, p, r.PathValue("ns"))
	if err != nil {
		return err
	}
	out := make(map[string]metadef.Property, len(found))
	for _, prop := range found {
		name := prop.Name
		prop.Name = ""
		out[name] = prop
	}
	rest.WriteJSON(w, http.StatusOK, map[string]any{"properties": out})
	return nil
}

func (h *handler) mdProperty(w http.ResponseWriter, r *http.Request) error {
	resourceType, err := mdResourceType(r)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	prop, err := h.metadef.Property(ctx, p, r.PathValue("ns"), r.PathValue("property"), resourceType)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, prop)
	return nil
}

func (h *handler) mdAddProperty(w http.ResponseWriter, r *http.Request) error {
	doc, err := mdRead(r, parseProperty)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	prop, err := h.metadef.AddProperty(ctx, p, r.PathValue("ns"), doc)
	if err != nil {
		return err
	}
	h.mdMade(w, r, "properties", prop.Name)
	rest.WriteJSON(w, http.StatusCreated, prop)
	return nil
}

func (h *handler) mdSetProperty(w http.ResponseWriter, r *http.Request) error {
	doc, err := mdRead(r, parseProperty)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	prop, err := h.metadef.SetProperty(ctx, p, r.PathValue("ns"), r.PathValue("property"), doc)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, prop)
	return nil
}

func (h *handler) mdTags(w http.ResponseWriter, r *http.Request) error {
	page, err := mdPage(r)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	found, err := h.metadef.Tags(ctx, p, r.PathValue("ns"), page)
	if err != nil {
		return err
	}
	for i := range found {
		found[i] = metadef.Tag{Name: found[i].Name}
	}
	rest.WriteJSON(w, http.StatusOK, mdTagList{found})
	return nil
}

func (h *handler) mdTag(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	t, err := h.metadef.Tag(ctx, p, r.PathValue("ns"), r.PathValue("tag"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, t)
	return nil
}

func (h *handler) mdAddTag(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	t, err := h.metadef.AddTag(ctx, p, r.PathValue("ns"), r.PathValue("tag"))
	if err != nil {
		return err
	}
	h.mdMade(w, r, "tags", t.Name)
	rest.WriteJSON(w, http.StatusCreated, t)
	return nil
}

// mdAddTags makes a list of tags, in the place of those that are there unless
// the caller wants them appended.
func (h *handler) mdAddTags(w http.ResponseWriter, r *http.Request) error {
	list, err := mdRead(r, parseTags)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	if err := h.metadef.AddTags(ctx, p, r.PathValue("ns"), list.Tags, isTrue(r.Header.Get("X-Openstack-Append"))); err != nil {
		return err
	}
	if list.Tags == nil {
		list.Tags = []metadef.Tag{}
	}
	rest.WriteJSON(w, http.StatusCreated, list)
	return nil
}

// isTrue reads a header as the reference does.
func isTrue(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "1", "t", "true", "on", "y", "yes":
		return true
	}
	return false
}

func (h *handler) mdSetTag(w http.ResponseWriter, r *http.Request) error {
	doc, err := mdRead(r, parseTag)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	t, err := h.metadef.SetTag(ctx, p, r.PathValue("ns"), r.PathValue("tag"), doc)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, t)
	return nil
}

func (h *handler) mdResourceTypes(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	found, err := h.metadef.ResourceTypes(ctx, p)
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, map[string]any{"resource_types": found})
	return nil
}

func (h *handler) mdAssociations(w http.ResponseWriter, r *http.Request) error {
	ctx, p := h.who(r)
	found, err := h.metadef.Associations(ctx, p, r.PathValue("ns"))
	if err != nil {
		return err
	}
	rest.WriteJSON(w, http.StatusOK, map[string]any{"resource_type_associations": found})
	return nil
}

func (h *handler) mdAssociate(w http.ResponseWriter, r *http.Request) error {
	doc, err := mdRead(r, parseAssociation)
	if err != nil {
		return err
	}
	ctx, p := h.who(r)
	a, err := h.metadef.Associate(ctx, p, r.PathValue("ns"), doc)
	if err != nil {
		return err
	}
	h.mdMade(w, r, "resource_types", a.Name)
	rest.WriteJSON(w, http.StatusCreated, a)
	return nil
}
