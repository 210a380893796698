package metadef

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/policy"
)

// entry is what a namespace has in it: Object, Property, Tag, Association.
type entry interface {
	Check() error
	kind() string
	name() string
	// bare is the entry as it is kept: without name, times and links.
	bare() any
}

func (o *Object) kind() string { return catalog.MetadefObjects }
func (o *Object) name() string { return o.Name }
func (o *Object) bare() any {
	return Object{Description: o.Description, Required: o.Required, Properties: o.Properties}
}

func (p *Property) kind() string { return catalog.MetadefProperties }
func (p *Property) name() string { return p.Name }
func (p *Property) bare() any {
	kept := *p
	kept.Name = ""
	return kept
}

func (t *Tag) kind() string { return catalog.MetadefTags }
func (t *Tag) name() string { return t.Name }
func (t *Tag) bare() any    { return struct{}{} }

func (a *Association) kind() string { return catalog.MetadefResourceTypes }
func (a *Association) name() string { return a.Name }
func (a *Association) bare() any    { return Association{Prefix: a.Prefix, Target: a.Target} }

// open reads an entry as it is kept.
func open(i *catalog.MetadefItem) (entry, error) {
	created, updated := stamp(i.CreatedAt), stamp(i.UpdatedAt)
	var e entry
	switch i.Kind {
	case catalog.MetadefObjects:
		e = &Object{}
	case catalog.MetadefProperties:
		e = &Property{}
	case catalog.MetadefTags:
		e = &Tag{}
	default:
		e = &Association{}
	}
	if err := json.Unmarshal([]byte(i.Body), e); err != nil {
		return nil, fmt.Errorf("%s %q: %w", i.Kind, i.Name, err)
	}
	switch e := e.(type) {
	case *Object:
		e.Name, e.CreatedAt, e.UpdatedAt = i.Name, created, updated
	case *Property:
		e.Name = i.Name
	case *Tag:
		e.Name, e.CreatedAt, e.UpdatedAt = i.Name, created, updated
	case *Association:
		e.Name, e.CreatedAt, e.UpdatedAt = i.Name, created, updated
	}
	return e, nil
}

func shut(e entry) (catalog.MetadefItem, error) {
	body, err := json.Marshal(e.bare())
	return catalog.MetadefItem{Kind: e.kind(), Name: e.name(), Body: string(body)}, err
}

// take puts something that is kept into the document of its namespace. There,
// properties bear no name and tags no times.
func (n *Namespace) take(i *catalog.MetadefItem) error {
	e, err := open(i)
	if err != nil {
		return err
	}
	switch e := e.(type) {
	case *Object:
		n.Objects = append(n.Objects, *e)
	case *Property:
		if n.Properties == nil {
			n.Properties = map[string]Property{}
		}
		name := e.Name
		e.Name = ""
		n.Properties[name] = *e
	case *Tag:
		n.Tags = append(n.Tags, Tag{Name: e.Name})
	case *Association:
		n.Associations = append(n.Associations, *e)
	}
	return nil
}

// items is all that the document has in it, as it is kept.
func (n *Namespace) items() (out []catalog.MetadefItem, err error) {
	var all []entry
	for i := range n.Associations {
		all = append(all, &n.Associations[i])
	}
	for i := range n.Objects {
		all = append(all, &n.Objects[i])
	}
	for i := range n.Tags {
		all = append(all, &n.Tags[i])
	}
	for name, p := range n.Properties {
		p.Name = name
		all = append(all, &p)
	}
	for _, e := range all {
		item, err := shut(e)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}

// Page is a part of a list of things in a namespace.
type Page struct {
	Sort      string // created_at (the default), updated_at or name
	Ascending bool
	Marker    string // name of the last one of the page before
	Limit     int    // 0 is all
}

// list returns what a namespace has of a kind. T is the kind's type.
func list[T any](ctx context.Context, s *Service, p kuva.Principal, namespace, kind string, page Page, rules ...policy.Rule) ([]T, error) {
	var out []T
	if page.Sort == "" {
		page.Sort = "created_at"
	}
	if !slices.Contains(catalog.MetadefItemSorts, page.Sort) {
		return nil, kuva.E(kuva.CodeInvalid, "metadef.sort")
	}
	err := s.look(ctx, p, namespace, rules, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		out = []T{}
		q := catalog.MetadefItemQuery{Kind: kind, Sort: page.Sort, Descending: !page.Ascending, Limit: page.Limit}
		if page.Marker != "" {
			after, err := item(ctx, tx, n, kind, page.Marker)
			if err != nil {
				return coded(ctx, err, page.Marker)
			}
			q.After = after
		}
		items, err := catalog.ListMetadefItems(ctx, tx, n.ID, q)
		if err != nil {
			return err
		}
		for i := range items {
			e, err := open(&items[i])
			if err != nil {
				return err
			}
			out = append(out, *any(e).(*T))
		}
		return nil
	})
	return out, err
}

