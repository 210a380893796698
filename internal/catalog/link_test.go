package catalog_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

// TestLinks: what is live, what is taken, what is forgotten.
func TestLinks(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx, now := t.Context(), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		update := func(fn func(tx *catalog.Tx) error) {
			t.Helper()
			if err := db.Update(ctx, fn); err != nil {
				t.Fatal(err)
			}
		}
		live := func(digest, address string, at time.Time) (l *catalog.Link) {
			t.Helper()
			err := db.View(ctx, func(tx *catalog.Tx) (err error) {
				l, err = catalog.LiveLink(ctx, tx, digest, address, at)
				return err
			})
			if err != nil && !errors.Is(err, catalog.ErrNoLink) {
				t.Fatal(err)
			}
			return l
		}
		for i := range 4 {
			update(func(tx *catalog.Tx) error {
				return catalog.AddLink(ctx, tx, &catalog.Link{
					ID: fmt.Sprint("id", i), Digest: fmt.Sprint("digest", i), Image: fmt.Sprint("image", i%2), Project: "p",
					Maker: kuva.Principal{UserID: "u", ProjectID: "p", Roles: []string{"member"}}, Read: true, Format: "qcow2",
					Options: catalog.LinkOptions{Settings: map[string]string{"a": "b"}}, Most: 1, CreatedAt: now, ExpiresAt: now.Add(time.Duration(i+1) * time.Hour),
				})
			})
		}
		l := live("digest1", "a", now)
		if l == nil || l.Maker.UserID != "u" || l.Options.Settings["a"] != "b" || !l.ExpiresAt.Equal(now.Add(2*time.Hour)) || !l.UsedAt.IsZero() {
			t.Fatalf("%+v", l)
		}
		if live("digest1", "a", now.Add(2*time.Hour)) != nil || live("digest9", "a", now) != nil {
			t.Error("live after its end, or never there")
		}
		take := func(at time.Time) (taken bool) {
			update(func(tx *catalog.Tx) (err error) {
				taken, err = catalog.TakeLink(ctx, tx, "id1", "a", at)
				return err
			})
			return taken
		}
		if take(now.Add(2*time.Hour)) || !take(now) || take(now) || live("digest1", "a", now) != nil {
			t.Error("the count does not hold")
		}
		update(func(tx *catalog.Tx) error { return catalog.GiveBackLink(ctx, tx, "id1") })
		if live("digest1", "a", now) == nil || !take(now) {
			t.Error("not given back")
		}
		until := now.Add(15 * time.Minute)
		update(func(tx *catalog.Tx) error {
			return catalog.PutLinkUse(ctx, tx, catalog.LinkUse{Link: "id1", Address: "a", ETag: "e", BeganAt: now, UntilAt: until})
		})
		if live("digest1", "a", now) == nil || live("digest1", "b", now) != nil || live("digest1", "a", until) != nil {
			t.Error("who may go on, and until when")
		}
		count := func() (n int64, ids string) {
			err := db.View(ctx, func(tx *catalog.Tx) error {
				all, err := catalog.ListLinks(ctx, tx, "", "p", "", 10)
				for ids = ""; len(all) > 0; all = all[1:] {
					ids += all[0].ID + " "
				}
				n, _ = catalog.CountLinks(ctx, tx, "p", now.Add(150*time.Minute))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n, ids
		}
		if n, ids := count(); n != 2 || ids != "id3 id2 id1 id0 " {
			t.Errorf("%d live, %s", n, ids)
		}
		update(func(tx *catalog.Tx) error { return catalog.PurgeLinks(ctx, tx, now.Add(3*time.Hour)) })
		if _, ids := count(); ids != "id3 id2 " {
			t.Errorf("after the purge: %s", ids)
		}
		update(func(tx *catalog.Tx) error {
			return errors.Join(catalog.DropLinksOf(ctx, tx, "image1"), catalog.DropLink(ctx, tx, "id0"), catalog.DropLink(ctx, tx, "id2"))
		})
		if _, ids := count(); ids != "" {
			t.Errorf("dropped, and there: %s", ids)
		}
	})
}
