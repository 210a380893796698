package guest

import (
	"path"
	"strconv"
	"strings"

	"kuva/guest/btrfs"
	"kuva/guest/osinfo"
	"kuva/guest/tree"
)

// maxSubvolumes is in how many subvolumes a system is looked for.
const maxSubvolumes = 64

// rootSubvolume finds the system in a btrfs whose default subvolume does not
// hold one: the boot loader names the subvolume (Debian's @rootfs, Fedora's
// root, Ubuntu's @). Snapshots come last.
func (g *Guest) rootSubvolume(opened []*mounted) *mounted {
	for _, m := range opened {
		b, ok := m.reader.(*btrfs.FS)
		if !ok {
			continue
		}
		all, err := b.Subvolumes()
		if err != nil {
			continue // what can be read without is in the report
		}
		tried := 0
		for _, snapshots := range []bool{false, true} {
			for _, s := range all {
				if s.Snapshot != snapshots || s.Default {
					continue
				}
				if tried++; tried > maxSubvolumes {
					break
				}
				r, err := b.Subvolume(s.ID)
				if err != nil {
					continue
				}
				if f := tree.New(r, g.budget); osinfo.Known(f) {
					return &mounted{device: m.device, fs: f, reader: r, vol: m.vol, fact: m.fact}
				}
			}
		}
	}
	return nil
}

// subvolume gives the subvolume of a btrfs that the options of a mount name,
// nil if they name none.
func (g *Guest) subvolume(m *mounted, options string) *tree.FS {
	b, ok := m.reader.(*btrfs.FS)
	if !ok {
		return nil
	}
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		var id uint64
		switch key {
		case "subvolid":
			id, _ = strconv.ParseUint(value, 0, 64)
		case "subvol":
			all, err := b.Subvolumes()
			if err != nil {
				return nil
			}
			for _, s := range all {
				if "/"+s.Path == path.Clean("/"+value) {
					id = s.ID
				}
			}
		}
		if id == 0 {
			continue
		}
		if r, err := b.Subvolume(id); err == nil {
			return tree.New(r, g.budget)
		}
	}
	return nil
}
