package catalog

import (
	"context"
	"errors"
	"fmt"
	"math"
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
// does not grow with the table. Where a filter lets few images pass, these are
// found by the filter's index and sorted. Sorting by several keys sorts all
// images that are equal in the first one; filters without an index of their
// own (protected, virtual_size, min_ram, min_disk) and orders of what is shared
// with a project other than by age read more than a page.
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
	text, err := l.build(ctx, tx, v)
	if err != nil || text == "" {
		return nil, err
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
	after *Image // the marker's row
	conds []condition
	binds
}

// branch is one of the disjoint sets that make up a list: the images of one
// visibility, and of one owner where that is set.
type branch struct {
	visibility string
	owner      string
	shared     bool // with the viewer
}

// where is the branch as conditions on a table, by its prefix.
func (b branch) where(to *binds, prefix string) string {
	text := prefix + "visibility = '" + b.visibility + "'"
	if b.owner != "" {
		text += " AND " + prefix + "owner = " + to.arg(b.owner)
	}
	return text
}

// whereByID is where on i, written so that no index serves it but that of the
// id: SQLite would go through the branch for each id.
func (b branch) whereByID(to *binds) string {
	text := "(i.visibility || '') = '" + b.visibility + "'"
	if b.owner != "" {
		text += " AND (i.owner || '') = " + to.arg(b.owner)
	}
	return text
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
			out = append(out, branch{visibility: w, owner: q.Owner})
		}
		return out
	}
	own := func(which ...string) []branch {
		if v.Project == "" || q.Owner != "" && q.Owner != v.Project {
			return nil
		}
		out := of(which...)
		for i := range out {
			out[i].owner = v.Project
		}
		return out
	}
	if v.Admin {
		switch q.Visibility {
		case "all":
			return of(visibilities...)
		case "":
			return append(of("public", "shared", "private"), own("community")...)
		}
		return of(q.Visibility)
	}
	member := func() []branch {
		if v.Project == "" {
			return nil
		}
		return []branch{{visibility: "shared", owner: q.Owner, shared: true}}
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

// build returns the statement, "" where no image can pass.
func (l *lister) build(ctx context.Context, tx *Tx, v Viewer) (string, error) {
	branches := l.branches(v)
	l.filters()
	found, none, err := l.rare(ctx, tx)
	if err != nil || none {
		return "", err
	}
	var parts []string
	for _, b := range branches {
		how := found
		if how.ids == "" && !b.shared {
			if how, none, err = l.lead(ctx, tx, b); err != nil {
				return "", err
			}
			if none {
				continue
			}
		}
		parts = append(parts, l.part(v, b, how))
	}
	if len(parts) == 0 {
		return "", nil
	}
	outer := make([]string, len(l.order))
	for k, o := range l.order {
		outer[k] = "k" + strconv.Itoa(k) + direction(o)
	}
	by := " ORDER BY " + strings.Join(outer, ", ")
	pages := parts[0]
	if len(parts) > 1 {
		for n := range parts {
			parts[n] = "SELECT * FROM (" + parts[n] + ") AS b" + strconv.Itoa(n)
		}
		pages = strings.Join(parts, " UNION ALL ") + by + " LIMIT " + l.limit()
	}
	// The last key is the id. Only the page's own rows are read whole.
	return "SELECT " + imageColumns + " FROM (" + pages + ") AS page CROSS JOIN image WHERE image.id = page.k" +
		strconv.Itoa(len(l.order)-1) + by, nil
}

// part is the page of one branch: the sort keys of its first images.
func (l *lister) part(v Viewer, b branch, how lead) string {
	// CROSS JOIN keeps SQLite from turning the order round; PostgreSQL decides
	// by its statistics.
	from, where := "image i", ""
	created, id := "i.created_at", "i.id"
	if b.shared {
		from, where = "image_member m CROSS JOIN image i", "i.id = m.image AND "+l.membership(v)
		created, id = "m.image_created_at", "m.image"
	}
	if how.ids != "" {
		from, where = "("+how.ids+") AS d CROSS JOIN image i", "i.id = d.id AND "
		if b.shared {
			from, where = from+" CROSS JOIN image_member m", where+"m.image = d.id AND "+l.membership(v)
		}
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
	if how.ids != "" || b.shared {
		where += b.whereByID(&l.binds) + " AND i.deleted_at = 0 AND (i.hidden = " + l.arg(l.query.Hidden) + ") = (0 = 0)"
	} else {
		where += b.where(&l.binds, "i.") + " AND i.deleted_at = 0 AND i.hidden = " + l.arg(l.query.Hidden)
	}
	for _, c := range l.conds {
		where += " AND " + c.on(&l.binds, "i.", c.column == how.column)
	}
	return "SELECT " + strings.Join(selects, ", ") + " FROM " + from + " WHERE " + where +
		l.beyond(column) + " ORDER BY " + strings.Join(orders, ", ") + " LIMIT " + l.limit()
}

// membership is the condition that an image is shared with the viewer, and that
// its project said of it what is asked for.
func (l *lister) membership(v Viewer) string {
	me := l.arg(v.Project)
	text := "m.project = " + me + " AND i.owner <> " + me + " AND "
	switch status := l.query.MemberStatus; status {
	case "all":
	case "":
		text += "m.status = 'accepted' AND "
	default:
		text += "m.status = " + l.arg(status) + " AND "
	}
	return text
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

// straight reports whether one index has the whole order.
func (l *lister) straight() bool {
	for _, o := range l.order {
		if o.Desc != l.order[0].Desc {
			return false
		}
	}
	return len(l.order) < 3 || len(l.order) == 3 && l.order[1].Key == "created_at"
}

// beyond is the condition "after the marker in this order".
func (l *lister) beyond(column func(string) string) string {
	columns, values := make([]string, len(l.order)), make([]string, len(l.order))
	for k, o := range l.order {
		columns[k] = column(o.Key)
		if l.after != nil {
			values[k] = l.arg(sortValue(l.after, o.Key))
		}
	}
	op := func(o ImageSort) string {
		if o.Desc {
			return " < "
		}
		return " > "
	}
	if l.straight() {
		if l.after == nil {
			return ""
		}
		// Both engines go straight to this place of an index.
		return " AND (" + strings.Join(columns, ", ") + ")" + op(l.order[0]) + "(" + strings.Join(values, ", ") + ")"
	}
	// Of several keys the first has an index, which this makes the engines use;
	// what is equal there they sort.
	if l.after == nil {
		return " AND " + columns[0] + " >= " + l.arg(least(l.order[0].Key))
	}
	either := make([]string, 0, len(l.order))
	for k, o := range l.order {
		both := make([]string, 0, k+1)
		for j := range k {
			both = append(both, columns[j]+" = "+values[j])
		}
		both = append(both, columns[k]+op(o)+values[k])
		either = append(either, "("+strings.Join(both, " AND ")+")")
	}
	return " AND " + columns[0] + strings.TrimRight(op(l.order[0]), " ") + "= " + values[0] + " AND (" + strings.Join(either, " OR ") + ")"
}

// least is what no value of a key is below.
func least(key string) any {
	if key == "size" || key == "created_at" || key == "updated_at" {
		return int64(math.MinInt64)
	}
	return ""
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
