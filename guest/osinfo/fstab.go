package osinfo

import (
	"path"
	"strings"

	"kuva/guest/fact"
	"kuva/guest/tree"
)

// fstab reads the lines of fstab and crypttab. Whether what they name is on
// this disk is told by Facts.Filesystems and Facts.Partitions.
func fstab(g *Guest) (err error) {
	g.Facts.Mounts, err = Mounts(g.FS, g.Facts)
	return err
}

// Mounts are the lines of a system's fstab and crypttab.
func Mounts(f *tree.FS, facts *fact.Facts) ([]fact.Mount, error) {
	g := &Guest{FS: f, Facts: facts}
	var out []fact.Mount
	add := func(m fact.Mount) {
		if len(out) < maxMounts {
			m.Found = g.found(m)
			out = append(out, m)
		}
	}
	b, err := g.read("etc/fstab")
	if err != nil {
		return nil, err
	}
	for _, l := range lines(b) {
		if f := strings.Fields(l.text); len(f) >= 2 {
			m := fact.Mount{Spec: cut(unquote(f[0])), Target: cut(unescape(f[1])), File: "/etc/fstab", Line: l.n}
			if len(f) > 2 {
				m.Type = cut(f[2])
			}
			if len(f) > 3 {
				m.Options = cut(f[3])
			}
			add(m)
		}
	}
	if b, err = g.read("etc/crypttab"); err != nil {
		return out, err
	}
	for _, l := range lines(b) {
		if f := strings.Fields(l.text); len(f) >= 2 {
			m := fact.Mount{Spec: cut(unquote(f[1])), Target: "/dev/mapper/" + cut(f[0]), Type: "crypt", File: "/etc/crypttab", Line: l.n}
			if len(f) > 3 {
				m.Options = cut(f[3])
			}
			add(m)
		}
	}
	return out, nil
}

// maxMounts is more than anybody has.
const maxMounts = 1000

// unescape undoes the octal escapes of fstab.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// found tells whether a line's device lies on this disk. Device names that
// depend on the machine (/dev/sda1) count as found where the disk has such a
// partition.
func (g *Guest) found(m fact.Mount) bool {
	_, ok := Device(g.Facts, m.Spec)
	return ok || !strings.Contains(m.Spec, "=") && !strings.HasPrefix(m.Spec, "/")
}

// Device finds the file system or partition that a line of fstab, crypttab or
// a kernel's root= names: its Filesystem.Device.
func Device(f *fact.Facts, spec string) (device string, ok bool) {
	kind, value, hasKind := strings.Cut(spec, "=")
	value = strings.Trim(value, `"'`)
	if dir, name := path.Split(spec); !hasKind {
		for by, k := range map[string]string{
			"/dev/disk/by-uuid/": "UUID", "/dev/disk/by-label/": "LABEL",
			"/dev/disk/by-partuuid/": "PARTUUID", "/dev/disk/by-partlabel/": "PARTLABEL",
		} {
			if dir == by {
				kind, value, hasKind = k, strings.ReplaceAll(name, `\x20`, " "), true
			}
		}
	}
	if hasKind {
		return byTag(f, strings.ToUpper(kind), value)
	}
	if !strings.HasPrefix(spec, "/dev/") {
		return "", false
	}
	name := strings.TrimPrefix(spec, "/dev/")
	if n := partitionOf(name); n > 0 {
		for _, p := range f.Partitions {
			if p.Number == n {
				return itoa(n), true
			}
		}
		return "", false
	}
	want := name
	if mapped, ok := strings.CutPrefix(name, "mapper/"); ok {
		want = unmap(mapped)
	}
	for _, fsys := range f.Filesystems {
		if fsys.Device == want && want != "" {
			return fsys.Device, true
		}
	}
	return "", false
}

func byTag(f *fact.Facts, kind, value string) (string, bool) {
	for _, fsys := range f.Filesystems {
		if kind == "UUID" && strings.EqualFold(fsys.UUID, value) && value != "" || kind == "LABEL" && fsys.Label == value && value != "" {
			return fsys.Device, true
		}
	}
	for _, p := range f.Partitions {
		if kind == "PARTUUID" && strings.EqualFold(p.UUID, value) && value != "" || kind == "PARTLABEL" && p.Name == value && value != "" {
			return itoa(p.Number), true
		}
	}
	return "", false
}

// partitionOf gives the number in sda1, vda1, xvda1, hda1, nvme0n1p1,
// mmcblk0p1 of the first disk, else 0.
func partitionOf(name string) int {
	for _, first := range []string{"sda", "vda", "xvda", "hda", "xvde", "nvme0n1p", "mmcblk0p"} {
		if rest, ok := strings.CutPrefix(name, first); ok {
			n := 0
			for _, c := range rest {
				if c < '0' || c > '9' || n > 1000 {
					return 0
				}
				n = 10*n + int(c-'0')
			}
			return n
		}
	}
	return 0
}

// unmap undoes the device mapper's names: vg-lv, where "--" is a dash.
func unmap(name string) string {
	const dash = "\x00"
	parts := strings.SplitN(strings.ReplaceAll(name, "--", dash), "-", 2)
	return strings.ReplaceAll(strings.Join(parts, "/"), dash, "-")
}
