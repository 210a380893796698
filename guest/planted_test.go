package guest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kuva/guest"
	"kuva/guest/check"
	"kuva/guest/fact"
	"kuva/internal/testkit/diskimage"
)

// reports say which check tells of each kind of thing that plant-dirty plants.
// Those told by folder or package are told as a whole, not by file.
var reports = map[string]struct {
	id     string
	folder bool   // the evidence is a folder above
	value  string // the evidence is this, and no file
}{
	"account":          {id: "advice-accounts"},
	"authorized-key":   {id: "clone-authorized-keys"},
	"cloud-init-state": {id: "clone-cloud-init-state"},
	"crontab":          {id: "advice-crontab"},
	"foreign-package":  {id: "advice-foreign-tools", value: "open-vm-tools "},
	"foreign-tools":    {id: "advice-foreign-tools", folder: true},
	"fstab-device":     {id: "boot-fstab-device"},
	"fstab-missing":    {id: "boot-fstab-missing"},
	"history":          {id: "secret-history"},
	"host-key":         {id: "clone-ssh-host-keys"},
	"hostname":         {id: "advice-hostname"},
	"lease":            {id: "clone-dhcp-leases"},
	"leftover":         {id: "advice-needless-data", folder: true},
	"log":              {id: "advice-needless-data", folder: true},
	"mac":              {id: "access-fixed-mac"},
	"machine-id":       {id: "clone-machine-id"},
	"password":         {id: "secret-password"},
	"private-key":      {id: "secret-private-key"},
	"random-seed":      {id: "clone-random-seed"},
	"static-network":   {id: "access-static-network"},
	"sudo":             {id: "advice-accounts"},
	"user-data":        {id: "secret-credentials"},
}

// All that a used server leaves behind is found, at the right file and line,
// and nothing else that stands against the image.
func TestPlanted(t *testing.T) {
	raw, planted := diskimage.Dirty(t)
	d := open(t, raw)
	r, err := guest.Inspect(t.Context(), d, guest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(planted) < 30 || r.Limit != "" || len(r.Notes) > 0 {
		t.Fatalf("%d things are planted; limit %q, notes %+v", len(planted), r.Limit, r.Notes)
	}
	shows := func(p diskimage.Planted, e check.Evidence) bool {
		how := reports[p.Kind]
		switch {
		case how.value != "":
			return strings.HasPrefix(e.Value, how.value)
		case how.folder:
			return strings.HasPrefix(p.Path, e.Path+"/")
		}
		return e.Path == p.Path && e.Line == p.Line
	}
	used := map[string]bool{}
	for _, p := range planted {
		used[p.Kind] = true
		i := slices.IndexFunc(r.Findings, func(f check.Finding) bool { return f.ID == reports[p.Kind].id })
		if i < 0 {
			t.Errorf("%+v: no finding %q", p, reports[p.Kind].id)
			continue
		}
		if f := r.Findings[i]; !slices.ContainsFunc(f.Evidence, func(e check.Evidence) bool { return shows(p, e) }) {
			t.Errorf("%+v is not among %v", p, f.Evidence)
		}
	}
	for _, f := range r.Findings {
		if f.Severity == check.Advice {
			continue
		}
		for _, e := range f.Evidence {
			if !slices.ContainsFunc(planted, func(p diskimage.Planted) bool { return reports[p.Kind].id == f.ID && shows(p, e) }) {
				t.Errorf("%s: %s was not planted", f.ID, e)
			}
		}
		if f.Unsure || f.More > 0 || len(f.Evidence) == 0 {
			t.Errorf("%+v", f)
		}
	}
	for kind := range reports {
		if !used[kind] {
			t.Errorf("nothing of kind %s is planted", kind)
		}
	}
	if v := r.Verdicts; v.Boots != guest.No || v.Clones != guest.No || v.Shares != guest.No {
		t.Errorf("%+v", v)
	}
	if r.Cost.Read > d.Size()/20 {
		t.Errorf("%d bytes were read", r.Cost.Read)
	}

	// The secrets themselves are nowhere in what is told.
	for _, f := range r.Findings {
		for _, lang := range check.Languages {
			told := f.In(lang)
			text := told.Title + told.Consequence + told.Mend
			for _, e := range f.Evidence {
				text += e.String()
			}
			for _, secret := range []string{"hunter2", "$6$", "Bearer abc"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s in %s shows %q", f.ID, lang, secret)
				}
			}
		}
	}
}

// One system tells the same facts wherever it lies: in an MBR's partition, in a
// logical volume, in XFS, in btrfs.
func TestVariants(t *testing.T) {
	clean, err := guest.Inspect(t.Context(), open(t, diskimage.Debian(t).Raw), guest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind, device, fs string
		uefi             bool
	}{
		{kind: "mbr", device: "1", fs: "ext4"},
		{kind: "lvm", device: "vg0/root", fs: "ext4", uefi: true},
		{kind: "xfs", device: "1", fs: "xfs", uefi: true},
		{kind: "btrfs", device: "1", fs: "btrfs", uefi: true},
	} {
		t.Run(c.kind, func(t *testing.T) {
			d := open(t, diskimage.Variant(t, c.kind))
			r, err := guest.Inspect(t.Context(), d, guest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Findings {
				if f.Severity != check.Advice {
					t.Errorf("%s: %v", f.ID, f.Evidence)
				}
			}
			if v := r.Verdicts; v.Boots != guest.Yes || v.Clones != guest.Yes || v.Shares != guest.Yes || r.Limit != "" || len(r.Notes) > 0 {
				t.Errorf("%+v, limit %q, notes %+v", v, r.Limit, r.Notes)
			}
			if b := r.Facts.Boot; !b.BIOS || b.UEFI != c.uefi {
				t.Errorf("%+v", b)
			}
			root := slices.IndexFunc(r.Facts.Filesystems, func(f fact.Filesystem) bool { return f.Mount == "/" })
			if root < 0 || r.Facts.Filesystems[root].Device != c.device || r.Facts.Filesystems[root].Type != c.fs {
				t.Errorf("%+v", r.Facts.Filesystems)
			}
			if r.Facts.Disk.Used < 200<<20 || r.Facts.Disk.Used > 700<<20 || r.Cost.Read > d.Size()/20 {
				t.Errorf("%d bytes are used, %d were read", r.Facts.Disk.Used, r.Cost.Read)
			}
			want := clean.Facts
			want.Disk, want.Partitions, want.Filesystems, want.Mounts = r.Facts.Disk, r.Facts.Partitions, r.Facts.Filesystems, r.Facts.Mounts
			want.Boot.UEFI = c.uefi
			if d := cmp.Diff(want, r.Facts); d != "" {
				t.Errorf("-clean +%s\n%s", c.kind, d)
			}
		})
	}
}
