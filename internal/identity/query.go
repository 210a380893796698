package identity

import (
	"context"
	"strconv"
	"strings"

	"kuva"
	"kuva/internal/catalog"
)

// MaxList is the most entries that one answer holds.
const MaxList = 10000

// Page says which part of a list is wanted. Lists are sorted by name, then id.
type Page struct {
	Limit  int    // at most this many; 0 means MaxList
	Marker string // id of the last entry of the page before, "" for the first
	Names  []NameFilter
}

// NameFilter holds names to a comparison of the Identity API v3: contains,
// startswith, endswith, equals, each also with an i before it for "whatever
// the case" (of ASCII letters).
type NameFilter struct{ Op, Value string }

func (p Page) limit() int {
	if p.Limit <= 0 || p.Limit > MaxList {
		return MaxList
	}
	return p.Limit
}

// where is a condition under construction. Values go through parameters only.
type where struct {
	parts []string
	args  []any
}

// and adds a condition with "?" for each value.
func (w *where) and(cond string, args ...any) {
	for _, a := range args {
		w.args = append(w.args, a)
		cond = strings.Replace(cond, "?", "$"+strconv.Itoa(len(w.args)), 1)
	}
	w.parts = append(w.parts, cond)
}

// is adds "column = value" unless value is "".
func (w *where) is(column, value string) {
	if value != "" {
		w.and(column+" = ?", value)
	}
}

// on adds "column = value" unless value is nil.
func (w *where) on(column string, value *bool) {
	if value != nil {
		w.and(column+" = ?", *value)
	}
}

func (w *where) String() string {
	if len(w.parts) == 0 {
		return "1 = 1"
	}
	return "(" + strings.Join(w.parts, ") AND (") + ")"
}

// page adds the names' filters and the marker. table is the table that rows
// come from, alias its name in the query.
func (w *where) page(ctx context.Context, tx *catalog.Tx, p Page, table, alias string) error {
	for _, f := range p.Names {
		if err := w.name(alias+".name", f); err != nil {
			return err
		}
	}
	if p.Marker == "" {
		return nil
	}
	var name string
	if err := tx.QueryRow(ctx, `SELECT name FROM `+table+` WHERE id = $1`, p.Marker).Scan(&name); err != nil {
		return orElse(err, kuva.E(kuva.CodeInvalid, "identity.bad_marker", "id", short(p.Marker)))
	}
	w.and(alias+".name > ? OR "+alias+".name = ? AND "+alias+".id > ?", name, name, p.Marker)
	return nil
}

func (w *where) name(column string, f NameFilter) error {
	op, value := f.Op, "CAST(? AS TEXT)"
	if strings.HasPrefix(op, "i") {
		op, column, value = op[1:], "LOWER("+column+")", "LOWER("+value+")"
	}
	if len(f.Value) > MaxName {
		return kuva.E(kuva.CodeInvalid, "identity.bad_filter", "filter", "name__"+short(f.Op))
	}
	switch op {
	case "contains":
		if f.Value != "" {
			w.and("REPLACE("+column+", "+value+", '') <> "+column, f.Value)
		}
	case "startswith":
		w.and("SUBSTR("+column+", 1, LENGTH("+value+")) = "+value, f.Value, f.Value)
	case "endswith":
		w.and("LENGTH("+column+") >= LENGTH("+value+") AND SUBSTR("+column+", LENGTH("+column+") - LENGTH("+value+") + 1) = "+value, f.Value, f.Value, f.Value)
	case "equals", "exact":
		w.and(column+" = "+value, f.Value)
	default:
		return kuva.E(kuva.CodeInvalid, "identity.bad_filter", "filter", "name__"+short(f.Op))
	}
	return nil
}

// each calls one for every row of a query.
func each(ctx context.Context, tx *catalog.Tx, query string, args []any, one func(scan func(...any) error) error) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := one(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// exists reports whether a query finds a row.
func exists(ctx context.Context, tx *catalog.Tx, query string, args ...any) (bool, error) {
	var there bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (`+query+`)`, args...).Scan(&there)
	return there, err
}

// execAll runs statements that take the same one argument.
func execAll(ctx context.Context, tx *catalog.Tx, id string, queries ...string) error {
	for _, q := range queries {
		if _, err := tx.Exec(ctx, q, id); err != nil {
			return err
		}
	}
	return nil
}

// placeholders is "$n, $n+1, …" for k values.
func placeholders(n, k int) string {
	var b strings.Builder
	for i := range k {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(n+i))
	}
	return b.String()
}
