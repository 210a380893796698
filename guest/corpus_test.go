package guest_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"kuva/disk/disktest"
	"kuva/guest"
	"kuva/guest/guesttest"
)

// TestCorpus inspects every file system of the corpora as a whole, and keeps
// what comes of each in docs/corpus.md. The readers' own tests hold names and
// bytes to what reference tools saw.
func TestCorpus(t *testing.T) {
	rows := guesttest.Corpus(t, "testdata/corpus", func(r disktest.Row) bool {
		return r.Format == "raw" && !slices.Contains([]string{"disk", "archive", "compress", "ovf", "hive"}, r.Class)
	})
	if len(rows) == 0 {
		t.Fatal("no rows")
	}
	var ledger disktest.Ledger
	for _, row := range rows {
		if row.Class == "btrfs" { // slow to unpack; its reader's test runs them
			continue
		}
		ledger.Run(t, row, func(t *testing.T, row disktest.Row) string {
			r, size, ok := row.Open(t)
			if !ok {
				t.Fatalf("unknown wrapping %q", row.Outer)
			}
			report, err := guest.Inspect(t.Context(), guesttest.Raw(t, r, size), guest.Options{
				OnPanic: func(v any, stack []byte) { t.Errorf("%v\n%s", v, stack) },
			})
			if err != nil {
				if !guesttest.Sane(err) {
					t.Error(err)
				}
				return "damaged"
			}
			return summary(report)
		})
	}
	f := flag.Lookup("update")
	ledger.Check(t, "../docs/corpus.md", "guests", f != nil && f.Value.String() == "true" && os.Getenv("CORPUS") != "")
}

// summary is what a report says of the file systems, in a few words.
func summary(r *guest.Report) string {
	var parts []string
	for _, f := range r.Facts.Filesystems {
		s := f.Type
		switch {
		case f.Error != "":
			s += ": not read"
		case f.Free >= 0:
			s += fmt.Sprintf(": %d of %d bytes used", f.Size-f.Free, f.Size)
		default:
			s += ": read"
		}
		if len(f.Notes) > 0 {
			s += " (" + strings.Join(f.Notes, ", ") + ")"
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		parts = []string{"nothing recognised"}
	}
	if o := r.Facts.OS; o != nil {
		parts = append(parts, o.Name)
	}
	if r.Limit != "" {
		parts = append(parts, "over the limit")
	}
	return strings.Join(parts, "; ")
}
