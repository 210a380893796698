package metadef

import (
	"context"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// Query is a question for namespaces.
type Query struct {
	Visibility    string   // "" is any
	ResourceTypes []string // of which a namespace has one; nil is any
	Sort          string   // "" is created_at
	Ascending     bool
	Marker        string // name of the last one of the page before
	Limit         int    // 0 to MaxPage
}

// Namespaces lists namespaces with their associations. CodeNotFound if there is
// no namespace with the marker's name.
func (s *Service) Namespaces(ctx context.Context, p kuva.Principal, q Query) ([]Namespace, error) {
	if err := s.allow(p, policy.Target{Project: p.ProjectID}, policy.GetMetadefNamespaces, policy.ListMetadefResourceTypes); err != nil {
		return nil, err
	}
	if q.Sort == "" {
		q.Sort = "created_at"
	}
	if catalog.MetadefSorts[q.Sort] == "" {
		return nil, kuva.E(kuva.CodeInvalid, "metadef.sort")
	}
	var out []Namespace
	err := s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		out = nil
		ask := catalog.MetadefQuery{
			All: p.Admin, Owner: p.ProjectID, Visibility: q.Visibility, ResourceTypes: q.ResourceTypes,
			Sort: q.Sort, Descending: !q.Ascending, Limit: min(q.Limit, MaxPage),
		}
		if q.Marker != "" {
			if ask.After, err = s.see(ctx, tx, catalog.GetMetadefNamespace, p, q.Marker); err != nil {
				return err
			}
		}
		found, err := catalog.ListMetadefNamespaces(ctx, tx, ask)
		if err != nil {
			return err
		}
		for i := range found {
			if !s.policy.Allows(p, policy.GetMetadefNamespace, target(&found[i])) {
				continue
			}
			n := document(&found[i])
			items, err := catalog.ListMetadefItems(ctx, tx, found[i].ID, catalog.MetadefItemQuery{Kind: catalog.MetadefResourceTypes})
			if err != nil {
				return err
			}
			for j := range items {
				if err := n.take(&items[j]); err != nil {
					return err
				}
			}
			out = append(out, *n)
		}
		return nil
	})
	return out, coded(ctx, err, q.Marker)
}

func document(n *catalog.MetadefNamespace) *Namespace {
	return &Namespace{
		Namespace: n.Name, DisplayName: n.DisplayName, Description: n.Description, Visibility: n.Visibility,
		Protected: n.Protected, Owner: n.Owner, CreatedAt: stamp(n.CreatedAt), UpdatedAt: stamp(n.UpdatedAt),
	}
}

