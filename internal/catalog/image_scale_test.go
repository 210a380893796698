package catalog_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// scaleQueries are lists as clients ask for them.
func scaleQueries() map[string]catalog.ImageQuery {
	const second = int64(1_000_000)
	at := func(n int64) time.Time { return time.UnixMicro(1700000000000000 + n*second) }
	yes := true
	all := map[string]catalog.ImageQuery{
		"plain":               {},
		"name":                {Name: []string{"name 77"}},
		"name and status":     {Name: []string{"name 77"}, Status: []string{"active"}},
		"no such name":        {Name: []string{"nothing"}},
		"names":               {Name: []string{"name 77", "name 78", "name 0"}},
		"tag of many":         {Tags: []string{"t7"}},
		"tag of few":          {Tags: []string{"u70"}},
		"tags":                {Tags: []string{"t7", "u1"}},
		"property of many":    {Properties: map[string]string{"os_distro": "d3"}},
		"property of few":     {Properties: map[string]string{"serial": "s99"}},
		"owner":               {Owner: "p77"},
		"owner big":           {Owner: catalogtest.Big},
		"checksum":            {Checksum: "md5-99"},
		"os_hash_value":       {HashValue: "hash-99"},
		"status":              {Status: []string{"queued"}},
		"status of none":      {Status: []string{"saving"}},
		"disk_format":         {DiskFormat: []string{"iso"}},
		"size from":           {Min: map[string]int64{"size": 999_000_000}},
		"size to":             {Max: map[string]int64{"size": 1000}},
		"size by name":        {Min: map[string]int64{"size": 500_000_000}, Sort: []catalog.ImageSort{{Key: "name"}}},
		"created before":      {Created: []catalog.TimeFilter{{Op: "lt", At: at(50)}}},
		"created, by name":    {Created: []catalog.TimeFilter{{Op: "lt", At: at(50)}}, Sort: []catalog.ImageSort{{Key: "name"}}},
		"protected of none":   {Name: []string{"name 7"}, Protected: &yes},
		"by name and created": {Sort: []catalog.ImageSort{{Key: "name"}, {Key: "created_at", Desc: true}}},
		"by size and name":    {Sort: []catalog.ImageSort{{Key: "size", Desc: true}, {Key: "name"}}},
	}
	for _, key := range catalog.ImageSortKeys {
		all["by "+key] = catalog.ImageQuery{Sort: []catalog.ImageSort{{Key: key}}}
		all["by "+key+" down"] = catalog.ImageQuery{Sort: []catalog.ImageSort{{Key: key, Desc: true}}}
	}
	return all
}

// TestListScale (KUVA_SOAK=1) holds pages of 100 to 50 ms, from 5,000 images to
// a million, at the first page and deep inside. KUVA_SCALE=N takes N images,
// and shows the figures.
func TestListScale(t *testing.T) {
	if os.Getenv("KUVA_SOAK") != "1" && os.Getenv("KUVA_SCALE") == "" {
		t.Skip("a million images: KUVA_SOAK=1")
	}
	counts := []int64{5_000, 1_000_000}
	if n, err := strconv.ParseInt(os.Getenv("KUVA_SCALE"), 10, 64); err == nil {
		counts = []int64{n}
	}
	for engine, open := range map[string]func(testing.TB) *catalog.DB{"sqlite": catalogtest.SQLite, "postgresql": catalogtest.Postgres} {
		for _, count := range counts {
			t.Run(fmt.Sprintf("%s/%d", engine, count), func(t *testing.T) {
				db := open(t)
				began := time.Now()
				catalogtest.Fill(t, db, count)
				t.Logf("filled in %v", time.Since(began))
				measureLists(t, db, 50*time.Millisecond)
			})
		}
	}
}

func measureLists(t *testing.T, db *catalog.DB, within time.Duration) {
	viewers := map[string]catalog.Viewer{"p1": {Project: "p1"}, "big": {Project: catalogtest.Big}, "admin": {Project: "p1", Admin: true}}
	queries := scaleQueries()
	for _, name := range sorted(queries) {
		for _, who := range sorted(viewers) {
			for _, visibility := range []string{"", "all"} {
				q, v := queries[name], viewers[who]
				q.Visibility, q.Limit = visibility, 100
				var took []time.Duration
				deep := ""
				for page := range 4 {
					var found []*catalog.Image
					began := time.Now()
					err := db.View(t.Context(), func(tx *catalog.Tx) (err error) {
						found, err = catalog.ListImages(t.Context(), tx, v, q)
						return err
					})
					took = append(took, time.Since(began))
					if err != nil {
						t.Fatalf("%s of %s: %v", name, who, err)
					}
					if len(found) < 100 {
						break
					}
					q.Marker = found[99].ID
					if page == 1 && deep == "" { // from the middle of the table on
						deep = fmt.Sprintf("00000000-0000-4000-8000-%d", 100000000000+(4*1000*2654435761)%100000000000)
						q.Marker = deep
						if err := db.View(t.Context(), func(tx *catalog.Tx) error {
							_, err := catalog.ListImages(t.Context(), tx, v, catalog.ImageQuery{Marker: deep, Limit: 0, Visibility: "all"})
							return err
						}); err != nil {
							q.Marker = found[99].ID
						}
					}
				}
				slices.Sort(took)
				// The first run compiles the statement; the slowest but one counts
				// where there are several.
				worst := took[max(0, len(took)-2)]
				if worst > within {
					t.Errorf("%s of %s, visibility %q: %v", name, who, visibility, worst)
				}
				if os.Getenv("KUVA_SCALE") != "" {
					t.Logf("%-22s %-6s %-4s %d pages, %v", name, who, visibility, len(took), worst)
				}
			}
		}
	}
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
