package catalog

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kuva"
)

// TestListsUseIndexes: lists by age and by name go from the marker on through
// an index of their own, in its order. What SQLite sorts is no more than the
// pages of the branches.
func TestListsUseIndexes(t *testing.T) {
	ctx := context.Background()
	db, err := Open(ctx, Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "catalog.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	viewers := []Viewer{{Project: "a"}, {Project: "a", Admin: true}, {}}
	for _, v := range viewers {
		for _, visibility := range []string{"", "all", "public", "community", "private", "shared"} {
			for _, key := range []string{"", "created_at", "name"} {
				for _, marker := range []*Image{nil, {Image: kuva.Image{ID: "m", Name: "n", CreatedAt: time.Unix(1, 0)}}} {
					l := lister{query: ImageQuery{Limit: 20, Visibility: visibility}, after: marker}
					var sort []ImageSort
					if key != "" {
						sort = []ImageSort{{Key: key}}
					}
					l.order = fullOrder(sort)
					text := l.build(v)
					if text == "" { // nobody's own images
						continue
					}
					err := db.View(ctx, func(tx *Tx) error { return checkPlan(ctx, t, tx, text, l.args, key) })
					if err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// checkPlan reads SQLite's plan. Its lines nest: what is sorted inside a branch
// comes after that branch's search and before the next one.
func checkPlan(ctx context.Context, t *testing.T, tx *Tx, text string, args []any, key string) error {
	rows, err := tx.Query(ctx, "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			return err
		}
		plan = append(plan, line)
	}
	branch := ""
	if strings.Contains(text, "i.owner = ") && !strings.Contains(strings.Join(plan, "\n"), "image_owner") {
		t.Errorf("an owner's images are not found by owner:\n%s\n%s", text, strings.Join(plan, "\n"))
	}
	for _, line := range plan {
		if strings.Contains(line, "INDEX image_owner") && !strings.Contains(line, "(owner=? AND visibility=?") {
			t.Errorf("goes through all images of an owner to find those of one visibility:\n%s\n%s", text, strings.Join(plan, "\n"))
		}
		switch {
		case strings.HasPrefix(line, "SCAN i"), strings.HasPrefix(line, "SEARCH i ") && !strings.Contains(line, "USING"),
			strings.HasPrefix(line, "SCAN m"), strings.HasPrefix(line, "SCAN image"):
			t.Errorf("goes through a whole table:\n%s\n%s", text, strings.Join(plan, "\n"))
			return nil
		case strings.HasPrefix(line, "SEARCH i USING INDEX sqlite_autoindex"): // the images of the members' branch, one by one
		case strings.HasPrefix(line, "SEARCH i USING"), strings.HasPrefix(line, "SEARCH m USING"):
			branch = line
		case strings.HasPrefix(line, "SEARCH image"), strings.HasPrefix(line, "SCAN page"), strings.HasPrefix(line, "SCAN b"):
			branch = ""
		// What is shared with one project is sorted where the order is not by age.
		case strings.Contains(line, "TEMP B-TREE") && branch != "" && (!strings.HasPrefix(branch, "SEARCH m") || key != "name"):
			t.Errorf("sorts a whole branch (%s):\n%s\n%s", branch, text, strings.Join(plan, "\n"))
			return nil
		}
	}
	return rows.Err()
}

// TestWorkListsAreSmall: what is left to do is found without going through all
// images, at every start and every few seconds.
func TestWorkListsAreSmall(t *testing.T) {
	ctx := context.Background()
	db, err := Open(ctx, Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "catalog.db"), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for index, query := range map[string]string{"image_card": imagesWithoutCard, "image_lease": imagesWithLease} {
		err := db.View(ctx, func(tx *Tx) error {
			rows, err := tx.Query(ctx, "EXPLAIN QUERY PLAN "+query, "", 10)
			if err != nil {
				return err
			}
			defer rows.Close()
			var plan []string
			for rows.Next() {
				var id, parent, unused int
				var line string
				if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
					return err
				}
				plan = append(plan, line)
			}
			if text := strings.Join(plan, "\n"); !strings.Contains(text, "INDEX "+index) || strings.Contains(text, "TEMP B-TREE") {
				t.Errorf("%s\n%s", query, text)
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
