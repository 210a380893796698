package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// The kinds of what is in a namespace.
const (
	MetadefObjects       = "object"
	MetadefProperties    = "property"
	MetadefTags          = "tag"
	MetadefResourceTypes = "resource_type" // that the namespace is associated with
)

// MetadefItem is one thing in a namespace. Its name is unique in its kind.
type MetadefItem struct {
	Namespace            int64
	Kind, Name           string
	Body                 string // JSON
	CreatedAt, UpdatedAt time.Time
}

const itemColumns = `namespace, kind, name, body, created_at, updated_at`

func scanItem(row scanner) (*MetadefItem, error) {
	var i MetadefItem
	var created, updated int64
	err := row.Scan(&i.Namespace, &i.Kind, &i.Name, &i.Body, &created, &updated)
	i.CreatedAt, i.UpdatedAt = fromMicro(created), fromMicro(updated)
	return &i, err
}

// InsertMetadefItem puts something into a locked namespace; ErrMetadefExists if
// its name is taken. A resource type is noted as one that there is.
func InsertMetadefItem(ctx context.Context, tx *Tx, i *MetadefItem) error {
	if i.Kind == MetadefResourceTypes {
		_, err := tx.Exec(ctx, `INSERT INTO metadef_resource_type (name, created_at, updated_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`,
			i.Name, toMicro(i.CreatedAt), toMicro(i.UpdatedAt))
		if err != nil {
			return err
		}
	}
	return made(tx.Exec(ctx, `INSERT INTO metadef_item (`+itemColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (namespace, kind, name) DO NOTHING`, i.Namespace, i.Kind, i.Name, i.Body, toMicro(i.CreatedAt), toMicro(i.UpdatedAt)))
}

// GetMetadefItem returns something of a namespace by its name, ErrNoMetadef if
// it is not there.
func GetMetadefItem(ctx context.Context, tx *Tx, namespace int64, kind, name string) (*MetadefItem, error) {
	i, err := scanItem(tx.QueryRow(ctx, `SELECT `+itemColumns+` FROM metadef_item WHERE namespace = $1 AND kind = $2 AND name = $3`, namespace, kind, name))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s %q: %w", kind, name, ErrNoMetadef)
	}
	return i, classify(err)
}

// UpdateMetadefItem writes what was called was before; ErrMetadefExists if its
// new name is taken.
func UpdateMetadefItem(ctx context.Context, tx *Tx, was string, i *MetadefItem) error {
	return made(tx.Exec(ctx, `UPDATE metadef_item SET name = $4, body = $5, updated_at = $6
		WHERE namespace = $1 AND kind = $2 AND name = $3
		AND ($3 = $4 OR NOT EXISTS (SELECT 1 FROM metadef_item WHERE namespace = $1 AND kind = $2 AND name = $4))`,
		i.Namespace, i.Kind, was, i.Name, i.Body, toMicro(i.UpdatedAt)))
}

// DeleteMetadefItem removes something; ErrNoMetadef where there is no such
// thing.
func DeleteMetadefItem(ctx context.Context, tx *Tx, namespace int64, kind, name string) error {
	n, err := tx.Exec(ctx, `DELETE FROM metadef_item WHERE namespace = $1 AND kind = $2 AND name = $3`, namespace, kind, name)
	if err == nil && n == 0 {
		return fmt.Errorf("%s %q: %w", kind, name, ErrNoMetadef)
	}
	return err
}

// DeleteMetadefItems removes all of one kind.
func DeleteMetadefItems(ctx context.Context, tx *Tx, namespace int64, kind string) error {
	_, err := tx.Exec(ctx, `DELETE FROM metadef_item WHERE namespace = $1 AND kind = $2`, namespace, kind)
	return err
}

// MetadefItemQuery says which items ListMetadefItems returns.
type MetadefItemQuery struct {
	Kind string // "" is all kinds, in the order of their names, without After and Limit
	// Sort is created_at, updated_at or name; equal ones follow by name.
	Sort       string
	Descending bool
	After      *MetadefItem // the last one of the page before
	Limit      int          // below 1 is all
}

// MetadefItemSorts are the sort keys of items.
var MetadefItemSorts = []string{"created_at", "updated_at", "name"}

// ListMetadefItems returns what is in a namespace.
func ListMetadefItems(ctx context.Context, tx *Tx, namespace int64, q MetadefItemQuery) ([]MetadefItem, error) {
	var b binds
	query := `SELECT ` + itemColumns + ` FROM metadef_item WHERE namespace = ` + b.arg(namespace)
	if q.Kind == "" {
		query += ` ORDER BY kind, name`
	} else {
		query += ` AND kind = ` + b.arg(q.Kind)
		column := "name"
		switch q.Sort {
		case "created_at", "updated_at":
			column = q.Sort
		}
		sign, order := ">", ""
		if q.Descending {
			sign, order = "<", " DESC"
		}
		if a := q.After; a != nil {
			var key any = a.Name
			switch column {
			case "created_at":
				key = toMicro(a.CreatedAt)
			case "updated_at":
				key = toMicro(a.UpdatedAt)
			}
			query += ` AND (` + column + `, name) ` + sign + ` (` + b.arg(key) + `, ` + b.arg(a.Name) + `)`
		}
		query += ` ORDER BY ` + column + order + `, name` + order
		if q.Limit > 0 {
			query += ` LIMIT ` + b.arg(q.Limit)
		}
	}
	rows, err := tx.Query(ctx, query, b.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanItem)
}

// MetadefSize returns how many things of a kind a namespace has, and the bytes
// of all that is in it.
func MetadefSize(ctx context.Context, tx *Tx, namespace int64, kind string) (count, bytes int64, err error) {
	err = tx.QueryRow(ctx, `SELECT COALESCE(SUM(CASE WHEN kind = $2 THEN 1 ELSE 0 END), 0), COALESCE(SUM(OCTET_LENGTH(body)), 0)
		FROM metadef_item WHERE namespace = $1`, namespace, kind).Scan(&count, &bytes)
	return count, bytes, classify(err)
}

// MetadefResourceType is a kind of resource that there is.
type MetadefResourceType struct {
	Name                 string
	CreatedAt, UpdatedAt time.Time
}

// ListMetadefResourceTypes returns the first kinds of resources by name.
func ListMetadefResourceTypes(ctx context.Context, tx *Tx, limit int) ([]MetadefResourceType, error) {
	rows, err := tx.Query(ctx, `SELECT name, created_at, updated_at FROM metadef_resource_type ORDER BY name LIMIT $1`, limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, func(row scanner) (*MetadefResourceType, error) {
		var r MetadefResourceType
		var created, updated int64
		err := row.Scan(&r.Name, &created, &updated)
		r.CreatedAt, r.UpdatedAt = fromMicro(created), fromMicro(updated)
		return &r, err
	})
}
