package regf_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kuva/disk/disktest"
	"kuva/guest/budget"
	"kuva/guest/guesttest"
	"kuva/guest/regf"
	"kuva/guest/regf/regftest"
	"kuva/internal/testkit"
)

// TestCorpus reads hives of Windows and hostile ones (S-168). Where hivex reads
// one without an error, all that hivex reads is there.
func TestCorpus(t *testing.T) {
	rows := guesttest.Corpus(t, "../testdata/corpus", func(r disktest.Row) bool { return r.Class == "hive" })
	for _, row := range rows {
		t.Run(row.File, func(t *testing.T) {
			f, size, ok := row.Open(t)
			if !ok {
				t.Fatalf("unknown wrapping %q", row.Outer)
			}
			b, err := io.ReadAll(io.NewSectionReader(f, 0, size))
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			guesttest.Bounded(t, func(bud *budget.Budget) { lines = testRow(t, row, b, bud) })
			if lines != nil && (testkit.Program("hivexregedit") != "" || testkit.CI()) {
				if diff := cmp.Diff(regftest.List(t, b), lines); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// testRow gives the lines of what hivex reads too.
func testRow(t *testing.T, row disktest.Row, b []byte, bud *budget.Budget) []string {
	h, err := regf.Open(bytes.NewReader(b), int64(len(b)), regf.Options{Budget: bud})
	if strings.HasPrefix(row.Expected, "bounded") {
		if err == nil {
			lines, errs := list(h)
			t.Logf("%d lines, errors %v", len(lines), errs)
		}
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := mustList(t, h)
	keys, values := 0, 0
	for _, l := range lines {
		if strings.HasPrefix(l, "key") {
			keys++
		} else {
			values++
		}
	}
	if got := strconv.Itoa(keys); got != row.Oracle["keys"] {
		t.Errorf("%s keys, want %s", got, row.Oracle["keys"])
	}
	if got := strconv.Itoa(values); got != row.Oracle["values"] {
		t.Errorf("%s values, want %s", got, row.Oracle["values"])
	}
	return lines
}

// TestRealLogs applies logs that Windows wrote. It had marked these as done by
// a wrong checksum; with a right one they are applied.
func TestRealLogs(t *testing.T) {
	dir := os.Getenv("CORPUS")
	if dir == "" {
		t.Skip("not run: CORPUS is not set")
	}
	for _, tt := range []struct {
		hive, log string
		changes   bool
	}{
		{"BadLogHive1__BadLogHive", "BadLogHive1__BadLogHive.LOG1", true},
		{"BadLogHive3__BadLogHive", "BadLogHive3__BadLogHive.LOG1", false},
	} {
		hive, err := os.ReadFile(filepath.Join(dir, "copyleft/hive", tt.hive))
		if err != nil {
			t.Fatal(err)
		}
		log, err := os.ReadFile(filepath.Join(dir, "copyleft/hive", tt.log))
		if err != nil {
			t.Fatal(err)
		}
		h := open(t, hive, log)
		before := mustList(t, h)
		if i := h.Info(); !i.Dirty || i.Replayed != 0 || i.Logs {
			t.Errorf("%s as it is: %+v", tt.log, i)
		}
		regftest.Seal(log)
		h = open(t, hive, log)
		after := mustList(t, h)
		if i := h.Info(); !i.Dirty || i.Replayed != 1 || !i.Logs {
			t.Errorf("%s: %+v", tt.log, i)
		}
		if slices.Equal(before, after) == tt.changes {
			t.Errorf("%s: does it change anything? %v is wrong", tt.log, !tt.changes)
		}
		// The log's own last entry must not be taken for newer than a clean hive.
		copy(hive[4:8], hive[8:12])
		regftest.Seal(hive)
		if i := open(t, hive, log).Info(); i.Dirty || i.Replayed != 0 {
			t.Errorf("%s beside a clean hive: %+v", tt.log, i)
		}
	}
}
