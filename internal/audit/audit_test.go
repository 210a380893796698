package audit_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// The order is that of writing, also when the clock goes back ten years
// between two entries.
func TestOrder(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := context.Background()
		now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
		p := kuva.Principal{UserID: "u", ProjectID: "p", RequestID: "req-1"}
		var want []audit.Entry
		for i := range 10 {
			at := now.AddDate(-10*(i%2), 0, 0)
			e := audit.By(p, at, "image.update", "img")
			e.Detail = map[string]string{"n": string(rune('0' + i))}
			err := db.Update(ctx, func(tx *catalog.Tx) error {
				var err error
				if e.ID, err = audit.Write(ctx, tx, e); err != nil {
					return err
				}
				_, err = audit.Write(ctx, tx, audit.Entry{At: at, Actor: audit.Service, Action: "x", Object: "other"})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(want) > 0 && e.ID <= want[0].ID {
				t.Fatalf("id %d after %d", e.ID, want[0].ID)
			}
			want = append([]audit.Entry{e}, want...)
		}
		var got []audit.Entry
		for before := int64(0); ; before = got[len(got)-1].ID {
			var page []audit.Entry
			err := db.View(ctx, func(tx *catalog.Tx) (err error) {
				page, err = audit.ListByObject(ctx, tx, "img", before, 3)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

// An entry lives and dies with the transaction of its change.
func TestRollback(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx := context.Background()
		boom := kuva.E(kuva.CodeConflict, "internal")
		err := db.Update(ctx, func(tx *catalog.Tx) error {
			if _, err := audit.Write(ctx, tx, audit.Entry{At: time.Now(), Object: "img"}); err != nil {
				return err
			}
			return boom
		})
		if err != boom { //nolint:errorlint // comes back as it is
			t.Fatal(err)
		}
		_ = db.View(ctx, func(tx *catalog.Tx) error {
			if got, err := audit.ListByObject(ctx, tx, "img", 0, 0); err != nil || len(got) != 0 {
				t.Errorf("got %v, %v", got, err)
			}
			return nil
		})
	})
}
