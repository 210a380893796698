package depot

import (
	"context"
	"errors"
	"testing"

	"kuva/internal/blob"
	"kuva/internal/blob/dir"
	"kuva/internal/blob/fsys"
	"kuva/internal/catalog/catalogtest"
)

// TestFullStore is R-07 for the keeping half: with not one byte free, reads
// go on, a write fails cleanly, and the collector and compaction give space
// back, in the reserve's room where they need some.
func TestFullStore(t *testing.T) {
	disk := fsys.NewMem()
	s, err := dir.Open(dir.Config{FS: disk, Reserve: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w := &world{tb: t, db: catalogtest.SQLite(t), store: s, keys: newTestKeys()}
	w.open(Config{})
	whole := randomBytes(12<<20, 1)
	id, _ := w.mustPutImage("p", "whole", whole)
	var some []byte
	for i := 0; i+1<<20 <= len(whole); i += 1 << 20 {
		some = append(some, whole[i:i+1<<18]...)
	}
	_, ref := w.mustPutImage("p", "some", some)
	gone, _ := w.mustPutImage("p", "gone", randomBytes(3<<20, 2))
	w.mustDelete(id)
	disk.SetLimit(disk.Used())
	if _, _, err := w.putImage("p", "more", randomBytes(1<<20, 3)); !errors.Is(err, blob.ErrFull) {
		t.Fatalf("write to a full store: %v", err)
	}
	w.mustRead(ref, some)
	w.mustDelete(gone) // its card lies in the reserve's room
	if _, err := w.Create(context.Background(), CreateOptions{Project: "p"}); !errors.Is(err, blob.ErrFull) {
		t.Errorf("an upload may eat the reserve: %v", err)
	}
	for range 4 {
		if _, err := w.Collect(context.Background(), CollectOptions{Audit: true, Compact: true}); err != nil {
			t.Fatalf("collect on a full store: %v", err)
		}
	}
	w.mustRead(ref, some)
	if left := w.blobs("pack/").Bytes; left > int64(len(some))*102/100 {
		t.Errorf("%d bytes left for %d", left, len(some))
	}
	if err := w.ReadOnly(); err != nil {
		t.Fatal(err)
	}
	_, more := w.mustPutImage("p", "more", randomBytes(1<<20, 3))
	w.mustRead(more, randomBytes(1<<20, 3))
	w.mustVerify()
}
