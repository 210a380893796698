package formats_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
)

var update = flag.Bool("update", false, "write docs/corpus.md anew")

// TestCorpus runs the disks of the corpora: that of the project and, where
// CORPUS names one, the larger one beside it.
func TestCorpus(t *testing.T) {
	rows := disktest.Corpus(t, "../testdata/corpus")
	if dir := os.Getenv("CORPUS"); dir != "" {
		rows = append(rows, disktest.Corpus(t, dir)...)
	} else {
		t.Run("CORPUS", func(t *testing.T) { t.Skip("not run: CORPUS is not set") })
	}
	var ledger disktest.Ledger
	for _, row := range rows {
		if row.Class == "disk" {
			ledger.Run(t, row, testRow)
		}
	}
	ledger.Check(t, "../../docs/corpus.md", "disks", *update)
}

// named are the manifest's names of formats where ours are others.
var named = map[string]string{"vpc": "vhd"}

// testRow opens a disk and says what came of it.
func testRow(t *testing.T, row disktest.Row) string {
	r, size, ok := row.Open(t)
	if !ok {
		t.Fatalf("unknown wrapping %q", row.Outer)
	}
	want := row.Format
	if n := named[want]; n != "" {
		want = n
	}
	verdict, err := formats.Detect(t.Context(), r, size)
	if err != nil {
		t.Fatal(err)
	}
	if verdict.Name != want && row.Format != "raw" {
		t.Fatalf("detected as %s, want %s", verdict.Name, want)
	}
	budget := disk.NewBudget(disk.Limits{Memory: disktest.RowMemory})
	d, _, err := formats.Open(t.Context(), r, size, disk.OpenOptions{Budget: budget})
	var refused *disk.Refused
	var malformed *disk.Malformed
	if errors.As(err, &refused) && refused.Reason == disk.ReasonUnsupported && !strings.HasPrefix(row.Expected, "refuse as unsupported") {
		t.Skipf("not run: there is no reader of %s", verdict.Name)
	}
	switch expected, _, _ := strings.Cut(row.Expected, ":"); expected {
	case "accept":
		if err != nil {
			t.Fatal(err)
		}
		if want := row.Oracle["virtual_size"]; strconv.FormatInt(d.Size(), 10) != want {
			t.Errorf("%d bytes, want %s", d.Size(), want)
		}
		row.Digest(t, d, "")
	case "qcow version 1": // the expectation of a reader that knows it
		if err != nil {
			t.Fatal(err)
		}
		row.Digest(t, d, "qcow_v1_")
	case "replay the log and match after_replay_*; or refuse; never ignore the log":
		if err != nil {
			t.Fatal(err)
		}
		row.Digest(t, d, "after_replay_")
	case "refuse":
		switch {
		case strings.Contains(row.Expected, "names another file"):
			if !errors.As(err, &refused) || refused.Reason != disk.ReasonBacking {
				t.Errorf("%v, want a refusal of the backing file", err)
			}
		case !errors.As(err, &malformed):
			t.Errorf("%v, want malformed", err)
		}
	case "opaque raw":
		// By its marks it is none or is refused; whoever declares it raw has
		// it stored as it is.
		if err == nil && verdict.Name != "raw" {
			t.Errorf("opened as %s", verdict.Name)
		}
	default:
		if !strings.HasPrefix(expected, "refuse as unsupported") {
			t.Fatalf("what is %q?", row.Expected)
		}
		if !errors.As(err, &refused) || refused.Reason != disk.ReasonUnsupported || refused.Format != row.Format {
			t.Errorf("%v, want %s refused as unsupported", err, row.Format)
		}
	}
	return outcome(row, d, err)
}

// outcome says in words what opening a row's disk gave.
func outcome(row disktest.Row, d disk.Disk, err error) string {
	var refused *disk.Refused
	switch {
	case errors.As(err, &refused):
		return "refused " + string(refused.Reason)
	case err != nil:
		return "malformed"
	case strings.HasPrefix(row.Expected, "opaque"):
		return "taken as it is"
	}
	return fmt.Sprintf("accepted: %d bytes, digest right", d.Size())
}
