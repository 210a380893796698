package formats_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"kuva/disk"
	"kuva/disk/disktest"
	"kuva/disk/formats"
	"kuva/disk/raw"
)

// way is a format to write, compressed or not.
type way struct {
	f      *disk.Format
	packed bool
}

func (w way) String() string {
	if w.packed {
		return w.f.Name + " compressed"
	}
	return w.f.Name
}

func ways() (list []way) {
	for _, f := range formats.All {
		if f.Layout != nil {
			list = append(list, way{f, false})
		}
		if f.Stream != nil {
			list = append(list, way{f, true})
		}
	}
	return list
}

// TestPairs takes a thousand random disks, each through one pair of formats:
// written as the first, detected, read, written as the second, detected, read.
// Every pair comes several times. KUVA_SOAK=1 takes a hundred of each.
func TestPairs(t *testing.T) {
	list := ways()
	disks := max(1000, 5*len(list)*len(list))
	if os.Getenv("KUVA_SOAK") == "1" {
		disks = 100 * len(list) * len(list)
	}
	if testing.Short() {
		disks = len(list) * len(list)
	}
	dir := t.TempDir()
	start := rand.Uint64N(1 << 40)
	for n := range disks {
		from, to := list[n%len(list)], list[n/len(list)%len(list)]
		seed := start + uint64(n)
		rng := rand.New(rand.NewPCG(seed, 0))
		src := disktest.RandomDisk(512*(1+rng.Int64N(1<<rng.IntN(12))), seed)
		d, first := through(t, filepath.Join(dir, "first"), src, from)
		d, second := through(t, filepath.Join(dir, "second"), d, to)
		if off, err := disk.Compare(t.Context(), src, d); off >= 0 || err != nil {
			t.Fatalf("seed %d, %s to %s: differs at %d, %v", seed, from, to, off, err)
		}
		if d.Size() < src.Size() {
			t.Fatalf("seed %d, %s to %s: %d bytes became %d", seed, from, to, src.Size(), d.Size())
		}
		first.Close()
		second.Close()
	}
}

// through writes a disk into a file and opens that.
func through(t *testing.T, file string, d disk.Disk, w way) (disk.Disk, io.Closer) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := formats.Write(t.Context(), f, d, w.f, formats.WriteOptions{Compress: w.packed}); err != nil {
		t.Fatalf("%s: %v", w, err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	d, verdict, err := formats.Open(t.Context(), f, info.Size(), disk.OpenOptions{})
	if err != nil || verdict.Name != w.f.Name {
		t.Fatalf("%s: %+v, %v", w, verdict, err)
	}
	return d, f
}

func TestWriteRefuses(t *testing.T) {
	src := disktest.NewSynthetic(512, 1)
	var refused *disk.Refused
	if err := formats.Write(t.Context(), nil, src, raw.Format, formats.WriteOptions{Compress: true}); !errors.As(err, &refused) || refused.Reason != disk.ReasonSetting {
		t.Errorf("raw compressed: %v", err)
	}
	readOnly := &disk.Format{Name: "x"}
	if err := formats.Write(t.Context(), nil, src, readOnly, formats.WriteOptions{}); !errors.As(err, &refused) || refused.Reason != disk.ReasonUnsupported {
		t.Errorf("no writer: %v", err)
	}
	if err := formats.Write(t.Context(), nil, src, raw.Format, formats.WriteOptions{Settings: disk.Settings{"a": "b"}}); !errors.As(err, &refused) || refused.Reason != disk.ReasonSetting {
		t.Errorf("unknown setting: %v", err)
	}
}
