package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// What queries of metadata definitions answer besides faults.
var (
	// ErrNoMetadef: no such namespace, or nothing of that name in it.
	ErrNoMetadef = errors.New("no such metadata definition")
	// ErrMetadefExists: the name is taken.
	ErrMetadefExists = errors.New("metadata definition exists")
)

// MetadefNamespace is a row of metadef_namespace.
type MetadefNamespace struct {
	ID                                                int64
	Name, DisplayName, Description, Visibility, Owner string
	Protected                                         bool
	CreatedAt, UpdatedAt                              time.Time
}

const metadefColumns = `id, name, display_name, description, visibility, owner, protected, created_at, updated_at`

func scanMetadef(row scanner) (*MetadefNamespace, error) {
	var n MetadefNamespace
	var created, updated int64
	err := row.Scan(&n.ID, &n.Name, &n.DisplayName, &n.Description, &n.Visibility, &n.Owner, &n.Protected, &created, &updated)
	n.CreatedAt, n.UpdatedAt = fromMicro(created), fromMicro(updated)
	return &n, err
}

// InsertMetadefNamespace makes a namespace; ErrMetadefExists if the name is
// taken, by whomever.
func InsertMetadefNamespace(ctx context.Context, tx *Tx, n *MetadefNamespace) error {
	changed, err := tx.Exec(ctx, `INSERT INTO metadef_namespace (`+metadefColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO NOTHING`,
		n.ID, n.Name, n.DisplayName, n.Description, n.Visibility, n.Owner, n.Protected, toMicro(n.CreatedAt), toMicro(n.UpdatedAt))
	return made(changed, err)
}

// made is the error of a statement that gives way to what is there, or to what
// another transaction is about to put there.
func made(changed int64, err error) error {
	const uniqueViolation = "23505"
	var pe *pgconn.PgError
	if err == nil && changed == 0 || errors.As(err, &pe) && pe.Code == uniqueViolation {
		return ErrMetadefExists
	}
	return err
}

// GetMetadefNamespace returns a namespace by its name, ErrNoMetadef if there is
// none.
func GetMetadefNamespace(ctx context.Context, tx *Tx, name string) (*MetadefNamespace, error) {
	return oneMetadef(tx.QueryRow(ctx, `SELECT `+metadefColumns+` FROM metadef_namespace WHERE name = $1`, name), name)
}

// LockMetadefNamespace is GetMetadefNamespace for a namespace that is to be
// changed, or something in it.
func LockMetadefNamespace(ctx context.Context, tx *Tx, name string) (*MetadefNamespace, error) {
	query := `SELECT ` + metadefColumns + ` FROM metadef_namespace WHERE name = $1` + tx.Dialect().ForUpdate()
	return oneMetadef(tx.QueryRow(ctx, query, name), name)
}

func oneMetadef(row *sql.Row, name string) (*MetadefNamespace, error) {
	n, err := scanMetadef(row)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("namespace %q: %w", name, ErrNoMetadef)
	}
	return n, classify(err)
}

// UpdateMetadefNamespace writes a locked namespace, which may have a new name;
// ErrMetadefExists if that is taken.
func UpdateMetadefNamespace(ctx context.Context, tx *Tx, n *MetadefNamespace) error {
	changed, err := tx.Exec(ctx, `UPDATE metadef_namespace SET name = $2, display_name = $3, description = $4, visibility = $5,
		owner = $6, protected = $7, updated_at = $8
		WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM metadef_namespace WHERE name = $2 AND id <> $1)`,
		n.ID, n.Name, n.DisplayName, n.Description, n.Visibility, n.Owner, n.Protected, toMicro(n.UpdatedAt))
	return made(changed, err)
}

// DeleteMetadefNamespace removes a locked namespace with all that is in it.
func DeleteMetadefNamespace(ctx context.Context, tx *Tx, id int64) error {
	if _, err := tx.Exec(ctx, `DELETE FROM metadef_item WHERE namespace = $1`, id); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM metadef_namespace WHERE id = $1`, id)
	return err
}

// MetadefQuery says which namespaces ListMetadefNamespaces returns.
type MetadefQuery struct {
	// All takes private namespaces of every owner, else Owner's alone ("" has
	// none).
	All   bool
	Owner string
	// Visibility and ResourceTypes (of which a namespace has one) narrow, where
	// they are set.
	Visibility    string
	ResourceTypes []string
	// Sort is a key of MetadefSorts; equal ones follow by age, then by name.
	Sort       string
	Descending bool
	After      *MetadefNamespace // the last one of the page before
	Limit      int
}

// MetadefSorts are the columns of sort keys.
var MetadefSorts = map[string]string{
	"created_at": "created_at", "updated_at": "updated_at", "namespace": "name", "name": "name", "visibility": "visibility",
	"owner": "owner", "protected": "protected", "display_name": "display_name", "description": "description",
}

func (n *MetadefNamespace) key(column string) any {
	switch column {
	case "name":
		return n.Name
	case "visibility":
		return n.Visibility
	case "owner":
		return n.Owner
	case "protected":
		return n.Protected
	case "display_name":
		return n.DisplayName
	case "description":
		return n.Description
	case "updated_at":
		return toMicro(n.UpdatedAt)
	}
	return toMicro(n.CreatedAt)
}

// ListMetadefNamespaces returns a page of namespaces.
func ListMetadefNamespaces(ctx context.Context, tx *Tx, q MetadefQuery) ([]MetadefNamespace, error) {
	var b binds
	column, ok := MetadefSorts[q.Sort]
	if !ok {
		return nil, fmt.Errorf("no sort key %q", q.Sort)
	}
	where := []string{"1 = 1"}
	if !q.All {
		where = append(where, "(visibility = 'public' OR owner <> '' AND owner = "+b.arg(q.Owner)+")")
	}
	if q.Visibility != "" {
		where = append(where, "visibility = "+b.arg(q.Visibility))
	}
	if len(q.ResourceTypes) > 0 {
		where = append(where, "id IN (SELECT namespace FROM metadef_item WHERE kind = '"+MetadefResourceTypes+"' AND "+b.in("name", q.ResourceTypes)+")")
	}
	sign, order := ">", ""
	if q.Descending {
		sign, order = "<", " DESC"
	}
	if a := q.After; a != nil {
		where = append(where, fmt.Sprintf("(%s, created_at, name) %s (%s, %s, %s)",
			column, sign, b.arg(a.key(column)), b.arg(toMicro(a.CreatedAt)), b.arg(a.Name)))
	}
	query := `SELECT ` + metadefColumns + ` FROM metadef_namespace WHERE ` + strings.Join(where, " AND ") +
		` ORDER BY ` + column + order + `, created_at` + order + `, name` + order + ` LIMIT ` + b.arg(q.Limit)
	rows, err := tx.Query(ctx, query, b.args...)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanMetadef)
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(scanner) (*T, error)) ([]T, error) {
	defer rows.Close() //nolint:errcheck // Err tells
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, classify(err)
		}
		out = append(out, *v)
	}
	return out, classify(rows.Err())
}
