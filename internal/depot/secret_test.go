package depot

import (
	"context"
	"errors"
	"strings"
	"testing"

	"kuva/internal/catalog/catalogtest"
)

// TestSecret: what is sealed opens again, for its purpose alone, and whatever
// else is damaged.
func TestSecret(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, catalogtest.SQLite(t))
	sealed, err := w.SealSecret(ctx, "p", "import x", "c4n4ry")
	if err != nil || strings.Contains(sealed, "c4n4ry") {
		t.Fatalf("%q, %v", sealed, err)
	}
	if got, err := w.OpenSecret(ctx, "import x", sealed); err != nil || got != "c4n4ry" {
		t.Errorf("%q, %v", got, err)
	}
	other, err := w.SealSecret(ctx, "q", "import x", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.OpenSecret(ctx, "import x", other); err != nil || got != "" {
		t.Errorf("%q, %v", got, err)
	}
	for what, c := range map[string][2]string{
		"another purpose": {"import y", sealed}, "no base64": {"import x", "%"}, "nothing": {"import x", ""},
		"half": {"import x", sealed[:len(sealed)/2&^3]}, "another byte": {"import x", sealed[:40] + "AAAA" + sealed[44:]},
	} {
		if _, err := w.OpenSecret(ctx, c[0], c[1]); err == nil || what == "another purpose" && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
