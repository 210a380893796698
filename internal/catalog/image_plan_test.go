package catalog_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// listShapes are questions with the index that each branch of the answer, but
// what is shared with the viewer, must be read by; "" where a filter leads.
func listShapes() map[string]struct {
	q     catalog.ImageQuery
	index string // ends so
} {
	type shape = struct {
		q     catalog.ImageQuery
		index string
	}
	at := []catalog.TimeFilter{{Op: "gt", At: time.Unix(1000, 0)}}
	shapes := map[string]shape{"": {catalog.ImageQuery{}, ""}}
	for _, key := range catalog.ImageSortKeys {
		end := map[string]string{"created_at": "", "updated_at": "_updated", "container_format": "_container", "disk_format": "_disk"}
		index, special := end[key]
		if !special {
			index = "_" + key
		}
		for name, desc := range map[string]bool{" ascending": false, " descending": true} {
			shapes["by "+key+name] = shape{catalog.ImageQuery{Sort: []catalog.ImageSort{{key, desc}}}, index}
			shapes["by "+key+name+" and name"] = shape{catalog.ImageQuery{Sort: []catalog.ImageSort{{key, desc}, {"name", !desc}}}, index}
		}
	}
	shapes["name"] = shape{catalog.ImageQuery{Name: []string{"name 7"}}, "_name"}
	shapes["status"] = shape{catalog.ImageQuery{Status: []string{"active"}}, "_status"}
	shapes["disk_format"] = shape{catalog.ImageQuery{DiskFormat: []string{"raw"}}, "_disk"}
	shapes["container_format"] = shape{catalog.ImageQuery{ContainerFormat: []string{"bare"}}, "_container"}
	shapes["created_at"] = shape{catalog.ImageQuery{Created: at}, ""}
	shapes["owner"] = shape{catalog.ImageQuery{Owner: "p7"}, ""}
	shapes["size by size"] = shape{catalog.ImageQuery{Min: map[string]int64{"size": 7}, Sort: []catalog.ImageSort{{Key: "size"}}}, "_size"}
	shapes["protected"] = shape{catalog.ImageQuery{Protected: new(bool)}, ""}
	return shapes
}

var listViewers = map[string]catalog.Viewer{"member": {Project: catalogtest.Big}, "admin": {Project: catalogtest.Big, Admin: true}, "nobody": {}}

// TestListsUseIndexes: every list goes from the marker on through an index of
// its own, in its order, in both engines.
func TestListsUseIndexes(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		catalogtest.Fill(t, db, 5_000)
		checkPlans(t.Context(), t, db)
	})
}

func checkPlans(ctx context.Context, t *testing.T, db *catalog.DB) {
	for name, shape := range listShapes() {
		for who, v := range listViewers {
			for _, visibility := range []string{"", "all", "shared"} {
				for _, marker := range []*catalog.Image{nil, {Image: kuva.Image{ID: "m", Name: "n", CreatedAt: time.Unix(1, 0)}}} {
					q := shape.q
					q.Limit, q.Visibility = 20, visibility
					err := db.View(ctx, func(tx *catalog.Tx) error {
						text, args, err := catalog.ListStatement(ctx, tx, v, q, marker)
						if err != nil || text == "" { // nobody's own images
							return err
						}
						plan, err := explain(ctx, tx, text, args)
						if err != nil {
							return err
						}
						if why := planIsBad(tx, plan, shape.index); why != "" {
							t.Errorf("%s, %s, visibility %q, marker %v: %s\n%s\n%s", name, who, visibility, marker != nil, why, text, strings.Join(plan, "\n"))
						}
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// explain returns the lines of an engine's plan.
func explain(ctx context.Context, tx *catalog.Tx, text string, args []any) (plan []string, err error) {
	if tx.Dialect() == catalog.PostgreSQL {
		for _, off := range []string{"seqscan", "bitmapscan", "sort"} { // a small table needs no index
			if _, err := tx.Exec(ctx, "SET LOCAL enable_"+off+" = off"); err != nil {
				return nil, err
			}
		}
		text = "EXPLAIN " + text
	} else {
		text = "EXPLAIN QUERY PLAN " + text
	}
	rows, err := tx.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		var id, parent, unused int
		to := []any{&line}
		if tx.Dialect() != catalog.PostgreSQL {
			to = []any{&id, &parent, &unused, &line}
		}
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		plan = append(plan, strings.TrimSpace(line))
	}
	return plan, rows.Err()
}

var usedIndex = regexp.MustCompile(`(?:^SEARCH i USING (?:COVERING )?INDEX |Index (?:Only )?Scan (?:Backward )?using )(\w+)`)

// planIsBad says what is wrong with a plan: a table is gone through, or an index
// is not the one for this order.
func planIsBad(tx *catalog.Tx, plan []string, end string) string {
	branches := 0
	for n, line := range plan {
		if n > 0 && strings.HasPrefix(plan[n-1], "SEARCH m") && !strings.HasSuffix(line, "(id=?)") {
			return "does not look up what is shared by its id: " + line
		}
		switch {
		case strings.HasPrefix(line, "SCAN i"), strings.HasPrefix(line, "SCAN m"), strings.Contains(line, "Seq Scan"),
			strings.HasPrefix(line, "SEARCH i ") && !strings.Contains(line, "USING"):
			return "goes through a whole table: " + line
		}
		m := usedIndex.FindStringSubmatch(line)
		if m == nil || m[1] == "image_pkey" || strings.HasPrefix(m[1], "sqlite_autoindex") || strings.HasPrefix(m[1], "image_member") {
			continue
		}
		if n+1 < len(plan) && strings.Contains(plan[n+1], "(id = ") {
			continue // what is shared, one by one
		}
		branches++
		// PostgreSQL knows which values are common, and goes by age alone then.
		plain := tx.Dialect() == catalog.PostgreSQL && slices.Contains([]string{"_status", "_disk", "_container"}, end) && (m[1] == "image_owner" || m[1] == "image_visibility")
		if m[1] != "image_owner"+end && m[1] != "image_visibility"+end && !plain {
			return "uses " + m[1] + ", not the index for this order"
		}
	}
	if branches == 0 && !strings.Contains(strings.Join(plan, " "), "image_member") {
		return "uses no index"
	}
	return ""
}
