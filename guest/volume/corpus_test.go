package volume_test

import (
	"fmt"
	"strings"
	"testing"

	"kuva/disk/disktest"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/volume"
)

// TestCorpus (S-167): what blkid and sfdisk said of volumes and tables that
// others made is what is found here, or nothing is; never something else.
func TestCorpus(t *testing.T) {
	named := 0
	for _, row := range guesttest.Corpus(t, "../testdata/corpus", func(r disktest.Row) bool {
		if r.Class == "btrfs" {
			return false // large, slow to unpack, and all of one type
		}
		return r.Format == "raw" && (r.Oracle["blkid_type"] != "" || r.Oracle["blkid_pttype"] != "" || r.Class == "luks")
	}) {
		t.Run(row.File, func(t *testing.T) {
			file, size, ok := row.Open(t)
			if !ok {
				t.Fatalf("wrapped in %s", row.Outer)
			}
			d := guesttest.Raw(t, file, size)
			guesttest.Bounded(t, func(b *budget.Budget) {
				l, err := volume.Scan(d, b)
				if err != nil {
					t.Fatal(err)
				}
				c, want := l.Whole.Content, row.Oracle["blkid_type"]
				if c.Type != "" && c.Type != want {
					t.Errorf("type %q, want %q", c.Type, want)
				}
				if c.Type == "" && want != "" {
					t.Logf("not recognised: %s", want)
				} else {
					named++
				}
				if uuid := row.Oracle["blkid_uuid"]; c.UUID != "" && c.UUID != uuid {
					t.Errorf("uuid %q, want %q", c.UUID, uuid)
				}
				if parts := row.Oracle["partitions"]; parts != "" {
					var got []string
					for _, v := range l.Volumes {
						if v.Number > 0 {
							got = append(got, fmt.Sprintf("%d+%d", v.Off/512, v.Size/512))
						}
					}
					if strings.Join(got, ",") != parts {
						t.Errorf("partitions %v, want %s; %v", got, parts, l.Notes)
					}
				}
				if id := row.Oracle["blkid_ptuuid"]; id != "" && l.Scheme != volume.None && l.ID != id {
					t.Errorf("table %s, want %s", l.ID, id)
				}
			})
		})
	}
	if named < 5 {
		t.Errorf("%d rows were recognised", named)
	}
}
