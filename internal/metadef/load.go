package metadef

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"

	"kuva"
	"kuva/internal/catalog"
)

//go:embed namespaces/*.json
var files embed.FS

// usualOwner owns the usual namespaces. They are public, so it matters to
// nobody but the policy.
const usualOwner = "admin"

// Usual returns the namespaces that an empty database is filled with.
func Usual() ([]Namespace, error) {
	names, err := files.ReadDir("namespaces")
	if err != nil {
		return nil, err
	}
	var out []Namespace
	for _, f := range names {
		b, err := files.ReadFile("namespaces/" + f.Name())
		if err != nil {
			return nil, err
		}
		var n Namespace
		if err := json.Unmarshal(b, &n); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		out = append(out, n)
	}
	return out, nil
}

// Load puts the usual namespaces into a database that never had any, and
// reports how many. What an operator changed or deleted stays so: resource
// types are never deleted, so the first one tells that namespaces were there.
// Several nodes may do so at once.
func (s *Service) Load(ctx context.Context) (loaded int, err error) {
	empty := func(tx *catalog.Tx) (bool, error) {
		types, err := catalog.ListMetadefResourceTypes(ctx, tx, 1)
		if err != nil || len(types) > 0 {
			return false, err
		}
		there, err := catalog.ListMetadefNamespaces(ctx, tx, catalog.MetadefQuery{All: true, Sort: "created_at", Limit: 1})
		return len(there) == 0, err
	}
	first := false
	err = s.db.View(ctx, func(tx *catalog.Tx) (err error) {
		first, err = empty(tx)
		return err
	})
	if err != nil || !first {
		return 0, err
	}
	usual, err := Usual()
	if err != nil {
		return 0, err
	}
	err = s.db.Update(ctx, func(tx *catalog.Tx) error {
		loaded = 0
		if first, err := empty(tx); err != nil || !first {
			return err
		}
		for i := range usual {
			n, err := s.row(kuva.Principal{ProjectID: usualOwner}, &usual[i])
			if err != nil {
				return err
			}
			if err := s.insert(ctx, tx, n, &usual[i]); err != nil {
				return err
			}
			loaded++
		}
		return nil
	})
	if errors.Is(err, catalog.ErrMetadefExists) { // another node was faster
		return 0, nil
	}
	return loaded, err
}
