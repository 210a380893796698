package depot

import (
	"testing"

	"kuva/internal/blob/mem"
	"kuva/internal/catalog/catalogtest"
)

// A first start that ends between the ledger's row and the store's id is
// finished by the next one. A store that is missing later is not begun anew:
// that would hide the loss.
func TestFirstStartIsFinished(t *testing.T) {
	ctx := t.Context()
	store := mem.New(1)
	cfg := Config{DB: catalogtest.SQLite(t), Store: store, Keys: newTestKeys(), Node: "test"}
	open := func() (*Depot, error) {
		d, err := Open(ctx, cfg)
		if err == nil {
			err = d.Close()
		}
		return d, err
	}
	if _, err := open(); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(ctx, "store"); err != nil {
		t.Fatal(err)
	}
	d, err := open()
	if err != nil {
		t.Fatalf("the start after one that was cut off: %v", err)
	}
	if _, err := store.Stat(ctx, "store"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.realmOf(ctx, "project"); err != nil {
		t.Fatal(err)
	}
	if err := store.Delete(ctx, "store"); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); err == nil {
		t.Error("a store that was used and is missing is begun anew")
	}
}
