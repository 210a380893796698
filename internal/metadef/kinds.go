package metadef

import (
	"context"
	"strings"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Objects lists the objects of a namespace.
func (s *Service) Objects(ctx context.Context, p kuva.Principal, namespace string, page Page) ([]Object, error) {
	return list[Object](ctx, s, p, namespace, catalog.MetadefObjects, page, policy.GetMetadefObjects, policy.GetMetadefObject)
}

// Object returns one object.
func (s *Service) Object(ctx context.Context, p kuva.Principal, namespace, name string) (*Object, error) {
	return show[Object](ctx, s, p, namespace, catalog.MetadefObjects, name, policy.GetMetadefObject)
}

// AddObject makes an object; CodeConflict if its name is taken.
func (s *Service) AddObject(ctx context.Context, p kuva.Principal, namespace string, o *Object) (*Object, error) {
	return add[Object](ctx, s, p, namespace, o, policy.AddMetadefObject)
}

// SetObject writes an object anew, maybe with another name.
func (s *Service) SetObject(ctx context.Context, p kuva.Principal, namespace, name string, o *Object) (*Object, error) {
	return set[Object](ctx, s, p, namespace, name, o, policy.ModifyMetadefObject)
}

// RemoveObject deletes one object.
func (s *Service) RemoveObject(ctx context.Context, p kuva.Principal, namespace, name string) error {
	return s.remove(ctx, p, namespace, catalog.MetadefObjects, name, policy.DeleteMetadefObject)
}

// RemoveObjects deletes all objects of a namespace, which takes the right to
// delete the namespace.
func (s *Service) RemoveObjects(ctx context.Context, p kuva.Principal, namespace string) error {
	return s.clear(ctx, p, namespace, catalog.MetadefObjects, policy.DeleteMetadefNamespace)
}

// Properties lists the properties of a namespace by their names.
func (s *Service) Properties(ctx context.Context, p kuva.Principal, namespace string) ([]Property, error) {
	return list[Property](ctx, s, p, namespace, catalog.MetadefProperties, Page{}, policy.GetMetadefProperties, policy.GetMetadefProperty)
}

// Property returns one property. With a resource type, name is the one that the
// property has there: the association's prefix and its own.
func (s *Service) Property(ctx context.Context, p kuva.Principal, namespace, name, resourceType string) (*Property, error) {
	if resourceType != "" {
		a, err := show[Association](ctx, s, p, namespace, catalog.MetadefResourceTypes, resourceType, policy.GetMetadefProperty, policy.GetMetadefResourceType)
		if err != nil {
			return nil, err
		}
		own, ok := strings.CutPrefix(name, a.Prefix)
		if !ok || a.Prefix == "" {
			return nil, kuva.E(kuva.CodeNotFound, "metadef.prefix", "name", name, "prefix", a.Prefix)
		}
		name = own
	}
	return show[Property](ctx, s, p, namespace, catalog.MetadefProperties, name, policy.GetMetadefProperty)
}

// AddProperty makes a property; CodeConflict if its name is taken.
func (s *Service) AddProperty(ctx context.Context, p kuva.Principal, namespace string, prop *Property) (*Property, error) {
	return add[Property](ctx, s, p, namespace, prop, policy.AddMetadefProperty)
}

// SetProperty writes a property anew, maybe with another name.
func (s *Service) SetProperty(ctx context.Context, p kuva.Principal, namespace, name string, prop *Property) (*Property, error) {
	return set[Property](ctx, s, p, namespace, name, prop, policy.ModifyMetadefProperty)
}

// RemoveProperty deletes one property.
func (s *Service) RemoveProperty(ctx context.Context, p kuva.Principal, namespace, name string) error {
	return s.remove(ctx, p, namespace, catalog.MetadefProperties, name, policy.RemoveMetadefProperty)
}

// RemoveProperties deletes all properties of a namespace, which takes the right
// to delete the namespace.
func (s *Service) RemoveProperties(ctx context.Context, p kuva.Principal, namespace string) error {
	return s.clear(ctx, p, namespace, catalog.MetadefProperties, policy.DeleteMetadefNamespace)
}

// Tags lists the tags of a namespace.
func (s *Service) Tags(ctx context.Context, p kuva.Principal, namespace string, page Page) ([]Tag, error) {
	return list[Tag](ctx, s, p, namespace, catalog.MetadefTags, page, policy.GetMetadefTags, policy.GetMetadefTag)
}

// Tag returns one tag.
func (s *Service) Tag(ctx context.Context, p kuva.Principal, namespace, name string) (*Tag, error) {
	return show[Tag](ctx, s, p, namespace, catalog.MetadefTags, name, policy.GetMetadefTag)
}

// AddTag makes a tag; CodeConflict if there is one.
func (s *Service) AddTag(ctx context.Context, p kuva.Principal, namespace, name string) (*Tag, error) {
	return add[Tag](ctx, s, p, namespace, &Tag{Name: name}, policy.AddMetadefTag)
}

// AddTags makes tags, in the place of all that are there unless they are to be
// appended. CodeConflict, and no change, if one would be there twice.
func (s *Service) AddTags(ctx context.Context, p kuva.Principal, namespace string, tags []Tag, appends bool) error {
	c := change{namespace: namespace, action: "metadef_tag.create", rules: []policy.Rule{policy.AddMetadefTags}}
	if len(tags) > MaxItems {
		return s.unseen(ctx, p, c, kuva.E(kuva.CodeTooLarge, "metadef.too_many", "limit", MaxItems))
	}
	for i := range tags {
		if err := tags[i].Check(); err != nil {
			return s.unseen(ctx, p, c, err)
		}
	}
	return s.change(ctx, p, c, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		if !appends {
			if err := catalog.DeleteMetadefItems(ctx, tx, n.ID, catalog.MetadefTags); err != nil {
				return err
			}
		}
		now := s.now()
		for i := range tags {
			t := &catalog.MetadefItem{Namespace: n.ID, Kind: catalog.MetadefTags, Name: tags[i].Name, Body: "{}", CreatedAt: now, UpdatedAt: now}
			if i == 0 {
				if err := room(ctx, tx, t, len(tags), len(tags)*len(t.Body)); err != nil {
					return err
				}
			}
			if err := catalog.InsertMetadefItem(ctx, tx, t); err != nil {
				return coded(ctx, err, t.Name)
			}
		}
		return nil
	})
}

