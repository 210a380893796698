package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kuva"
)

// ErrMarker: a page was to begin after an image that the viewer cannot see.
var ErrMarker = errors.New("no such marker")

// Viewer is who asks for a list.
type Viewer struct {
	Project string // "" sees only what everybody sees
	Admin   bool   // sees everything
}

// ImageQuery asks for a page of images. The zero value of each filter does
// not filter, but Hidden does: false lists what is not hidden.
type ImageQuery struct {
	Limit  int         // images of the page
	Marker string      // id of the last image of the page before, "" at the start
	Sort   []ImageSort // nil is created_at descending; created_at and id are appended

	Name            []string // any of them
	ID              []string
	Status          []string
	ContainerFormat []string
	DiskFormat      []string

	Created []TimeFilter // all of them
	Updated []TimeFilter
	Min     map[string]int64 // size, virtual_size, min_ram, min_disk: at least
	Max     map[string]int64 // at most

	Tags         []string // all of them
	Visibility   string   // "", public, private, shared, community, all
	MemberStatus string   // "" is accepted; pending, rejected, all
	Owner        string
	Checksum     string
	HashValue    string // os_hash_value
	Protected    *bool
	Hidden       bool              // os_hidden
	Properties   map[string]string // equality, all of them
}

// ImageSort is one sort key: one of ImageSortKeys.
type ImageSort struct {
	Key  string
	Desc bool
}

// ImageSortKeys are the keys that images are sorted by.
var ImageSortKeys = []string{"name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"}

// ImageRangeKeys are the keys of ImageQuery.Min and Max.
var ImageRangeKeys = []string{"size", "virtual_size", "min_ram", "min_disk"}

// TimeFilter compares a time in whole seconds, as clients see them. Op is one
// of gt, gte, eq, neq, lt, lte.
type TimeFilter struct {
	Op string
	At time.Time
}

// ListImages returns a page of the images that v may see, deleted ones never.
// ErrMarker if the marker is not one of them (one that was deleted since still
// is).
//
// What v sees is a union of disjoint sets: its own images, public ones,
// community ones, those shared with it. Each is read from its own index in the
// order asked for, from the marker on and no further than a page, so the cost
// does not grow with the table. Sort keys other than created_at and name, and
// filters that few images pass, read more.
func ListImages(ctx context.Context, tx *Tx, v Viewer, q ImageQuery) ([]*Image, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	l := lister{query: q, order: fullOrder(q.Sort)}
	if q.Marker != "" {
		m, err := GetImage(ctx, tx, q.Marker)
		if errors.Is(err, ErrNoImage) {
			return nil, ErrMarker
		}
		if err != nil {
			return nil, err
		}
		if ok, err := visible(ctx, tx, v, m); err != nil || !ok {
			return nil, errors.Join(err, ErrMarker)
		}
		l.after = m
	}
	if q.Limit <= 0 {
		return nil, nil
	}
	if none, err := l.rareTag(ctx, tx); err != nil || none {
		return nil, err
	}
	text := l.build(v)
	if text == "" {
		return nil, nil
	}
	rows, err := tx.Query(ctx, text, l.args...)
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	defer rows.Close()
	out := make([]*Image, 0, min(q.Limit, 64))
	for len(out) < q.Limit && rows.Next() {
		m, err := scanImage(rows)
		if err != nil {
			return nil, fmt.Errorf("list images: %w", classify(err))
		}
		out = append(out, m)
	}
	return out, classify(rows.Err())
}

// check refuses keys that would not be columns; names go into the statement.
func (q *ImageQuery) check() error {
	for _, k := range q.Sort {
		if !slices.Contains(ImageSortKeys, k.Key) {
			return fmt.Errorf("list images: no sort key %q", k.Key)
		}
	}
	if q.Visibility != "" && q.Visibility != "all" && !kuva.Visibility(q.Visibility).Valid() {
		return fmt.Errorf("list images: no visibility %q", q.Visibility)
	}
	return nil
}

