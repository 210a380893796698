package guest

import (
	"strconv"
	"strings"

	"kuva/disk"
	"kuva/guest/btrfs"
	"kuva/guest/budget"
	"kuva/guest/ext4"
	"kuva/guest/fact"
	"kuva/guest/fat"
	"kuva/guest/iso9660"
	"kuva/guest/ntfs"
	"kuva/guest/osinfo"
	"kuva/guest/tree"
	"kuva/guest/volume"
	"kuva/guest/xfs"
)

// openers are the file systems that are read, by the type that their marks
// tell. A new one is one more line.
var openers = map[string]func(d disk.Disk, b *budget.Budget) (tree.Reader, error){
	"btrfs":   opener(btrfs.Open),
	"ext2":    opener(ext4.Open),
	"ext3":    opener(ext4.Open),
	"ext4":    opener(ext4.Open),
	"iso9660": opener(iso9660.Open),
	"ntfs":    opener(ntfs.Open),
	"vfat":    opener(fat.Open),
	"xfs":     opener(xfs.Open),
}

func opener[R tree.Reader](open func(disk.Disk, *budget.Budget) (R, error)) func(disk.Disk, *budget.Budget) (tree.Reader, error) {
	return func(d disk.Disk, b *budget.Budget) (tree.Reader, error) {
		r, err := open(d, b)
		if err != nil {
			return nil, err // not R's zero value inside an interface
		}
		return r, nil
	}
}

// notFilesystems are contents that are no file system, and no loss.
var notFilesystems = map[string]bool{"": true, "swap": true, "LVM2_member": true}

// mounted is a file system that was opened.
type mounted struct {
	device string
	fs     *tree.FS
	reader tree.Reader
	vol    *volume.Volume
	fact   int // index of Facts.Filesystems
}

// device names a volume in the facts: 1 for the first partition, group/volume,
// "" for the whole disk.
func device(v *volume.Volume) string {
	switch {
	case v.Number > 0:
		return strconv.Itoa(v.Number)
	case v.Name == "disk":
		return ""
	}
	return v.Name
}

// filesystems opens what can be opened, and adds up what is used.
func (g *Guest) filesystems(l *volume.Layout) ([]*mounted, error) {
	var opened []*mounted
	f := &g.Report.Facts
	volumes := l.Volumes
	if l.Scheme != volume.None && l.Whole.Content.Type == "iso9660" {
		volumes = append(volumes[:len(volumes):len(volumes)], l.Whole) // a disc that boots from a stick
	}
	var used int64
	for i := range volumes {
		v := &volumes[i]
		if v.Container {
			continue
		}
		kind := v.Content.Type
		open := openers[kind]
		if open == nil && notFilesystems[kind] {
			if kind == "" && v.Disk != nil && used >= 0 { // what is stored may all be needed
				n, err := disk.Allocated(g.budget.Context(), v.Disk)
				if err != nil {
					return opened, err
				}
				used += n
			}
			continue
		}
		entry := fact.Filesystem{Device: device(v), Type: kind, Label: v.Content.Label, UUID: v.Content.UUID, Size: v.Size, Free: -1}
		var m *mounted
		switch {
		case v.Err != nil:
			entry.Error = firstLine(v.Err)
		case open == nil:
			entry.Error = "this is recognised, but not read"
		default:
			r, err := open(v.Disk, g.budget)
			if budget.IsLimit(err) {
				return opened, err
			}
			if err != nil {
				entry.Error = firstLine(err)
				break
			}
			m = &mounted{device: entry.Device, fs: tree.New(r, g.budget), reader: r, vol: v, fact: len(f.Filesystems)}
			info := r.Info()
			entry.Type, entry.Size, entry.Free = info.Type, info.Size, info.FreeBytes
			if entry.Free < 0 {
				if entry.Free, err = free(r); budget.IsLimit(err) {
					return opened, err
				}
			}
			if info.Label != "" {
				entry.Label = info.Label
			}
			if info.UUID != "" {
				entry.UUID = info.UUID
			}
			for _, n := range info.Notes {
				entry.Notes = append(entry.Notes, n.ID)
				g.Report.Notes = append(g.Report.Notes, osinfo.Note{Step: n.ID, Path: entry.Device, Detail: n.Detail})
			}
			g.Filesystems[entry.Device] = m.fs
			opened = append(opened, m)
		}
		switch {
		case entry.Free < 0 || used < 0:
			used = -1
		case entry.Size >= entry.Free:
			used += entry.Size - entry.Free
		}
		f.Filesystems = append(f.Filesystems, entry)
	}
	f.Disk.Used = used
	return opened, nil
}

// free adds up what is free, -1 where the file system does not tell.
func free(r tree.Reader) (int64, error) {
	s, ok := r.(tree.Spacer)
	if !ok {
		return -1, nil
	}
	var sum int64
	for e, err := range s.Free() {
		if err != nil {
			return -1, err
		}
		sum += e.Len
	}
	return sum, nil
}

// firstLine is the first line of an error, fit for a report.
func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return strings.ToValidUTF8(s[:min(len(s), fact.MaxText)], "")
}

// root finds the file system that a system starts from: the first with one.
func (g *Guest) root(opened []*mounted) *mounted {
	for _, m := range opened {
		if osinfo.Known(m.fs) {
			return m
		}
	}
	return g.rootSubvolume(opened)
}

// mount shows the other file systems where the root's fstab mounts them.
func (g *Guest) mount(root *mounted, opened []*mounted) {
	f := &g.Report.Facts
	f.Filesystems[root.fact].Mount = "/"
	// The facts are gathered again with everything in place.
	lines, err := osinfo.Mounts(root.fs, f)
	if err != nil {
		return
	}
	for _, line := range lines {
		target := strings.Trim(line.Target, "/")
		dev, ok := osinfo.Device(f, line.Spec)
		if !ok || target == "" {
			continue
		}
		for _, m := range opened {
			if m.device == dev {
				if sub := g.subvolume(m, line.Options); sub != nil {
					_ = root.fs.Mount(target, sub) // where there is no such folder, nothing is mounted
					break
				}
			}
			if m != root && m.device == dev && f.Filesystems[m.fact].Mount == "" {
				if root.fs.Mount(target, m.fs) == nil {
					f.Filesystems[m.fact].Mount = "/" + target
				}
				break
			}
		}
	}
}