// Namespace returns a namespace with all that is in it. With a resource type
// that it is associated with, the names of its properties are those that they
// have there.
func (s *Service) Namespace(ctx context.Context, p kuva.Principal, name, resourceType string) (*Namespace, error) {
	var out *Namespace
	rules := []policy.Rule{policy.ListMetadefResourceTypes, policy.GetMetadefObjects, policy.GetMetadefProperties, policy.GetMetadefTags}
	err := s.look(ctx, p, name, rules, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		out = document(n)
		items, err := catalog.ListMetadefItems(ctx, tx, n.ID, catalog.MetadefItemQuery{})
		if err != nil {
			return err
		}
		for i := range items {
			if err := out.take(&items[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, a := range out.Associations {
		if a.Name == resourceType {
			out.prefix(a.Prefix)
		}
	}
	return out, nil
}

// prefix puts a prefix before the names of all properties.
func (n *Namespace) prefix(with string) {
	n.Properties = prefixed(n.Properties, with)
	for i := range n.Objects {
		o := &n.Objects[i]
		o.Properties = prefixed(o.Properties, with)
		for j := range o.Required {
			o.Required[j] = with + o.Required[j]
		}
	}
}

func prefixed(properties map[string]Property, with string) map[string]Property {
	out := make(map[string]Property, len(properties))
	for name, p := range properties {
		out[with+name] = p
	}
	return out
}

// CreateNamespace makes a namespace with all that the document has in it, or
// nothing. CodeConflict if the name is taken, by whomever.
func (s *Service) CreateNamespace(ctx context.Context, p kuva.Principal, doc *Namespace) (*Namespace, error) {
	n, err := s.row(p, doc)
	if err != nil {
		return nil, err
	}
	if err := doc.Check(); err != nil {
		return nil, err
	}
	rules := []policy.Rule{policy.AddMetadefNamespace}
	for rule, count := range map[policy.Rule]int{
		policy.AddMetadefAssociation: len(doc.Associations), policy.AddMetadefObject: len(doc.Objects),
		policy.AddMetadefProperty: len(doc.Properties), policy.AddMetadefTag: len(doc.Tags),
	} {
		if count > 0 {
			rules = append(rules, rule)
		}
	}
	if err := s.allow(p, target(n), rules...); err != nil {
		return nil, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		if err := s.insert(ctx, tx, n, doc); err != nil {
			return err
		}
		return s.audit(ctx, tx, p, change{namespace: n.Name, action: "metadef_namespace.create"})
	})
	if err != nil {
		return nil, coded(ctx, err, doc.Namespace)
	}
	out := document(n)
	out.Associations, out.Properties, out.Objects, out.Tags = doc.Associations, doc.Properties, doc.Objects, doc.Tags
	return out, nil
}

// row is a new namespace of a document.
func (s *Service) row(p kuva.Principal, doc *Namespace) (*catalog.MetadefNamespace, error) {
	if err := doc.checkSelf(); err != nil {
		return nil, err
	}
	now := s.now()
	n := &catalog.MetadefNamespace{ID: catalog.NewID(), CreatedAt: now}
	fill(n, p, doc)
	n.UpdatedAt = now
	return n, nil
}

func fill(n *catalog.MetadefNamespace, p kuva.Principal, doc *Namespace) {
	n.Name, n.DisplayName, n.Description = doc.Namespace, doc.DisplayName, doc.Description
	n.Visibility, n.Owner, n.Protected = doc.Visibility, doc.Owner, doc.Protected
	if n.Visibility == "" {
		n.Visibility = Private
	}
	if n.Owner == "" {
		n.Owner = p.ProjectID
	}
}

// insert writes a namespace and what is in its document.
func (s *Service) insert(ctx context.Context, tx *catalog.Tx, n *catalog.MetadefNamespace, doc *Namespace) error {
	if err := catalog.InsertMetadefNamespace(ctx, tx, n); err != nil {
		return err
	}
	items, err := doc.items()
	if err != nil {
		return err
	}
	size := 0
	for i := range items {
		if size += len(items[i].Body); size > MaxBytes {
			return kuva.E(kuva.CodeTooLarge, "metadef.too_large", "limit", MaxBytes)
		}
		items[i].Namespace, items[i].CreatedAt, items[i].UpdatedAt = n.ID, n.CreatedAt, n.UpdatedAt
		if err := catalog.InsertMetadefItem(ctx, tx, &items[i]); err != nil {
			return coded(ctx, err, items[i].Name)
		}
	}
	return nil
}

// UpdateNamespace writes the facts of a namespace, but nothing that is in it.
// What the document leaves out is as in a new one. CodeConflict if its new name
// is taken.
func (s *Service) UpdateNamespace(ctx context.Context, p kuva.Principal, name string, doc *Namespace) (*Namespace, error) {
	if err := doc.checkSelf(); err != nil {
		return nil, err
	}
	var out *Namespace
	c := change{namespace: name, action: "metadef_namespace.update", rules: []policy.Rule{policy.ModifyMetadefNamespace}}
	if doc.Namespace != name {
		c.item = doc.Namespace
	}
	err := s.change(ctx, p, c, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		fill(n, p, doc)
		n.UpdatedAt = s.now()
		out = document(n)
		return catalog.UpdateMetadefNamespace(ctx, tx, n)
	})
	return out, err
}

// DeleteNamespace removes a namespace with all that is in it. CodeForbidden if
// it is protected.
func (s *Service) DeleteNamespace(ctx context.Context, p kuva.Principal, name string) error {
	c := change{namespace: name, action: "metadef_namespace.delete", rules: []policy.Rule{policy.DeleteMetadefNamespace}, deletes: true}
	return s.change(ctx, p, c, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		return catalog.DeleteMetadefNamespace(ctx, tx, n.ID)
	})
}