// visible is kuva.CanSee for one row.
func visible(ctx context.Context, tx *Tx, v Viewer, m *Image) (bool, error) {
	p := kuva.Principal{ProjectID: v.Project, Admin: v.Admin}
	if kuva.CanSee(p, &m.Image, nil) {
		return true, nil
	}
	if m.Visibility != kuva.VisibilityShared || v.Project == "" {
		return false, nil
	}
	member, err := GetMember(ctx, tx, m.ID, v.Project)
	if errors.Is(err, ErrNoMember) {
		return false, nil
	}
	return err == nil && kuva.CanSee(p, &m.Image, member), err
}

// fullOrder appends created_at and id as tie-break, in the direction of the
// keys where they agree, else descending. Nothing follows the id.
func fullOrder(keys []ImageSort) []ImageSort {
	desc := true
	if len(keys) > 0 {
		desc = keys[0].Desc
		for _, k := range keys {
			if k.Desc != desc {
				desc = true
				break
			}
		}
	}
	var order []ImageSort
	add := func(k ImageSort) {
		if !slices.ContainsFunc(order, func(o ImageSort) bool { return o.Key == k.Key || o.Key == "id" }) {
			order = append(order, k)
		}
	}
	for _, k := range keys {
		add(k)
	}
	add(ImageSort{"created_at", desc})
	add(ImageSort{"id", desc})
	return order
}

// lister builds the statement of one list.
type lister struct {
	query ImageQuery
	order []ImageSort
	after *Image   // the marker's row
	ids   []string // all images that have a rare tag, nil if no tag is rare
	args  []any
}

func (l *lister) arg(v any) string {
	l.args = append(l.args, v)
	return "$" + strconv.Itoa(len(l.args))
}

// in is a condition "column is one of values".
func (l *lister) in(column string, values []string) string {
	if len(values) == 1 {
		return column + " = " + l.arg(values[0])
	}
	marks := make([]string, len(values))
	for i, v := range values {
		marks[i] = l.arg(v)
	}
	return column + " IN (" + strings.Join(marks, ", ") + ")"
}

// A tag that fewer images have than this (the LIMIT below) is looked up first: going through all images
// in order until a page of them is found could mean the whole table.
const rareTag = 200

func (l *lister) rareTag(ctx context.Context, tx *Tx) (none bool, err error) {
	for _, tag := range l.query.Tags {
		ids, err := imageIDs(ctx, tx, `SELECT image FROM image_tag WHERE tag = $1 LIMIT 200`, tag)
		if err != nil {
			return false, err
		}
		if len(ids) < rareTag {
			l.ids = ids
			return len(ids) == 0, nil
		}
	}
	return false, nil
}

// branch is one of the disjoint sets that make up a list.
type branch struct {
	where  string
	member bool // the set is what is shared with the viewer
}

// visibilities in the order of the branches.
var visibilities = []string{"public", "shared", "private", "community"}

