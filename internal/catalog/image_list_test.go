package catalog

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

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
