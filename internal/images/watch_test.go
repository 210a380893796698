package images_test

import (
	"context"
	"testing"
	"time"

	"kuva"
	"kuva/internal/audit"
	"kuva/internal/catalog"
	"kuva/internal/catalog/catalogtest"
	"kuva/internal/images"
)

// TestWatchLateEntry: on PostgreSQL a change may commit after one that took a
// later id in the audit table. It is told all the same, and once.
func TestWatchLateEntry(t *testing.T) {
	db := catalogtest.Postgres(t)
	early, late := "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
	write := func(tx *catalog.Tx, id string) error {
		_, err := audit.Write(t.Context(), tx, audit.Entry{At: time.Now(), Actor: "a", Action: "image.update", Object: id})
		return err
	}
	for _, id := range []string{early, late} {
		err := db.Update(t.Context(), func(tx *catalog.Tx) error {
			return catalog.InsertImage(t.Context(), tx, &catalog.Image{Image: kuva.Image{ID: id, Owner: "p", Status: kuva.StatusQueued, Version: 1}})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, told, ended := make(chan struct{}), make(chan string, 100), make(chan struct{})
	go func() {
		defer close(ended)
		images.New(images.Config{DB: db}).Watch(ctx, 10*time.Millisecond, func() { close(ready) }, func(img kuva.Image) { told <- img.ID })
	}()
	<-ready
	wrote, commit, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- db.Update(t.Context(), func(tx *catalog.Tx) error {
			if err := write(tx, early); err != nil {
				return err
			}
			close(wrote)
			<-commit
			return nil
		})
	}()
	<-wrote
	if err := db.Update(t.Context(), func(tx *catalog.Tx) error { return write(tx, late) }); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != late {
		t.Fatalf("told of %s", got)
	}
	close(commit)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != early {
		t.Errorf("told of %s", got)
	}
	time.Sleep(100 * time.Millisecond) // ten more looks
	cancel()
	<-ended
	if len(told) > 0 {
		t.Errorf("told of %s again", <-told)
	}
}