// SetTag gives a tag another name.
func (s *Service) SetTag(ctx context.Context, p kuva.Principal, namespace, name string, t *Tag) (*Tag, error) {
	return set[Tag](ctx, s, p, namespace, name, t, policy.ModifyMetadefTag)
}

// RemoveTag deletes one tag.
func (s *Service) RemoveTag(ctx context.Context, p kuva.Principal, namespace, name string) error {
	return s.remove(ctx, p, namespace, catalog.MetadefTags, name, policy.DeleteMetadefTag)
}

// RemoveTags deletes all tags of a namespace, which takes the right to delete
// the namespace, too.
func (s *Service) RemoveTags(ctx context.Context, p kuva.Principal, namespace string) error {
	return s.clear(ctx, p, namespace, catalog.MetadefTags, policy.DeleteMetadefNamespace, policy.DeleteMetadefTags)
}

// Associations lists the resource types that a namespace is about.
func (s *Service) Associations(ctx context.Context, p kuva.Principal, namespace string) ([]Association, error) {
	return list[Association](ctx, s, p, namespace, catalog.MetadefResourceTypes, Page{Sort: "name", Ascending: true},
		policy.ListMetadefResourceTypes, policy.GetMetadefResourceType)
}

// Associate makes a namespace be about a resource type, which need not have
// been there; CodeConflict if it is already.
func (s *Service) Associate(ctx context.Context, p kuva.Principal, namespace string, a *Association) (*Association, error) {
	return add[Association](ctx, s, p, namespace, a, policy.AddMetadefAssociation)
}

// Dissociate ends an association. The resource type stays in the list of all.
func (s *Service) Dissociate(ctx context.Context, p kuva.Principal, namespace, resourceType string) error {
	return s.remove(ctx, p, namespace, catalog.MetadefResourceTypes, resourceType, policy.RemoveMetadefAssociation)
}

// ResourceTypes lists all resource types that there ever was an association
// with.
func (s *Service) ResourceTypes(ctx context.Context, p kuva.Principal) ([]ResourceType, error) {
	if err := s.allow(p, policy.Target{Project: p.ProjectID}, policy.ListMetadefResourceTypes); err != nil {
		return nil, err
	}
	out := []ResourceType{}
	err := s.db.View(ctx, func(tx *catalog.Tx) error {
		rows, err := catalog.ListMetadefResourceTypes(ctx, tx, maxTypes)
		out = out[:0]
		for _, r := range rows {
			out = append(out, ResourceType{r.Name, stamp(r.CreatedAt), stamp(r.UpdatedAt)})
		}
		return err
	})
	return out, coded(ctx, err, "")
}
