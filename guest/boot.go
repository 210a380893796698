package guest

import (
	"bytes"
	"io/fs"
	"strings"

	"kuva/guest/volume"
)

// boot tells by which firmware the disk can start.
func (g *Guest) boot(l *volume.Layout, opened []*mounted) {
	b := &g.Report.Facts.Boot
	b.BIOS = l.BootCode && (g.grubInFront(l) || bootable(l))
	for _, m := range opened {
		if m.reader.Info().Type == "vfat" && hasEFILoader(m.fs) {
			b.UEFI = true
		}
	}
	if b.Loader == "" && g.Report.Facts.OS != nil && g.Report.Facts.OS.Family == "windows" {
		b.Loader = "bootmgr"
	}
}

// grubInFront: GRUB's first sector needs no active partition.
func (g *Guest) grubInFront(l *volume.Layout) bool {
	sector := make([]byte, 512)
	if g.budget.ReadFull(l.Whole.Disk, sector, 0) != nil {
		return false
	}
	return bytes.Contains(sector, []byte("GRUB"))
}

// bootable: what other code in the first sector looks for: an active partition
// with code of its own, or the code of a file system on the whole disk.
func bootable(l *volume.Layout) bool {
	if l.Scheme == volume.None {
		return true
	}
	for _, v := range l.Volumes {
		if v.Boot && v.Disk != nil {
			return true
		}
	}
	return false
}

// hasEFILoader: a program where firmware looks for one, or where a system put
// its own.
func hasEFILoader(f fs.FS) bool {
	found := false
	_ = fs.WalkDir(f, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || strings.Count(p, "/") > 3 {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(strings.ToLower(p), ".efi") {
			found = true
			return fs.SkipAll
		}
		if d.IsDir() && p != "." && !strings.EqualFold(strings.SplitN(p, "/", 2)[0], "efi") {
			return fs.SkipDir
		}
		return nil
	})
	return found
}
