package catalog

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// binds are the arguments of a statement, each value once.
type binds struct {
	args  []any
	marks map[any]string
}

// arg returns the mark of a string, int64 or bool.
func (b *binds) arg(v any) string {
	if mark, ok := b.marks[v]; ok {
		return mark
	}
	if b.marks == nil {
		b.marks = map[any]string{}
	}
	b.args = append(b.args, v)
	b.marks[v] = "$" + strconv.Itoa(len(b.args))
	return b.marks[v]
}

// in is the condition "the column is one of values".
func (b *binds) in(column string, values []string) string {
	if len(values) == 1 {
		return column + " = " + b.arg(values[0])
	}
	marks := make([]string, len(values))
	for i, v := range values {
		marks[i] = b.arg(v)
	}
	return column + " IN (" + strings.Join(marks, ", ") + ")"
}

// condition is one filter of a list.
type condition struct {
	column string // of image, by which an index may find it; "" if none
	one    bool   // column = value
	text   func(b *binds, column string) string
}

// on is the condition on a table, by its prefix. Only where byIndex is set may
// an engine use the column's index: SQLite, which keeps no statistics, would
// as soon take the index of the status as that of the name.
func (c condition) on(b *binds, prefix string, byIndex bool) string {
	column := prefix + c.column
	switch {
	case byIndex || c.column == "":
	case c.column == "size" || c.column == "created_at" || c.column == "updated_at":
		column = "(" + column + " + 0)"
	default:
		column = "(" + column + " || '')"
	}
	return c.text(b, column)
}

// filters fills in the conditions that every branch has, in a fixed order so
// that equal questions are one statement.
func (l *lister) filters() {
	q := &l.query
	and := func(column string, one bool, text func(b *binds, column string) string) {
		l.conds = append(l.conds, condition{column, one, text})
	}
	is := func(column, value string) {
		and("", false, func(b *binds, _ string) string { return column + " = " + b.arg(value) })
	}
	for _, f := range []struct {
		column string
		values []string
	}{
		{"name", q.Name},
		{"status", q.Status},
		{"container_format", q.ContainerFormat},
		{"disk_format", q.DiskFormat},
	} {
		if len(f.values) > 0 {
			and(f.column, len(f.values) == 1, func(b *binds, column string) string { return b.in(column, f.values) })
		}
	}
	if len(q.ID) > 0 {
		and("", false, func(b *binds, _ string) string { return b.in("i.id", q.ID) })
	}
	if q.Checksum != "" {
		is("i.md5", q.Checksum)
	}
	if q.HashValue != "" {
		is("i.hash_value", q.HashValue)
	}
	if q.Protected != nil {
		and("", false, func(b *binds, _ string) string { return "i.protected = " + b.arg(*q.Protected) })
	}
	for _, f := range q.Created {
		l.conds = append(l.conds, when("created_at", f))
	}
	for _, f := range q.Updated {
		l.conds = append(l.conds, when("updated_at", f))
	}
	for _, key := range ImageRangeKeys {
		column := ""
		if key == "size" {
			column = key
		}
		name := func(column string) string {
			if key == "size" {
				return column
			}
			return "i." + key
		}
		if v, ok := q.Min[key]; ok {
			and(column, false, func(b *binds, c string) string { return name(c) + " >= " + b.arg(v) })
		}
		if v, ok := q.Max[key]; ok { // what is unknown (-1) is not below anything
			and(column, false, func(b *binds, c string) string { return name(c) + " <= " + b.arg(v) + " AND " + name(c) + " >= 0" })
		}
	}
	for _, tag := range q.Tags {
		and("", false, func(b *binds, _ string) string {
			return "EXISTS (SELECT 1 FROM image_tag t WHERE t.tag = " + b.arg(tag) + " AND t.image = i.id)"
		})
	}
	for _, name := range l.propertyNames() {
		and("", false, func(b *binds, _ string) string {
			return "EXISTS (SELECT 1 FROM image_property x WHERE x.image = i.id AND x.name = " + b.arg(name) +
				" AND x.value = " + b.arg(q.Properties[name]) + ")"
		})
	}
}