// branches splits what the viewer may see into sets, each of which is one
// stretch of one index: by visibility, or by owner and visibility. No set is
// found by leaving rows of another out: whoever has a million private images
// waits no longer for the public ones.
func (l *lister) branches(v Viewer) []branch {
	q := &l.query
	of := func(which ...string) (out []branch) {
		for _, w := range which {
			out = append(out, branch{where: "i.visibility = '" + w + "'"})
		}
		return out
	}
	own := func(which ...string) []branch {
		if v.Project == "" {
			return nil
		}
		out, me := of(which...), l.arg(v.Project)
		for i := range out {
			out[i].where += " AND i.owner = " + me
		}
		return out
	}
	if v.Admin {
		switch q.Visibility {
		case "all":
			if q.Owner != "" { // of one owner: its index, not that of all images
				return of(visibilities...)
			}
			return []branch{{where: "0 = 0"}}
		case "":
			return append(of("public", "shared", "private"), own("community")...)
		}
		return of(q.Visibility)
	}
	member := func() []branch {
		if v.Project == "" {
			return nil
		}
		me := l.arg(v.Project)
		b := branch{member: true, where: "m.project = " + me + " AND i.visibility = 'shared' AND i.owner <> " + me}
		switch status := q.MemberStatus; status {
		case "all":
		case "":
			b.where += " AND m.status = 'accepted'"
		default:
			b.where += " AND m.status = " + l.arg(status)
		}
		return []branch{b}
	}
	switch q.Visibility {
	case "":
		return slices.Concat(of("public"), own("shared", "private", "community"), member())
	case "all":
		return slices.Concat(of("public", "community"), own("shared", "private"), member())
	case "shared":
		return slices.Concat(own("shared"), member())
	case "private":
		return own("private")
	}
	return of(q.Visibility)
}

// build returns the statement, "" where no image can be seen.
func (l *lister) build(v Viewer) string {
	branches := l.branches(v)
	if len(branches) == 0 {
		return ""
	}
	filters := l.filters()
	limit := l.limit()
	var parts []string
	for n, b := range branches {
		from := "image i"
		created := "i.created_at"
		id := "i.id"
		if b.member {
			// CROSS JOIN keeps SQLite from turning the order round; PostgreSQL
			// decides by its statistics.
			from, created, id = "image_member m CROSS JOIN image i", "m.image_created_at", "m.image"
			b.where += " AND i.id = m.image"
		}
		column := func(key string) string {
			switch key {
			case "created_at":
				return created
			case "id":
				return id
			}
			return "i." + key
		}
		selects, orders := make([]string, len(l.order)), make([]string, len(l.order))
		for k, o := range l.order {
			selects[k] = column(o.Key) + " AS k" + strconv.Itoa(k)
			orders[k] = column(o.Key) + direction(o)
		}
		part := "SELECT " + strings.Join(selects, ", ") + " FROM " + from + " WHERE i.deleted_at = 0 AND " + b.where + filters +
			l.beyond(column) + " ORDER BY " + strings.Join(orders, ", ") + " LIMIT " + limit
		if len(branches) > 1 {
			part = "SELECT * FROM (" + part + ") AS b" + strconv.Itoa(n)
		}
		parts = append(parts, part)
	}
	outer := make([]string, len(l.order))
	for k, o := range l.order {
		outer[k] = "k" + strconv.Itoa(k) + direction(o)
	}
	keys := strings.Join(parts, " UNION ALL ")
	by := " ORDER BY " + strings.Join(outer, ", ")
	if len(branches) > 1 {
		keys += by + " LIMIT " + limit
	}
	// The last key is the id. Only the page's own rows are read whole.
	return "SELECT " + imageColumns + " FROM (" + keys + ") AS page CROSS JOIN image WHERE image.id = page.k" +
		strconv.Itoa(len(l.order)-1) + by
}

// limit is a number that stands in the statement itself: SQLite compiles a
// statement anew each time a bound LIMIT is set. So that there are few
// statements it is one of a few numbers, not below what was asked for.
func (l *lister) limit() string {
	for _, n := range []int{1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000} {
		if l.query.Limit <= n {
			return strconv.Itoa(n)
		}
	}
	return strconv.Itoa(l.query.Limit)
}

func direction(o ImageSort) string {
	if o.Desc {
		return " DESC"
	}
	return ""
}

