package images_test

import (
	"bytes"
	"io"
	"testing"

	"kuva"
	"kuva/internal/images"
)

// view reads a view whole.
func (w *world) view(p kuva.Principal, id, format string, o images.ViewOptions) []byte {
	w.t.Helper()
	v, err := w.OpenView(ctx, p, id, format, o)
	if err != nil {
		w.t.Fatalf("view %s: %v", format, err)
	}
	return readView(w.t, v)
}

func readView(t testing.TB, v *images.View) []byte {
	t.Helper()
	if v.Size < 0 {
		var b bytes.Buffer
		if n, err := v.WriteTo(ctx, &b); err != nil || n != int64(b.Len()) {
			t.Fatalf("view %s: %d of %d bytes, %v", v.Format, b.Len(), n, err)
		}
		return b.Bytes()
	}
	r, err := v.Reader(ctx, 0, v.Size)
	if err != nil {
		t.Fatalf("view %s: %v", v.Format, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != v.Size {
		t.Fatalf("view %s: %d of %d bytes, %v", v.Format, len(b), v.Size, err)
	}
	return b
}