func item(ctx context.Context, tx *catalog.Tx, n *catalog.MetadefNamespace, kind, name string) (*catalog.MetadefItem, error) {
	if !plain(name) {
		return nil, catalog.ErrNoMetadef
	}
	return catalog.GetMetadefItem(ctx, tx, n.ID, kind, name)
}

// show returns one thing of a namespace.
func show[T any](ctx context.Context, s *Service, p kuva.Principal, namespace, kind, name string, rules ...policy.Rule) (*T, error) {
	var out *T
	err := s.look(ctx, p, namespace, rules, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		i, err := item(ctx, tx, n, kind, name)
		if err != nil {
			return coded(ctx, err, name)
		}
		e, err := open(i)
		out, _ = any(e).(*T)
		return err
	})
	return out, err
}

// add puts something new into a namespace and returns it as it is kept.
func add[T any](ctx context.Context, s *Service, p kuva.Principal, namespace string, e entry, rule policy.Rule) (*T, error) {
	var out *T
	c := change{namespace: namespace, action: "metadef_" + e.kind() + ".create", item: e.name(), rules: []policy.Rule{rule}}
	if err := e.Check(); err != nil {
		return nil, s.unseen(ctx, p, c, err)
	}
	err := s.change(ctx, p, c, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		i, err := s.put(ctx, tx, n, e)
		if err != nil {
			return err
		}
		kept, err := open(i)
		out, _ = any(kept).(*T)
		return err
	})
	return out, err
}

// unseen keeps a namespace secret from whoever sends it something wrong.
func (s *Service) unseen(ctx context.Context, p kuva.Principal, c change, wrong error) error {
	if err := s.look(ctx, p, c.namespace, c.rules, func(*catalog.Tx, *catalog.MetadefNamespace) error { return nil }); err != nil {
		return err
	}
	return wrong
}

func (s *Service) put(ctx context.Context, tx *catalog.Tx, n *catalog.MetadefNamespace, e entry) (*catalog.MetadefItem, error) {
	i, err := shut(e)
	if err != nil {
		return nil, err
	}
	i.Namespace, i.CreatedAt = n.ID, s.now()
	i.UpdatedAt = i.CreatedAt
	if err := room(ctx, tx, &i, 1, len(i.Body)); err != nil {
		return nil, err
	}
	return &i, catalog.InsertMetadefItem(ctx, tx, &i)
}

// room refuses what would make a namespace too large.
func room(ctx context.Context, tx *catalog.Tx, i *catalog.MetadefItem, more, bytes int) error {
	count, size, err := catalog.MetadefSize(ctx, tx, i.Namespace, i.Kind)
	switch {
	case err != nil:
		return err
	case count+int64(more) > MaxItems:
		return kuva.E(kuva.CodeTooLarge, "metadef.too_many", "limit", MaxItems)
	case size+int64(bytes) > MaxBytes:
		return kuva.E(kuva.CodeTooLarge, "metadef.too_large", "limit", MaxBytes)
	}
	return nil
}

// set writes something that is there, maybe under a new name.
func set[T any](ctx context.Context, s *Service, p kuva.Principal, namespace, was string, e entry, rule policy.Rule) (*T, error) {
	var out *T
	c := change{namespace: namespace, action: "metadef_" + e.kind() + ".update", item: was, rules: []policy.Rule{rule}}
	if err := e.Check(); err != nil {
		return nil, s.unseen(ctx, p, c, err)
	}
	err := s.change(ctx, p, c, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		old, err := item(ctx, tx, n, e.kind(), was)
		if err != nil {
			return err
		}
		i, err := shut(e)
		if err != nil {
			return err
		}
		i.Namespace, i.CreatedAt, i.UpdatedAt = n.ID, old.CreatedAt, s.now()
		if err := room(ctx, tx, &i, 0, len(i.Body)-len(old.Body)); err != nil {
			return err
		}
		if err := catalog.UpdateMetadefItem(ctx, tx, was, &i); err != nil {
			return coded(ctx, err, i.Name)
		}
		kept, err := open(&i)
		out, _ = any(kept).(*T)
		return err
	})
	return out, err
}

// remove takes something out of a namespace.
func (s *Service) remove(ctx context.Context, p kuva.Principal, namespace, kind, name string, rule policy.Rule) error {
	c := change{namespace: namespace, action: "metadef_" + kind + ".delete", item: name, rules: []policy.Rule{rule}, deletes: true}
	return s.change(ctx, p, c, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		if !plain(name) {
			return catalog.ErrNoMetadef
		}
		return catalog.DeleteMetadefItem(ctx, tx, n.ID, kind, name)
	})
}

// clear takes all of a kind out of a namespace.
func (s *Service) clear(ctx context.Context, p kuva.Principal, namespace, kind string, rules ...policy.Rule) error {
	c := change{namespace: namespace, action: "metadef_" + kind + ".delete_all", rules: rules, deletes: true}
	return s.change(ctx, p, c, func(tx *catalog.Tx, n *catalog.MetadefNamespace) error {
		return catalog.DeleteMetadefItems(ctx, tx, n.ID, kind)
	})
}
