package catalog_test

import (
	"fmt"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// BenchmarkInsertImage makes an image in a transaction of its own, without
// fsync, among 20,000: what the indexes of the lists cost who creates.
func BenchmarkInsertImage(b *testing.B) {
	for engine, open := range map[string]func(testing.TB) *catalog.DB{"sqlite": catalogtest.SQLite, "postgresql": catalogtest.Postgres} {
		b.Run(engine, func(b *testing.B) {
			db := open(b)
			insert := func(tx *catalog.Tx, i int) error {
				at := time.UnixMicro(1700000000000000 + int64(i))
				return catalog.InsertImage(b.Context(), tx, &catalog.Image{Image: kuva.Image{
					ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i*7919%1_000_000_000), Name: fmt.Sprint("name ", i), Owner: fmt.Sprint("p", i%100),
					Status: kuva.StatusQueued, Visibility: kuva.VisibilityShared, DiskFormat: "raw", ContainerFormat: "bare", Size: -1, VirtualSize: -1,
					Tags: []string{"one", "two"}, Properties: map[string]string{"os_distro": "debian"}, Version: 1, CreatedAt: at, UpdatedAt: at,
				}, CardVersion: 1})
			}
			err := db.Update(b.Context(), func(tx *catalog.Tx) error {
				for i := range 20_000 {
					if err := insert(tx, i); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			n := 20_000
			for b.Loop() {
				n++
				if err := db.Update(b.Context(), func(tx *catalog.Tx) error { return insert(tx, n) }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