func (l *lister) propertyNames() []string {
	names := make([]string, 0, len(l.query.Properties))
	for name := range l.query.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// when compares a column of microseconds with a second.
func when(column string, f TimeFilter) condition {
	from := f.At.Unix() * 1_000_000
	to := from + 1_000_000
	compare := func(op string, at int64) condition {
		return condition{column: column, text: func(b *binds, c string) string { return c + op + b.arg(at) }}
	}
	switch f.Op {
	case "gt":
		return compare(" >= ", to)
	case "gte":
		return compare(" >= ", from)
	case "lt":
		return compare(" < ", from)
	case "lte":
		return compare(" < ", to)
	case "neq": // no stretch of an index
		return condition{text: func(b *binds, _ string) string {
			return "(i." + column + " < " + b.arg(from) + " OR i." + column + " >= " + b.arg(to) + ")"
		}}
	default: // eq
		return condition{column: column, text: func(b *binds, c string) string {
			return c + " >= " + b.arg(from) + " AND " + c + " < " + b.arg(to)
		}}
	}
}

// lead is how the images of a branch are found: by a list of ids, which one
// filter lets through, or by the index of the order, which may serve the filter
// on one column too.
type lead struct {
	ids    string // a statement that gives ids
	column string
}

// A filter that fewer images pass than this leads: they are looked up one by
// one and sorted. Of one that more pass, a page of a million images is found
// after going through some 50,000 of them in order. Either takes about as
// long.
const rareImages = 2000

// rare looks for the filter that the fewest images pass, whoever owns them,
// where these are few. none is set where no image passes one.
func (l *lister) rare(ctx context.Context, tx *Tx) (found lead, none bool, err error) {
	fewest := rareImages
	for _, ids := range l.finders() {
		n, err := countUpTo(ctx, tx, ids)
		if err != nil || n == 0 {
			return found, err == nil, err
		}
		if n < fewest {
			fewest, found.ids = n, ids(&l.binds)+limitRare
		}
	}
	return found, false, nil
}

// finders are statements that give the ids of the images that pass a filter.
func (l *lister) finders() (out []func(b *binds) string) {
	q := &l.query
	if len(q.ID) > 0 {
		out = append(out, func(b *binds) string { return "SELECT id FROM image WHERE " + b.in("id", q.ID) })
	}
	digest := func(column, value string) {
		if value != "" { // the indexes leave empty values out
			out = append(out, func(b *binds) string {
				return "SELECT id FROM image WHERE deleted_at = 0 AND " + column + " <> '' AND " + column + " = " + b.arg(value)
			})
		}
	}
	digest("md5", q.Checksum)
	digest("hash_value", q.HashValue)
	for _, tag := range q.Tags {
		out = append(out, func(b *binds) string { return "SELECT image AS id FROM image_tag WHERE tag = " + b.arg(tag) })
	}
	for _, name := range l.propertyNames() {
		value := q.Properties[name]
		out = append(out, func(b *binds) string {
			return "SELECT image AS id FROM image_property WHERE name = " + b.arg(name) + " AND substr(value, 1, 64) = " +
				b.arg(firstRunes(value, 64)) + " AND value = " + b.arg(value)
		})
	}
	return out
}

// firstRunes is substr(s, 1, n) of both engines.
func firstRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// indexed are the columns whose filters may lead, the most telling first.
var indexed = []string{"name", "size", "created_at", "updated_at", "disk_format", "container_format", "status"}

// lead chooses how the images of a branch are found. none is set where there
// are none.
func (l *lister) lead(ctx context.Context, tx *Tx, b branch) (how lead, none bool, err error) {
	first := l.order[0].Key
	var columns []string
	for _, column := range indexed {
		i := slices.IndexFunc(l.conds, func(c condition) bool { return c.column == column })
		if i < 0 {
			continue
		}
		columns = append(columns, column)
		if how.column == "" && (column == first || first == "created_at" && l.conds[i].one) {
			how.column = column // its filter and the order are one stretch of one index
		}
	}
	if len(columns) == 0 || len(columns) == 1 && how.column != "" {
		return how, false, nil
	}
	fewest := rareImages
	for _, column := range columns {
		ids := func(to *binds) string {
			text := "SELECT id FROM image WHERE deleted_at = 0 AND " + b.where(to, "") + " AND hidden = " + to.arg(l.query.Hidden)
			for _, c := range l.conds {
				if c.column == column {
					text += " AND " + c.on(to, "", true)
				}
			}
			return text
		}
		n, err := countUpTo(ctx, tx, ids)
		if err != nil || n == 0 {
			return how, err == nil, err
		}
		if n < fewest {
			fewest, how = n, lead{ids: ids(&l.binds) + limitRare}
		}
	}
	return how, false, nil
}

var limitRare = " LIMIT " + strconv.Itoa(rareImages)

// countUpTo counts the rows of a statement, no further than rareImages.
func countUpTo(ctx context.Context, tx *Tx, ids func(b *binds) string) (n int, err error) {
	var b binds
	text := ids(&b)
	err = tx.QueryRow(ctx, "SELECT COUNT(*) FROM ("+text+limitRare+") AS few", b.args...).Scan(&n)
	return n, classify(err)
}
