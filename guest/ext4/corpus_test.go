package ext4_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"kuva/disk/disktest"
	"kuva/guest/budget"
	"kuva/guest/ext4"
	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/internal/testkit"
)

// TestCorpus (S-161) reads file systems that others made and damaged. Sound
// ones have what reference tools saw in them; damaged ones end within the
// budget, with errors that say so.
func TestCorpus(t *testing.T) {
	rows := guesttest.Corpus(t, "../testdata/corpus", func(r disktest.Row) bool {
		typ := r.Oracle["blkid_type"]
		return r.Format == "raw" && (strings.HasPrefix(typ, "ext") || typ == "jbd" || r.Class == "ext")
	})
	for _, row := range rows {
		t.Run(row.File, func(t *testing.T) {
			file, size, ok := row.Open(t)
			if !ok {
				t.Fatalf("wrapped in %s", row.Outer)
			}
			d := guesttest.Raw(t, file, size)
			guesttest.Bounded(t, func(b *budget.Budget) {
				f, err := ext4.Open(d, b)
				if err != nil {
					if !guesttest.Sane(err) {
						t.Errorf("open: %v", err)
					}
					t.Log(err)
					if !strings.HasPrefix(row.Expected, "bounded") {
						t.Error("not opened")
					}
					return
				}
				c, err := guesttest.ReadAll(tree.New(f, b))
				t.Log(c, err, f.Info().Notes)
				if !guesttest.Sane(err) {
					t.Error(err)
				}
				for _, err := range c.Errors {
					if !guesttest.Sane(err) {
						t.Error(err)
					}
				}
				for _, err := range f.Free() {
					if !guesttest.Sane(err) {
						t.Error(err)
					}
				}
				if strings.HasPrefix(row.Expected, "bounded") {
					return
				}
				if err != nil || len(c.Errors) > 0 {
					t.Errorf("%v, %v", err, c.Errors)
				}
				for _, n := range f.Info().Notes {
					if n.ID == tree.JournalReplayed {
						playedOut(t, file, c)
						return // the oracles do not replay
					}
				}
				want := map[string]int{}
				for key := range map[string]int{"fls_reg": 0, "fls_dir": 0, "fls_lnk": 0, "root_entries": 0} {
					want[key], _ = strconv.Atoi(row.Oracle[key])
				}
				if want["fls_dir"] == 0 && want["root_entries"] > 0 || want["root_entries"] == 0 {
					t.Log("the oracles disagree or saw nothing")
					return
				}
				if c.Files != want["fls_reg"] || c.Dirs-1 != want["fls_dir"] || c.Links != want["fls_lnk"] {
					t.Errorf("%d files, %d folders, %d links; want %v", c.Files, c.Dirs-1, c.Links, want)
				}
			})
		})
	}
	if len(rows) < 5 {
		t.Errorf("%d rows", len(rows))
	}
}

// playedOut lets e2fsck play the journal of a copy out, and counts again.
func playedOut(t *testing.T, file *os.File, want guesttest.Counts) {
	t.Helper()
	testkit.Need(t, "e2fsck")
	name := filepath.Join(t.TempDir(), "played")
	copyFile(t, file.Name(), name)
	// 1: the journal was played out, which changed something.
	err := exec.Command(testkit.Program("e2fsck"), "-p", "-E", "journal_only", name).Run()
	if exit := new(exec.ExitError); err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 1) {
		t.Fatal(err)
	}
	f, paths := open(t, guesttest.RawFile(t, name))
	got, err := guesttest.ReadAll(paths)
	if err != nil || !reflect.DeepEqual(got, want) || len(f.Info().Notes) > 0 {
		t.Errorf("after e2fsck %v, before %v; %v, %v", got, want, f.Info().Notes, err)
	}
}
