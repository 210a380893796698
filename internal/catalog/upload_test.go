package catalog_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"kuva"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
)

func TestUploadRows(t *testing.T) {
	catalogtest.Each(t, func(t *testing.T, db *catalog.DB) {
		ctx, at := t.Context(), time.UnixMicro(1_800_000_000_000_001).UTC()
		update := func(f func(tx *catalog.Tx) error) {
			t.Helper()
			if err := db.Update(ctx, f); err != nil {
				t.Fatal(err)
			}
		}
		u := &catalog.Upload{
			ID: "u1", Protocol: "tus", Project: "p", Principal: kuva.Principal{UserID: "me", ProjectID: "p"}, Image: "i1", Made: true, Name: "n", Size: -1,
			State: catalog.UploadOpen, Options: catalog.UploadOptions{DiskFormat: "raw", Digests: map[string]string{"md5": "00"}},
			Metadata: map[string]string{"filename": "n.raw"}, CreatedAt: at, UpdatedAt: at, ExpiresAt: at.Add(time.Hour),
		}
		second := *u
		second.ID, second.Image, second.CreatedAt = "u2", "i2", at.Add(1)
		update(func(tx *catalog.Tx) error {
			return errors.Join(catalog.InsertUpload(ctx, tx, u), catalog.InsertUpload(ctx, tx, &second))
		})
		u.Received, u.Parts, u.State, u.Job, u.Writer, u.ExpiresAt = 30, 2, catalog.UploadFinishing, "j", 7, at
		u.Failure = &kuva.Failure{Code: kuva.CodeInvalid, Sentence: "no", At: at}
		update(func(tx *catalog.Tx) error {
			if err := catalog.UpdateUpload(ctx, tx, u); err != nil {
				return err
			}
			return errors.Join(catalog.InsertPart(ctx, tx, "u1", catalog.UploadPart{Off: 10, Size: 20, Object: 2}),
				catalog.InsertPart(ctx, tx, "u1", catalog.UploadPart{Off: 0, Size: 10, Object: 1}))
		})
		update(func(tx *catalog.Tx) error {
			got, err := catalog.LockUpload(ctx, tx, "u1")
			if err != nil || !reflect.DeepEqual(got, u) {
				t.Errorf("read %+v, %v; wrote %+v", got, err, u)
			}
			if _, err := catalog.GetUpload(ctx, tx, "u3"); !errors.Is(err, catalog.ErrNoUpload) {
				t.Errorf("no upload: %v", err)
			}
			if got, err := catalog.UploadOfImage(ctx, tx, "i2"); err != nil || got.ID != "u2" {
				t.Errorf("of the image: %v, %v", got, err)
			}
			page, err := catalog.ListUploads(ctx, tx, "p", "", "", 1)
			if err != nil || len(page) != 1 || page[0].ID != "u2" {
				t.Errorf("first page: %v, %v", page, err)
			}
			page, err = catalog.ListUploads(ctx, tx, "", "", "u2", 5)
			if err != nil || len(page) != 1 || page[0].ID != "u1" {
				t.Errorf("second page: %v, %v", page, err)
			}
			if n, err := catalog.CountUploads(ctx, tx, "p"); n != 2 || err != nil {
				t.Errorf("%d uploads, %v", n, err)
			}
			old, err := catalog.ExpiredUploads(ctx, tx, at.Add(2*time.Hour), 9)
			if err != nil || len(old) != 1 || old[0].ID != "u2" {
				t.Errorf("expired: %v, %v", old, err)
			}
			parts, err := catalog.UploadParts(ctx, tx, "u1", 0, 9)
			if err != nil || len(parts) != 2 || parts[1] != (catalog.UploadPart{Off: 10, Size: 20, Object: 2}) {
				t.Errorf("parts %v, %v", parts, err)
			}
			gone, err := catalog.DropParts(ctx, tx, "u1", 1)
			if err != nil || len(gone) != 1 || gone[0] != 1 {
				t.Errorf("dropped %v, %v", gone, err)
			}
			if open, err := catalog.OpenUploads(ctx, tx, 9); err != nil || len(open) != 2 {
				t.Errorf("open: %v, %v", open, err)
			}
			if err := catalog.MoveParts(ctx, tx, "u1", "u2", 100); err != nil {
				return err
			}
			if parts, err = catalog.UploadParts(ctx, tx, "u2", 0, 9); err != nil || len(parts) != 1 || parts[0] != (catalog.UploadPart{Off: 110, Size: 20, Object: 2}) {
				t.Errorf("moved parts %v, %v", parts, err)
			}
			if ids, err := catalog.EndedUploads(ctx, tx, 9); err != nil || len(ids) != 0 {
				t.Errorf("ended: %v, %v", ids, err)
			}
			for i, want := range []bool{true, false} {
				if ok, err := catalog.EndUpload(ctx, tx, "u2", u.Failure, at.Add(time.Minute)); err != nil || ok != want {
					t.Errorf("end %d: %v, %v", i, ok, err)
				}
			}
			if got, err := catalog.GetUpload(ctx, tx, "u2"); err != nil || got.State != catalog.UploadFailed || got.Writer == 0 || !got.ExpiresAt.Equal(at.Add(time.Minute)) {
				t.Errorf("ended upload: %+v, %v", got, err)
			}
			if ids, err := catalog.EndedUploads(ctx, tx, 9); err != nil || len(ids) != 1 || ids[0] != "u2" {
				t.Errorf("ended: %v, %v", ids, err)
			}
			return catalog.DeleteUpload(ctx, tx, "u1")
		})
	})
}
