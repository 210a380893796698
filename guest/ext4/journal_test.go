package ext4_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kuva/guest/guesttest"
	"kuva/guest/tree"
	"kuva/internal/testkit"
	"kuva/internal/testkit/loopfs"
)

// TestJournal reads images that were copied while the kernel had them mounted:
// what was synced lies in the journal only, and must be seen.
func TestJournal(t *testing.T) {
	testkit.NeedRoot(t)
	for _, v := range []struct{ name, features, journal, mount string }{
		{"ordered", "metadata_csum,64bit,extents", "", ""},
		{"plain", "^metadata_csum,^64bit", "", ""},
		// Content goes through the journal too, also such that looks like it.
		{"data", "metadata_csum,extents,^64bit", "", "data=journal"},
		{"old", "^64bit,^metadata_csum,extents", "", "data=journal,journal_checksum"},
	} {
		t.Run(v.name, func(t *testing.T) {
			image := mke2fs(t, 64<<20, "-b", "1024", "-J", "size=16", "-O", "has_journal,dir_index,filetype,ext_attr,"+v.features)
			dirty := filepath.Join(t.TempDir(), "dirty")
			var want guesttest.Listing
			loopfs.With(t, image, v.mount, func(dir string) {
				write := func(name string, b []byte) {
					t.Helper()
					must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
					must(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
				}
				for i := range 200 {
					write(fmt.Sprintf("a/%d", i), bytes.Repeat([]byte{byte(i)}, i*20))
				}
				write("magic", append([]byte("\xc0\x3b\x39\x98"), make([]byte, 5000)...))
				syncDir(t, dir)
				// Metadata that was journaled, freed and used for content: revoked.
				for i := range 200 {
					must(t, os.Remove(filepath.Join(dir, fmt.Sprintf("a/%d", i))))
				}
				must(t, os.Remove(filepath.Join(dir, "a")))
				syncDir(t, dir)
				for i := range 300 {
					write(fmt.Sprintf("b/%d", i), bytes.Repeat([]byte("content"), 300))
				}
				must(t, os.Symlink("b/1", filepath.Join(dir, "link")))
				syncDir(t, dir)
				want = guesttest.Witness(t, dir)
				copyFile(t, image, dirty)
			})
			f, paths := open(t, guesttest.RawFile(t, dirty))
			guesttest.Compare(t, paths, want, guesttest.Options{Times: time.Second})
			i := f.Info()
			if len(i.Notes) != 1 || i.Notes[0].ID != tree.JournalReplayed || i.FreeBytes != -1 {
				t.Errorf("%+v", i)
			}
			// e2fsck plays the same journal out: then the free space agrees too.
			played := filepath.Join(t.TempDir(), "played")
			copyFile(t, dirty, played)
			run(t, "e2fsck", "-p", "-E", "journal_only", played)
			g, paths := open(t, guesttest.RawFile(t, played))
			guesttest.Compare(t, paths, want, guesttest.Options{Times: time.Second})
			if a, b := fmt.Sprint(free(t, f)), fmt.Sprint(free(t, g)); a != b {
				t.Errorf("free space %s, after e2fsck %s", a, b)
			}
			if s := run(t, "debugfs", "-R", "logdump -O", dirty); v.mount == "" && !strings.Contains(s, "revoke") {
				t.Errorf("nothing was revoked, the test shows too little:\n%s", s)
			}
		})
	}
}

func free(t testing.TB, f tree.Spacer) []tree.Extent {
	t.Helper()
	var list []tree.Extent
	for e, err := range f.Free() {
		must(t, err)
		list = append(list, e)
	}
	return list
}

func syncDir(t testing.TB, dir string) {
	t.Helper()
	f, err := os.Open(dir)
	must(t, err)
	defer f.Close()
	must(t, unix.Syncfs(int(f.Fd())))
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	a, err := os.Open(from)
	must(t, err)
	defer a.Close()
	b, err := os.Create(to)
	must(t, err)
	defer b.Close()
	_, err = io.Copy(b, a)
	must(t, err)
}
