package guest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"kuva/disk"
	"kuva/disk/raw"
	"kuva/guest"
	"kuva/guest/budget"
	"kuva/guest/check"
	"kuva/guest/fact"
	"kuva/internal/testkit/diskimage"
)

func open(t testing.TB, path string) disk.Disk {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	i, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	d, err := raw.Format.Open(t.Context(), f, i.Size(), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A clean image of Debian: the facts are right, nothing is found that stands
// against using it, and little is read.
func TestDebian(t *testing.T) {
	d := open(t, diskimage.Debian(t).Raw)
	r, err := guest.Inspect(t.Context(), d, guest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Severity != check.Advice {
			t.Errorf("%s: %v", f.ID, f.Evidence)
		}
	}
	if v := r.Verdicts; v.Boots != guest.Yes || v.Clones != guest.Yes || v.Shares != guest.Yes {
		t.Errorf("%+v", v)
	}
	f := r.Facts
	if f.OS.Distro != "debian" || f.OS.Major() != 12 || f.OS.Arch != "x86_64" || f.OS.Init != "systemd" || !f.Boot.BIOS || !f.Boot.UEFI || f.Disk.Table != "gpt" {
		t.Errorf("%+v %+v %+v", f.OS, f.Boot, f.Disk)
	}
	if !slices.ContainsFunc(f.Packages, func(p fact.Package) bool { return p.Name == "cloud-init" && p.Version == f.CloudInit.Version }) || len(f.Packages) < 100 {
		t.Errorf("%d packages", len(f.Packages))
	}
	if len(f.Kernels) != 1 || !f.Kernels[0].Default || !f.Kernels[0].Virtio[0].Initrd {
		t.Errorf("kernels: %+v", f.Kernels)
	}
	if f.Disk.Used < 200<<20 || f.Disk.Used > 700<<20 {
		t.Errorf("%d bytes are used", f.Disk.Used)
	}
	if r.Limit != "" || len(r.Notes) > 0 {
		t.Errorf("limit %q, notes %+v", r.Limit, r.Notes)
	}
	if r.Cost.Read > d.Size()/20 {
		t.Errorf("%d bytes were read", r.Cost.Read)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	t.Logf("%+v", r.Cost)
}

func TestTiny(t *testing.T) {
	r, err := guest.Inspect(t.Context(), open(t, diskimage.Tiny(t).Raw), guest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Facts.OS == nil || r.Facts.Disk.DataDisk || !r.Facts.Boot.BIOS {
		t.Errorf("%+v", r.Facts)
	}
}

// What can hold nothing that starts is a data disk, not a list of what it
// lacks.
func TestDataDisk(t *testing.T) {
	for name, size := range map[string]int64{"nothing": 0, "sector": 512, "zeros": 8 << 20} {
		r, err := guest.Inspect(t.Context(), memory(t, make([]byte, size)), guest.Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !r.Facts.Disk.DataDisk || len(r.Findings) > 0 || r.Verdicts.Boots != guest.No {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func memory(t testing.TB, b []byte) disk.Disk {
	t.Helper()
	d, err := raw.Format.Open(t.Context(), bytes.NewReader(b), int64(len(b)), disk.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The end of a budget leaves a report that says so; the end of the caller's
// context does not.
func TestLimits(t *testing.T) {
	d := open(t, diskimage.Debian(t).Raw)
	for name, o := range map[string]guest.Options{
		"read":   {Limits: budget.Limits{Read: 2 << 20}},
		"steps":  {Limits: budget.Limits{Steps: 500}},
		"memory": {Limits: budget.Limits{Memory: 64 << 10}},
		"time":   {Time: time.Nanosecond},
	} {
		r, err := guest.Inspect(t.Context(), d, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r.Limit == "" && len(r.Notes) == 0 || r.Verdicts.Boots == guest.Yes {
			t.Errorf("%s: limit %q, %+v", name, r.Limit, r.Verdicts)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := guest.Inspect(ctx, d, guest.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

type bomb struct{ disk.Disk }

func (bomb) ReadAt([]byte, int64) (int, error) { panic("boom") }

// A panic ends at the boundary, as damage, and somebody is told.
func TestPanic(t *testing.T) {
	told := 0
	_, err := guest.Inspect(t.Context(), bomb{memory(t, make([]byte, 1<<20))}, guest.Options{OnPanic: func(any, []byte) { told++ }})
	var m *disk.Malformed
	if !errors.As(err, &m) || told != 1 {
		t.Errorf("told %d times, %v", told, err)
	}
}

// Random flips in a real disk's metadata are survived.
func TestFlips(t *testing.T) {
	b, err := os.ReadFile(filepath.Clean(diskimage.Tiny(t).Raw))
	if err != nil {
		t.Fatal(err)
	}
	d := &flipped{Disk: memory(t, b)}
	for seed := range 60 {
		d.seed = uint64(seed)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err := guest.Inspect(ctx, d, guest.Options{OnPanic: func(v any, stack []byte) { t.Errorf("seed %d: %v\n%s", seed, v, stack) }})
		cancel()
		if err != nil && ctx.Err() != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// flipped changes some of the bytes of small reads, which are metadata, the
// same ones at each read.
type flipped struct {
	disk.Disk
	seed uint64
}

func (d *flipped) ReadAt(p []byte, off int64) (int, error) {
	n, err := d.Disk.ReadAt(p, off)
	for i := range p[:n] {
		x := (uint64(off) + uint64(i) + 1) * (d.seed*2 + 0x9e3779b97f4a7c15)
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		if x>>52 == 0 { // one in 4,096
			p[i] ^= byte(x >> 8)
		}
	}
	return n, err
}

// The files stay readable after the inspection.
func TestOpen(t *testing.T) {
	g, err := guest.Open(t.Context(), open(t, diskimage.Debian(t).Raw), guest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := g.FS.ReadFile("etc/os-release")
	if err != nil || !bytes.Contains(b, []byte("ID=debian")) {
		t.Errorf("%q, %v", b, err)
	}
}

// Two systems differ where one was changed: make-snapshots installs and edits.
func TestDiff(t *testing.T) {
	base := diskimage.Debian(t)
	first, _ := diskimage.Snapshots(t, base)
	var guests [2]*guest.Guest
	for i, path := range []string{base.Raw, first.Raw} {
		var err error
		if guests[i], err = guest.Open(t.Context(), open(t, path), guest.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	diff := func(a, b *guest.Guest) map[string]string {
		out := map[string]string{}
		err := guest.DiffFiles(a.FS, b.FS, budget.New(t.Context(), budget.Limits{}), func(c guest.FileChange) error {
			out[c.Path] = c.What
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if d := diff(guests[0], guests[0]); len(d) > 0 {
		t.Errorf("a system differs from itself: %v", d)
	}
	there, back := diff(guests[0], guests[1]), diff(guests[1], guests[0])
	if len(there) == 0 || len(there) != len(back) {
		t.Errorf("%d differences, %d backwards", len(there), len(back))
	}
	opposite := map[string]string{"added": "removed", "removed": "added"}
	for path, what := range there {
		want := what
		if o := opposite[what]; o != "" {
			want = o
		}
		if back[path] != want {
			t.Errorf("%s: %s, backwards %s", path, what, back[path])
		}
	}
	if c := guest.DiffPackages(
		[]fact.Package{{Name: "a", Version: "1"}, {Name: "k", Version: "1"}, {Name: "k", Version: "2"}, {Name: "gone", Version: "1"}},
		[]fact.Package{{Name: "a", Version: "2"}, {Name: "k", Version: "2"}, {Name: "k", Version: "3"}, {Name: "new", Version: "1"}},
	); !slices.Equal(c, []guest.PackageChange{{Name: "a", Old: "1", New: "2"}, {Name: "gone", Old: "1"}, {Name: "k", Old: "1", New: "3"}, {Name: "new", New: "1"}}) {
		t.Errorf("packages: %+v", c)
	}
}

func TestPackageURL(t *testing.T) {
	for want, c := range map[string]struct {
		os fact.OS
		p  fact.Package
	}{
		"pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64&distro=debian-12": {fact.OS{Distro: "debian", Version: "12", Packager: "dpkg"}, fact.Package{Name: "libstdc++6", Version: "12.2.0-14", Arch: "amd64"}},
		"pkg:rpm/rocky/bash@5.1-1.el9?arch=x86_64&distro=rocky-9.3&epoch=1":   {fact.OS{Distro: "rocky", Version: "9.3", Packager: "rpm"}, fact.Package{Name: "bash", Version: "1:5.1-1.el9", Arch: "x86_64"}},
		"pkg:apk/alpine/musl@1.2": {fact.OS{Distro: "alpine", Packager: "apk"}, fact.Package{Name: "musl", Version: "1.2"}},
	} {
		if got := guest.PackageURL(&c.os, &c.p); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
