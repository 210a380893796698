package diskimage

import (
	"bytes"
	"os"
	"os/exec"
	"testing"

	"kuva/internal/testkit"
)

func TestTiny(t *testing.T) {
	base := Tiny(t)
	first, second := Snapshots(t, base)
	for _, d := range []Disk{base, first, second} {
		info, err := os.Stat(d.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != 64<<20 {
			t.Errorf("%s has %d bytes", d.Raw, info.Size())
		}
		if out, err := exec.Command("qemu-img", "compare", d.Raw, d.QCOW2).CombinedOutput(); err != nil {
			t.Errorf("the two formats differ: %s", out)
		}
	}
	if again := Tiny(t); again != base {
		t.Error("the second call gave other files")
	}

	// Most of a snapshot is the disk before it, in place.
	const chunk = 256 << 10
	before, after := read(t, base.Raw), read(t, first.Raw)
	changed := 0
	for at := 0; at < len(before); at += chunk {
		if !bytes.Equal(before[at:at+chunk], after[at:at+chunk]) {
			changed++
		}
	}
	if changed < 5 || changed > 40 {
		t.Errorf("%d chunks of %d changed in the first snapshot", changed, len(before)/chunk)
	}
}

// The file systems are whole: e2fsck finds nothing to mend.
func TestTinyIsClean(t *testing.T) {
	testkit.Need(t, "e2fsck")
	base := Tiny(t)
	first, second := Snapshots(t, base)
	for _, d := range []Disk{base, first, second} {
		const root = "?offset=6291456" // build-tiny-image: sector 12288
		if out, err := exec.Command(testkit.Program("e2fsck"), "-fn", d.Raw+root).CombinedOutput(); err != nil {
			t.Errorf("e2fsck of %s: %v\n%s", d.Raw, err, out)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