// beyond is the condition "after the marker in this order".
func (l *lister) beyond(column func(string) string) string {
	if l.after == nil {
		return ""
	}
	same := true
	columns, values := make([]string, len(l.order)), make([]string, len(l.order))
	for k, o := range l.order {
		columns[k], values[k] = column(o.Key), l.arg(sortValue(l.after, o.Key))
		same = same && o.Desc == l.order[0].Desc
	}
	op := func(o ImageSort) string {
		if o.Desc {
			return " < "
		}
		return " > "
	}
	if same { // both engines go straight to this place of an index
		return " AND (" + strings.Join(columns, ", ") + ")" + op(l.order[0]) + "(" + strings.Join(values, ", ") + ")"
	}
	var either []string
	for k, o := range l.order {
		both := make([]string, 0, k+1)
		for j := range k {
			both = append(both, columns[j]+" = "+values[j])
		}
		both = append(both, columns[k]+op(o)+values[k])
		either = append(either, "("+strings.Join(both, " AND ")+")")
	}
	return " AND (" + strings.Join(either, " OR ") + ")"
}

func sortValue(m *Image, key string) any {
	switch key {
	case "name":
		return m.Name
	case "status":
		return string(m.Status)
	case "container_format":
		return m.ContainerFormat
	case "disk_format":
		return m.DiskFormat
	case "size":
		return m.Size
	case "created_at":
		return toMicro(m.CreatedAt)
	case "updated_at":
		return toMicro(m.UpdatedAt)
	}
	return m.ID
}

// filters are the conditions that every branch has, in a fixed order so that
// equal questions are one statement.
func (l *lister) filters() string {
	q := &l.query
	var all []string
	and := func(s string) { all = append(all, s) }
	and("i.hidden = " + l.arg(q.Hidden))
	for _, f := range []struct {
		column string
		values []string
	}{
		{"i.id", l.ids},
		{"i.name", q.Name},
		{"i.id", q.ID},
		{"i.status", q.Status},
		{"i.container_format", q.ContainerFormat},
		{"i.disk_format", q.DiskFormat},
	} {
		if len(f.values) > 0 {
			and(l.in(f.column, f.values))
		}
	}
	for _, f := range []struct{ column, value string }{{"i.owner", q.Owner}, {"i.md5", q.Checksum}, {"i.hash_value", q.HashValue}} {
		if f.value != "" {
			and(f.column + " = " + l.arg(f.value))
		}
	}
	if q.Protected != nil {
		and("i.protected = " + l.arg(*q.Protected))
	}
	for _, f := range q.Created {
		and(l.when("i.created_at", f))
	}
	for _, f := range q.Updated {
		and(l.when("i.updated_at", f))
	}
	for _, key := range ImageRangeKeys {
		if v, ok := q.Min[key]; ok {
			and("i." + key + " >= " + l.arg(v))
		}
		if v, ok := q.Max[key]; ok { // what is unknown (-1) is not below anything
			and("i." + key + " <= " + l.arg(v) + " AND i." + key + " >= 0")
		}
	}
	for _, tag := range q.Tags {
		and("EXISTS (SELECT 1 FROM image_tag t WHERE t.tag = " + l.arg(tag) + " AND t.image = i.id)")
	}
	names := make([]string, 0, len(q.Properties))
	for name := range q.Properties {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		and("EXISTS (SELECT 1 FROM image_property x WHERE x.image = i.id AND x.name = " + l.arg(name) + " AND x.value = " + l.arg(q.Properties[name]) + ")")
	}
	return " AND " + strings.Join(all, " AND ")
}

// when compares a column of microseconds with a second.
func (l *lister) when(column string, f TimeFilter) string {
	from := f.At.Unix() * 1_000_000
	to := from + 1_000_000
	switch f.Op {
	case "gt":
		return column + " >= " + l.arg(to)
	case "gte":
		return column + " >= " + l.arg(from)
	case "lt":
		return column + " < " + l.arg(from)
	case "lte":
		return column + " < " + l.arg(to)
	case "neq":
		return "(" + column + " < " + l.arg(from) + " OR " + column + " >= " + l.arg(to) + ")"
	default: // eq
		return "(" + column + " >= " + l.arg(from) + " AND " + column + " < " + l.arg(to) + ")"
	}
}
